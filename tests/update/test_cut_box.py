"""What the power cuts are counted and checked by."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from appliance.update.bundle import Chunk
from image_build.cut_box import Version
from image_build.power_cuts import KINDS, _percent


def test_half_of_the_cuts_hit_an_update_or_a_reminder() -> None:
    cuts = [KINDS[number % len(KINDS)] for number in range(51)]
    assert 2 * sum(kind in ("reminders", "update") for kind in cuts) >= len(cuts)
    assert set(cuts) == {"reminders", "update", "entry", "trial", "bless", "start"}


def test_how_far_an_update_is() -> None:
    assert _percent("") == -1
    assert _percent("\rwriting 0 % \rwriting 41 % ") == 41
    assert _percent("writing 50 % \nchecking 77 % \n") == 77
    with pytest.raises(TimeoutError, match="is damaged"):
        _percent("writing 3 % \nluna: the update bundle is damaged")


def test_a_slot_that_differs_is_found(tmp_path: Path) -> None:
    pieces = [b"a" * 8192, b"b" * 4096]
    chunks = [Chunk(len(data), hashlib.sha256(data).hexdigest(), 0) for data in pieces]
    version = Version("0.1.1", chunks, {}, None)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(512) + b"".join(pieces) + b"rest")
    assert version.differs(disk, 512) == ""
    disk.write_bytes(bytes(512) + pieces[0] + b"b" * 4095 + b"c")
    assert version.differs(disk, 512) == "piece 1 of 2"
