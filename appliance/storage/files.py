"""The operations on files that a store needs, in one place.

Tests put a layer of their own here: one that records every operation and cuts the power between
two of them, or one that fails as a full or broken disk does.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLayer:
    """The real operations. All of them raise OSError; what is made belongs to the owner alone."""

    def names(self, folder: Path) -> list[str]:
        """Return the names of what lies in *folder*."""
        return os.listdir(folder)

    def read(self, path: Path) -> bytes:
        """Return the whole content of a file."""
        return path.read_bytes()

    def size(self, path: Path) -> int:
        """Return the bytes of a file."""
        return path.stat().st_size

    def make_folder(self, path: Path) -> None:
        """Make one folder; its parent must exist."""
        path.mkdir(mode=0o700)

    def open(self, path: Path, *, empty: bool = False) -> int:
        """Return a descriptor that appends to *path*; *empty* drops what it held."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(path, flags | (os.O_TRUNC if empty else 0), 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Append *data*. When it fails, a part of it may be in the file."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def overwrite(self, path: Path, data: bytes) -> None:
        """Write *data* over the beginning of a file, in place; return when it is on the disk."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, data, 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file after *size* bytes."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return when the file, with all that is known about it, is on the disk."""
        os.fsync(descriptor)

    def sync_data(self, descriptor: int) -> None:
        """Return when what is needed to read the file again is on the disk."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file over another one, if there is one."""
        source.rename(target)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in *folder* are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> int:
        """Take the exclusive lock *path*, which the kernel releases when this process ends.

        Returns:
            The descriptor that holds it.

        Raises:
            BlockingIOError: another process has it.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
