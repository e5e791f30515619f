"""Fills the slot that does not run, chunk by chunk; a chunk that lies there already is left.

That is also how an update goes on after a power cut: nothing is remembered about it but what the
slot itself holds.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from appliance.errors import UpdateError
from appliance.storage.files import FileLayer
from appliance.update import fat
from appliance.update.bundle import BootFile, Chunk, Manifest, Source, digest_of, unpack

SYNC_EVERY = 64 * 1024 * 1024
"""So much is on its way to the card at most: Luna keeps working meanwhile."""

Progress = Callable[[int], None]
"""Called with the bytes that are done."""


class Slot(Protocol):
    """A root slot. All methods raise OSError."""

    size: int

    def read(self, at: int, size: int) -> bytes:
        """Return *size* bytes from the place *at*."""

    def write(self, at: int, data: bytes) -> None:
        """Write *data* to the place *at*."""

    def sync(self) -> None:
        """Return when all of it is on the disk, and forget what was kept of it in memory."""


class BlockSlot:
    """A partition.

    Args:
        path: such as ``/dev/disk/by-partlabel/root_b``.

    Raises:
        OSError: it cannot be opened; EBUSY where it is mounted.
    """

    def __init__(self, path: Path) -> None:
        # Exclusive: a partition that is mounted cannot be opened so (open(2), O_EXCL).
        self._descriptor = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        self.size = os.lseek(self._descriptor, 0, os.SEEK_END)

    def read(self, at: int, size: int) -> bytes:
        """Return *size* bytes from the place *at*; fewer at the end."""
        return os.pread(self._descriptor, size, at)

    def write(self, at: int, data: bytes) -> None:
        """Write *data* to the place *at*."""
        rest = memoryview(data)
        while rest:
            count = os.pwrite(self._descriptor, rest, at)
            rest, at = rest[count:], at + count

    def sync(self) -> None:
        """Return when all of it is on the disk; what is read next comes from there."""
        os.fsync(self._descriptor)
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        os.close(self._descriptor)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BlockSlot]:
    """Open a slot, and close it.

    Raises:
        UpdateError: it is not there, or may not be written.
    """
    try:
        slot = BlockSlot(path)
    except OSError as error:
        raise UpdateError(f"the slot {path} cannot be opened: {error.strerror}") from error
    try:
        yield slot
    finally:
        slot.close()


def write_boot_files(
    files: Sequence[BootFile], source: Source, folder: Path, layer: FileLayer, progress: Progress
) -> None:
    """Put the boot files of a slot in place; every other file of its folder goes.

    Args:
        files: in the order of the bundle.
        source: stands at the first of their chunks.
        folder: of the slot, on the boot partition.
        layer: makes the changes.
        progress: is told what was done.

    Raises:
        UpdateError: the bundle is damaged.
        OSError: the partition fails.
    """
    _make(folder, layer)
    wanted: set[str] = set()
    for file in files:
        path = folder / file.name
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            _make(folder / parent, layer)
        content = b"".join(_unpacked(chunk, source, progress) for chunk in file.chunks)
        fat.put(path, content, layer)
        wanted.add(path.relative_to(folder).parts[0].lower())
    for name in layer.names(folder):
        if name.lower() not in wanted:
            with contextlib.suppress(OSError):  # a folder of an older version; it harms nobody
                layer.remove(folder / name)
    layer.sync_folder(folder)


def _unpacked(chunk: Chunk, source: Source, progress: Progress) -> bytes:
    data = unpack(chunk, source)
    progress(chunk.bytes)
    return data


def _make(folder: Path, layer: FileLayer) -> None:
    with contextlib.suppress(FileExistsError):
        layer.make_folder(folder)
        layer.sync_folder(folder.parent)


def write_root(chunks: Sequence[Chunk], source: Source, slot: Slot, progress: Progress) -> int:
    """Bring the slot to what the bundle has; return the bytes that were there already.

    Raises:
        UpdateError: the bundle is damaged.
        OSError: the slot fails.
    """
    at = kept = unsynced = 0
    for chunk in chunks:
        if _holds(slot, at, chunk):
            source.skip(chunk.stored)
            kept += chunk.bytes
        else:
            slot.write(at, unpack(chunk, source))
            unsynced += chunk.bytes
        at += chunk.bytes
        if unsynced >= SYNC_EVERY:
            slot.sync()
            unsynced = 0
        progress(chunk.bytes)
    slot.sync()
    return kept


def check_root(chunks: Sequence[Chunk], slot: Slot, progress: Progress) -> None:
    """Read the slot back.

    Raises:
        UpdateError: the disk did not keep what was written.
        OSError: the slot fails.
    """
    at = 0
    for chunk in chunks:
        if not _holds(slot, at, chunk):
            raise UpdateError("the card did not keep what was written; it may be worn out")
        at += chunk.bytes
        progress(chunk.bytes)


def _holds(slot: Slot, at: int, chunk: Chunk) -> bool:
    return digest_of(slot.read(at, chunk.bytes)) == chunk.sha256


def work_of(manifest: Manifest) -> int:
    """Return what *progress* is told in all: writing everything, and reading the root back."""
    return manifest.boot_bytes + 2 * manifest.root_bytes
