"""The volume: steps, limit, and the same again after a restart."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.audio.player import gain
from appliance.errors import StorageError
from appliance.events import VolumeRequested
from appliance.panel.volume import Volume


def changed(volume: Volume, **wanted: int) -> int:
    volume.percent = volume.wanted(VolumeRequested(**wanted))
    return volume.percent


def test_steps_and_limits(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "volume.json", default=80, limit=90, step=5)
    assert changed(volume, step=1) == 85
    assert changed(volume, step=3) == 90
    assert changed(volume, percent=100) == 90
    assert changed(volume, step=-100) == 0
    assert changed(volume, step=1) == 5
    assert changed(volume, percent=33) == 33
    assert changed(volume, step=1) == 35
    assert changed(volume, percent=33) == 33
    assert changed(volume, step=-1) == 30


def test_it_is_the_same_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state" / "volume.json"
    volume = Volume(file, default=80)
    assert volume.percent == 80
    volume.save()
    changed(volume, percent=35)
    volume.save()
    assert Volume(file, default=80).percent == 35
    assert Volume(file, default=80, limit=20).percent == 20
    assert [entry.name for entry in file.parent.iterdir()] == ["volume.json"]


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "volume.json"
    volume = Volume(file, default=80)
    changed(volume, percent=35)
    volume.save()
    before = file.stat().st_mtime_ns
    changed(volume, percent=50)
    changed(volume, percent=35)
    volume.save()
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"percent": "9"}', b'{"percent": 900}', b"\xff" * 2000]
)
def test_a_damaged_file_costs_nothing_but_the_volume(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "volume.json"
    file.write_bytes(data)
    volume = Volume(file, default=70)
    assert volume.percent == 70
    changed(volume, percent=40)
    volume.save()
    assert json.loads(file.read_text()) == {"percent": 40}


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file where a folder should be")
    volume = Volume(tmp_path / "folder" / "volume.json", default=70)
    volume.percent = 30
    with pytest.raises(StorageError, match="cannot be written"):
        volume.save()


@given(st.integers(0, 100), st.integers(1, 50), st.integers(-30, 30))
def test_it_never_leaves_its_range(percent: int, step: int, turns: int) -> None:
    volume = Volume(Path("/nonexistent"), default=percent, limit=90, step=step)
    assert 0 <= changed(volume, step=turns) <= 90


def test_even_steps_for_the_ear() -> None:
    """Each tenth changes the loudness, amplitude to the power of 0.6 (Stevens), about alike."""
    loudness = [gain(percent) ** 0.6 for percent in range(0, 101, 10)]
    steps = [b - a for a, b in pairwise(loudness)]
    assert max(steps[1:]) / min(steps[1:]) < 1.5
    assert (gain(0), gain(100)) == (0.0, 1.0)
