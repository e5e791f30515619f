"""The disk of the power cuts: what was flushed is there, the rest perhaps."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from image_build.lossy_disk import LossyDisk, Write, entries, survivors

SECTOR = 512
FLUSH = struct.pack("<QQQQ", 0, 0, 1, 0).ljust(SECTOR, b"\0")
GAP = bytes(3 * SECTOR)
"""Where QEMU was killed while it noted something."""


def write_of(sector: int, data: bytes) -> bytes:
    head = struct.pack("<QQQQ", sector, len(data) // SECTOR, 0, 0)
    return head.ljust(SECTOR, b"\0") + data


def sectors(letter: str, count: int = 1) -> bytes:
    return letter.encode() * SECTOR * count


class _Cut(LossyDisk):
    """A disk whose log was written by the test instead of QEMU."""

    def __init__(self, folder: Path, log: bytes) -> None:
        self.file = folder / "disk"
        self.file.write_bytes(bytes(16 * SECTOR))
        super().__init__(self.file, folder)
        (folder / "overlay.qcow2").touch()
        (folder / "writes.log").write_bytes(bytes(SECTOR) + log)

    def now(self) -> bytes:
        return self.file.read_bytes()


def test_a_log_is_read_over_its_gaps(tmp_path: Path) -> None:
    log = write_of(1, sectors("a", 2)) + FLUSH + GAP + write_of(4, sectors("b"))
    (tmp_path / "log").write_bytes(bytes(SECTOR) + log + GAP)
    with (tmp_path / "log").open("rb") as file:
        found = list(entries(file.fileno()))
    first, flush, second = found
    assert first == Write(SECTOR, 2 * SECTOR, 2 * SECTOR)
    assert flush is None
    assert second is not None
    assert (second.at, second.size) == (4 * SECTOR, SECTOR)


def test_what_was_flushed_is_always_there(tmp_path: Path) -> None:
    log = write_of(0, sectors("a")) + write_of(1, sectors("b")) + FLUSH + write_of(0, sectors("c"))
    seen = set()
    for seed in range(40):
        disk = _Cut(tmp_path, log)
        lost = disk.settle(random.Random(seed))
        assert lost.unflushed == 1
        now = disk.now()
        assert now[SECTOR : 2 * SECTOR] == sectors("b")
        assert now[:SECTOR] in (sectors("a"), sectors("c"))
        seen.add(now[:1])
    assert seen == {b"a", b"c"}


def test_what_was_not_flushed_may_be_lost_out_of_order() -> None:
    writes = [Write(number * SECTOR, 4 * SECTOR, 0) for number in range(4)]
    kept = set()
    for seed in range(400):
        left = survivors(writes, random.Random(seed))
        whole = [write for write in left if write.size == 4 * SECTOR]
        assert len(left) - len(whole) <= 1
        kept.add(tuple(write.at // SECTOR for write in whole))
    assert {(), (0,), (0, 1, 2, 3)} <= kept
    assert any(0 not in left and left for left in kept)


def test_nothing_was_written(tmp_path: Path) -> None:
    assert _Cut(tmp_path, GAP).settle(random.Random(1)).unflushed == 0
