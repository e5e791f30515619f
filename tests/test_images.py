"""What is let in, and what comes out of it."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import images
from appliance.errors import UsageError


def encoded(
    kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: object
) -> bytes:
    target = io.BytesIO()
    colour = {"1": 1, "RGBA": (200, 30, 40, 255), "L": 90, "CMYK": (0, 200, 200, 30)}
    picture = PIL.Image.new("RGB" if mode == "P" else mode, size, colour.get(mode, (200, 30, 40)))
    (picture.convert("P") if mode == "P" else picture).save(target, kind, **options)  # type: ignore[arg-type]
    return target.getvalue()


def decoded(image: images.Image) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(image.jpeg))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_kinds_are_read(kind: str) -> None:
    image = images.prepare(encoded(kind))
    assert (image.width, image.height) == (64, 48)
    assert decoded(image).format == "JPEG"
    assert np.allclose(np.asarray(decoded(image))[20, 20], (200, 30, 40), atol=6)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_kinds_are_refused_whatever_their_name(kind: str) -> None:
    with pytest.raises(UsageError, match="JPEG, PNG or WebP"):
        images.prepare(encoded(kind))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA"), ("PNG", "1")],
)
def test_every_mode_becomes_rgb(kind: str, mode: str) -> None:
    assert decoded(images.prepare(encoded(kind, mode=mode))).mode == "RGB"


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    target = io.BytesIO()
    PIL.Image.fromarray(np.full((40, 40), 32768, np.uint16)).save(target, "PNG")
    assert abs(int(np.asarray(decoded(images.prepare(target.getvalue())))[20, 20, 0]) - 128) < 4


def test_what_is_transparent_becomes_white() -> None:
    target = io.BytesIO()
    PIL.Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(target, "PNG")
    assert np.asarray(decoded(images.prepare(target.getvalue()))).min() > 250


def test_the_orientation_is_applied_and_the_metadata_gone() -> None:
    picture = PIL.Image.new("RGB", (80, 40), "white")
    picture.paste("red", (0, 0, 40, 40))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn right to see it upright
    exif[0x010E] = "my house"
    exif.get_ifd(0x8825)[1] = "N"
    target = io.BytesIO()
    picture.save(target, "JPEG", exif=exif, comment=b"secret place")
    image = images.prepare(target.getvalue())
    assert (image.width, image.height) == (40, 80)
    top, bottom = np.asarray(decoded(image))[[20, 60], 20]
    assert top[1] < 60 < bottom[1], "what was left is at the top"
    assert b"house" not in image.jpeg
    assert b"secret" not in image.jpeg
    assert not decoded(image).getexif()


def test_it_is_scaled_down_and_never_up() -> None:
    image = images.prepare(encoded("JPEG", (3000, 1500)))
    assert (image.width, image.height) == (images.MAX_SIDE, images.MAX_SIDE // 2)
    assert images.prepare(encoded("PNG", (10, 5))).width == 10
    assert images.prepare(encoded("PNG", (5000, 1))).height == 1


def test_too_many_bytes_or_pixels_are_refused() -> None:
    with pytest.raises(UsageError, match="15"):
        images.prepare(b"\xff\xd8\xff" + bytes(images.MAX_BYTES))
    with pytest.raises(UsageError, match="20 million"):
        images.prepare(encoded("PNG", (5001, 4000)))
    images.prepare(encoded("PNG", (5000, 4000)))


def test_a_bomb_is_not_unpacked() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**7)))
    )
    text = zlib.compress(b"a" * 50_000_000)
    small = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    talkative = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", small)
        + chunk(b"zTXt", b"k\0\0" + text)
        + chunk(b"IEND", b"")
    )
    tracemalloc.start()
    try:
        for data in (bomb, talkative):
            with pytest.raises(UsageError):
                images.prepare(data)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_damaged_images_get_a_sentence(kind: str, data: st.DataObject) -> None:
    whole = bytearray(encoded(kind))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    del whole[data.draw(st.integers(1, len(whole))) :]
    with contextlib.suppress(UsageError):
        images.prepare(bytes(whole))


@given(st.binary(max_size=200))
def test_anything_else_gets_a_sentence(data: bytes) -> None:
    with pytest.raises(UsageError):
        images.prepare(data)


def test_a_data_url_and_back() -> None:
    image = images.prepare(encoded("PNG"))
    assert images.from_data_url(image.data_url) == image.jpeg
    width, height, pixels = images.pixels(image.jpeg)
    assert (width, height, len(pixels)) == (64, 48, 64 * 48 * 3)
    for url in ("https://example.org/a.jpg", "data:image/jpeg;base64,???", "data:text/plain,a"):
        with pytest.raises(UsageError):
            images.from_data_url(url)
