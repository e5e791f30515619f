"""Checks and shrinks an image before a model or a provider gets to see it.

Whatever comes in (a file, an upload, the camera) leaves as a small JPEG without metadata: no
place, no camera, no thumbnail of what was cropped away.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

MAX_BYTES = 15_000_000
MAX_PIXELS = 20_000_000
MAX_SIDE = 1024
"""Pixels of the longer side of what goes on: local models look at 336 to 980 (larger ones in
slices that cost them seconds each), and cloud models charge by size."""
_FORMATS = ("JPEG", "PNG", "WEBP")
_QUALITY = 88
_PREFIX = "data:image/jpeg;base64,"


@dataclass(frozen=True)
class Image:
    """An image that was checked."""

    jpeg: bytes
    width: int
    height: int

    @property
    def data_url(self) -> str:
        """Return it as a ``data:`` URL."""
        return _PREFIX + base64.b64encode(self.jpeg).decode()

    @property
    def part(self) -> dict[str, Any]:
        """Return it as a part of a message in OpenAI's form."""
        return {"type": "image_url", "image_url": {"url": self.data_url}}


def prepare(data: bytes, max_side: int = MAX_SIDE) -> Image:
    """Return the image in *data*: upright, at most *max_side* pixels wide and high, opaque RGB.

    What counts is the content; no file name is looked at. Of an animation the first picture is
    taken; what is transparent becomes white.

    Raises:
        UsageError: it is no JPEG, PNG or WebP, is damaged, or exceeds ``MAX_BYTES`` or
            ``MAX_PIXELS``.
    """
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"the image has {len(data) / 1e6:.1f} MB; at most {MAX_BYTES // 1_000_000} are read, "
            "so make it smaller"
        )
    picture = _open(data, max_side)
    picture.thumbnail((max_side, max_side))
    picture.info.clear()  # a comment would be written again
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=_QUALITY)
    return Image(target.getvalue(), picture.width, picture.height)


def looks_like_image(data: bytes) -> bool:
    """Return whether *data* begins like a JPEG, PNG or WebP."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def to_jpeg(data: bytes) -> bytes:
    """Return what :func:`prepare` makes of *data*: for :func:`appliance.sandbox.run`."""
    return prepare(data).jpeg


def _open(data: bytes, max_side: int) -> PilImage:
    """Return the decoded picture, upright and opaque."""
    import PIL.Image
    import PIL.ImageOps

    try:
        # Only the header is read here; nothing is unpacked before the size was looked at.
        with PIL.Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise UsageError(
                    f"the image has {picture.width} x {picture.height} pixels; at most "
                    f"{MAX_PIXELS // 1_000_000} million are read, so make it smaller"
                )
            # A JPEG can be decoded to a fraction of its size; nothing happens to the others.
            picture.draft("RGB", (max_side, max_side))
            picture.load()
            upright = PIL.ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I"):  # 16 bit grey, which a plain conversion would clip
            upright = upright.convert("I").point(lambda value: value / 256).convert("L")
        if not upright.has_transparency_data:
            return upright.convert("RGB")
        layer = upright.convert("RGBA")
        ground = PIL.Image.new("RGBA", layer.size, "white")
        return PIL.Image.alpha_composite(ground, layer).convert("RGB")
    except PIL.UnidentifiedImageError as error:
        raise UsageError("this is no image that can be read: use JPEG, PNG or WebP") from error
    except (OSError, ValueError, TypeError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise UsageError("the image is damaged; try another copy of it") from error


def from_data_url(url: str) -> bytes:
    """Return the bytes of a ``data:`` URL that :class:`Image` made.

    Raises:
        UsageError: it is none.
    """
    if not url.startswith(_PREFIX):
        raise UsageError("an image must come as a data URL with a JPEG in it; none is fetched")
    try:
        return base64.b64decode(url.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise UsageError("the image in the message is damaged; send it again") from error


def pixels(data: bytes) -> tuple[int, int, bytes]:
    """Return width, height and the RGB bytes, row by row, of an image that may come from anywhere.

    Raises:
        UsageError: as :func:`prepare`.
    """
    if len(data) > MAX_BYTES:
        raise UsageError("the image in the message is too large; make it smaller")
    picture = _open(data, MAX_SIDE)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    return picture.width, picture.height, picture.tobytes()
