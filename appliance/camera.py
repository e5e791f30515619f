"""One picture from the camera: picamera2 on a Raspberry Pi, else Video4Linux.

Video4Linux is read with PyAV, which speech recognition brings along; no program is started.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

WARM_UP_FRAMES = 10
"""Thrown away first: cameras find their exposure and white balance in the first third of a
second."""
_WAIT_S = 5.0
_QUALITY = 92


def capture(device: str = "") -> bytes:
    """Return a JPEG of what the camera sees; takes about a second.

    It still has to pass :func:`appliance.images.prepare`, as any other image.

    Args:
        device: a Video4Linux device such as ``/dev/video0``; empty: the first camera there is.

    Raises:
        UsageError: there is no camera, or it delivers nothing.
    """
    if not device and importlib.util.find_spec("picamera2"):
        return _from_picamera()
    devices = [device] if device else [str(path) for path in video_devices()]
    if not devices:
        raise UsageError(
            "there is no camera; plug one in (a USB camera appears as /dev/video0), or give a file"
        )
    # One camera often has several devices, of which some deliver something else than pictures.
    reasons = []
    for name in devices:
        try:
            return from_video(name)
        except UsageError as error:
            reasons.append(error)
    raise reasons[0]


def video_devices(folder: Path = Path("/dev")) -> Iterator[Path]:
    """Yield the Video4Linux devices, the first one first."""
    found = [path for path in folder.glob("video*") if path.name.removeprefix("video").isdigit()]
    yield from sorted(found, key=lambda path: int(path.name.removeprefix("video")))


def from_video(name: str, kind: str = "v4l2") -> bytes:
    """Return a JPEG of a picture from the video source *name*.

    *kind* is FFmpeg's name of the input device; tests use ``lavfi``.

    Raises:
        UsageError: it cannot be opened, or delivers no picture.
    """
    import av
    import PIL.Image

    try:
        with av.open(name, format=kind, timeout=_WAIT_S) as source:
            for number, frame in enumerate(source.decode(video=0)):
                if number >= WARM_UP_FRAMES:
                    return _jpeg(PIL.Image.fromarray(frame.to_ndarray(format="rgb24")))
    except (av.FFmpegError, OSError, IndexError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"the camera {name} gives no picture ({reason}); is it in use, and may this user read "
            "it (group video)?"
        ) from error
    raise UsageError(f"the camera {name} gives no picture; plug it in again")


def _from_picamera() -> bytes:
    picamera2 = importlib.import_module("picamera2")  # of Debian, on a Raspberry Pi only
    try:
        with picamera2.Picamera2() as camera:
            camera.configure(camera.create_still_configuration(main={"size": (1640, 1232)}))
            camera.start()
            for _ in range(WARM_UP_FRAMES):
                camera.capture_metadata()  # waits for one frame
            return _jpeg(camera.capture_image())
    except (RuntimeError, IndexError, OSError) as error:
        raise UsageError(
            f"the camera gives no picture ({error}); check its cable, or give a file"
        ) from error


def _jpeg(picture: PilImage) -> bytes:
    target = io.BytesIO()
    picture.convert("RGB").save(target, "JPEG", quality=_QUALITY)
    return target.getvalue()
