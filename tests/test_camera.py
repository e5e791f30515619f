"""The camera, played by FFmpeg's test picture; a real one is not needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import camera, images
from appliance.errors import UsageError


def test_a_picture_comes_through_the_real_reader() -> None:
    image = images.prepare(camera.from_video("testsrc=size=640x480:rate=30", "lavfi"))
    assert (image.width, image.height) == (640, 480)


def test_a_source_that_ends_too_early_gives_a_sentence() -> None:
    with pytest.raises(UsageError, match="gives no picture"):
        camera.from_video("testsrc=size=64x48:rate=30:duration=0.1", "lavfi")


@pytest.mark.parametrize("device", ["/dev/video99", "/dev/null"])
def test_what_is_no_camera_gets_one_sentence(device: str) -> None:
    with pytest.raises(UsageError, match=rf"{device} gives no picture") as caught:
        camera.capture(device)
    assert "\n" not in str(caught.value)


def test_no_camera_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "video_devices", lambda: iter(()))
    with pytest.raises(UsageError, match="there is no camera"):
        camera.capture()


def test_devices_are_tried_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video-decoder", "videoX", "null"):
        (tmp_path / name).touch()
    assert [path.name for path in camera.video_devices(tmp_path)] == ["video2", "video10"]
