"""A virtual disk with a volatile cache: what was not flushed may be lost when the power fails.

QEMU's ``blklogwrites`` notes every write and every flush, in the order in which the disk took
them (the form of the kernel's dm-log-writes: Documentation/admin-guide/device-mapper/log-writes).
The writes themselves go to an overlay that is thrown away. After a cut, what was written before the
last flush is put onto the real disk, and of what came later whatever chance leaves: nothing, all,
a beginning, or some writes without those before them; the last may be torn between two sectors.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_build.disk import SECTOR

MAX_LOG = 64 << 30
"""Of a sparse file: more than is ever written in a round."""
_HEAD = struct.Struct("<QQQQ")
"""Of an entry: first sector, number of sectors, flags, and a length that is not used."""
_FLUSH, _DISCARD = 1, 4


@dataclass(frozen=True)
class Write:
    """A write that the disk took."""

    at: int
    """Byte on the disk."""
    size: int
    source: int
    """Where its data lies in the log; negative: it is zeros."""


@dataclass(frozen=True)
class Lost:
    """What a cut cost."""

    unflushed: int
    """Writes since the last flush."""
    lost: int
    """Those of them that did not get onto the disk."""


class LossyDisk:
    """The disk in *file*; it changes only in :meth:`settle`.

    Args:
        file: of the disk, raw.
        folder: for the overlay and the log.
    """

    def __init__(self, file: Path, folder: Path) -> None:
        self._file = file
        self._overlay = folder / "overlay.qcow2"
        self._log = folder / "writes.log"

    def begin(self) -> str:
        """Take an empty overlay and an empty log; return QEMU's ``-drive`` for them."""
        qemu_img = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b"]
        subprocess.run([*qemu_img, self._file.absolute(), self._overlay], check=True)
        self._log.unlink(missing_ok=True)
        with self._log.open("wb") as log:
            log.truncate(MAX_LOG)
        return (
            f"if=none,id=disk,driver=blklogwrites,file.driver=qcow2,file.file.driver=file,"
            f"file.file.filename={self._overlay},log.driver=file,log.filename={self._log}"
        )

    def settle(self, rng: random.Random) -> Lost:
        """Bring the disk into a state that the cut may have left; QEMU must have ended."""
        kept: list[Write] = []
        unflushed: list[Write] = []
        with self._log.open("rb") as log, self._file.open("r+b") as target:
            for write in entries(log.fileno()):
                if write is None:
                    kept += unflushed
                    unflushed = []
                else:
                    unflushed.append(write)
            left = survivors(unflushed, rng)
            for write in (*kept, *left):
                data = (
                    os.pread(log.fileno(), write.size, write.source) if write.source >= 0 else b""
                )
                target.seek(write.at)
                target.write(data.ljust(write.size, b"\0"))
            target.flush()
        self._overlay.unlink()
        self._log.unlink()
        return Lost(len(unflushed), len(unflushed) - len(left))


def entries(log: int) -> Iterator[Write | None]:
    """Yield what an open log has, in order: writes, and None for each flush.

    QEMU may have been killed while it noted an entry: there is a gap of zeros then.
    """
    end = os.fstat(log).st_size
    at = SECTOR
    while at < end:
        head = os.pread(log, _HEAD.size, at)
        if not any(head):
            try:
                at = max(at + SECTOR, os.lseek(log, at, os.SEEK_DATA) // SECTOR * SECTOR)
            except OSError:  # ENXIO: nothing follows
                return
            continue
        sector, count, flags, _ = _HEAD.unpack(head)
        at += SECTOR
        if flags & _FLUSH:
            yield None
        elif flags & _DISCARD:
            yield Write(sector * SECTOR, count * SECTOR, -1)
        else:
            yield Write(sector * SECTOR, count * SECTOR, at)
            at += count * SECTOR


def survivors(writes: Sequence[Write], rng: random.Random) -> list[Write]:
    """Return those of the *writes* since the last flush that got onto the disk."""
    how = rng.choice(("none", "all", "beginning", "some", "some"))
    if how == "none" or not writes:
        return []
    if how == "all":
        left = list(writes)
    elif how == "beginning":
        left = list(writes[: rng.randrange(len(writes) + 1)])
    else:
        share = rng.random()
        left = [write for write in writes if rng.random() < share]
    if left and rng.random() < 0.5:  # noqa: PLR2004 - as often as not
        sectors = rng.randrange(left[-1].size // SECTOR + 1)
        last = left.pop()
        left.append(Write(last.at, sectors * SECTOR, last.source))
    return left
