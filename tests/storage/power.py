"""A disk whose power can be cut: records what was done to files, and makes what could be left.

The model, more severe than a journalling file system: between two syncs each page of a file is
on the disk in any of the states it went through, and so is the file's length; of the changes to
the names in the folder since it was last synced, any may have happened and any not.
"""

from __future__ import annotations

import errno
import io
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.storage.files import FileLayer

Image = dict[str, bytes]
"""The content of a folder."""


@dataclass
class RecordedFile:
    durable: bytes = b""
    versions: list[bytes] = field(default_factory=list)
    """What it became by each operation since it was last synced."""

    @property
    def now(self) -> bytes:
        return self.versions[-1] if self.versions else self.durable

    def mixed(self, rng: random.Random, page: int) -> bytes:
        """Return what a power cut may leave: each page, and the length, from any time."""
        if not self.versions:
            return self.durable
        choices = [self.durable, *self.versions]
        size = len(rng.choice(choices))
        mixed = b"".join(
            rng.choice(choices)[at : at + page].ljust(page, b"\0") for at in range(0, size, page)
        )
        return mixed[:size]


class Disk:
    """One folder: what is on the platter, and what is only in the cache."""

    def __init__(self, image: Image | None = None) -> None:
        self.names = {name: RecordedFile(data) for name, data in (image or {}).items()}
        self._pending: list[tuple[str, RecordedFile | None]] = []
        """Changes of names since the folder was synced: None removes the name."""
        self._durable = dict(self.names)

    def enter(self, name: str, file: RecordedFile | None) -> None:
        self._pending.append((name, file))
        if file is None:
            del self.names[name]
        else:
            self.names[name] = file

    def rename(self, source: str, target: str) -> None:
        self._pending.append((f"{source}\0{target}", self.names[source]))
        self.names[target] = self.names.pop(source)

    def sync_folder(self) -> None:
        self._durable, self._pending = dict(self.names), []

    def quiet(self) -> bool:
        """Return whether a cut now leaves only one possible image."""
        return not self._pending and not any(file.versions for file in self.names.values())

    def images(self, rng: random.Random, variants: int) -> Iterator[Image]:
        """Yield what a power cut at this moment may leave."""
        yield {name: file.durable for name, file in self._durable.items()}
        if self.quiet():
            return
        yield {name: file.now for name, file in self.names.items()}
        yield {name: file.now for name, file in self._durable.items()}
        yield {name: file.durable for name, file in self.names.items()}
        for number in range(variants):
            page = 512 if number % 2 else 4096
            names = self._some_names(rng)
            yield {name: file.mixed(rng, page) for name, file in names.items()}

    def _some_names(self, rng: random.Random) -> dict[str, RecordedFile]:
        names = dict(self._durable)
        for name, file in self._pending:
            if rng.random() < 0.5:
                continue  # undone
            source, renamed, target = name.partition("\0")
            if renamed:
                names.pop(source, None)
                names[target] = file  # type: ignore[assignment]
            elif file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return names


class Killed(BaseException):
    """The process ended here, as by kill -9: what it had written is in the cache."""


@dataclass
class Faults:
    """How likely each operation fails."""

    rng: random.Random
    fail: float = 0.0
    kill: float = 0.0

    def check(self, *, can_fail: bool = True) -> None:
        if self.rng.random() < self.kill:
            raise Killed
        if can_fail and self.rng.random() < self.fail:
            raise OSError(self.rng.choice((errno.EIO, errno.ENOSPC)), "made to fail")


class RecordingLayer(FileLayer):
    """Keeps files in a :class:`Disk`; after every operation *on_operation* may cut the power."""

    def __init__(self, disk: Disk, faults: Faults, on_operation: Any = lambda: None) -> None:
        self.disk = disk
        self.written = 0
        self._faults = faults
        self._on_operation = on_operation
        self._open: dict[int, RecordedFile | None] = {}
        self._locked = False

    def _done(self) -> None:
        self._on_operation()

    def _file(self, path: Path) -> RecordedFile:
        if path.name not in self.disk.names:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return self.disk.names[path.name]

    def names(self, folder: Path) -> list[str]:
        return list(self.disk.names)

    def read(self, path: Path) -> bytes:
        return self._file(path).now

    def size(self, path: Path) -> int:
        return len(self._file(path).now)

    def make_folder(self, path: Path) -> None:
        raise FileExistsError

    def open(self, path: Path, *, empty: bool = False) -> int:
        self._faults.check()
        if path.name not in self.disk.names:
            self.disk.enter(path.name, RecordedFile())
        file = self.disk.names[path.name]
        if empty and file.now:
            file.versions.append(b"")
        descriptor = max(self._open, default=10) + 1
        self._open[descriptor] = file
        self._done()
        return descriptor

    def _of(self, descriptor: int) -> RecordedFile:
        file = self._open[descriptor]
        assert file is not None
        return file

    def write(self, descriptor: int, data: bytes) -> None:
        file = self._of(descriptor)
        try:
            self._faults.check()
        except OSError:
            file.versions.append(file.now + data[: self._faults.rng.randrange(len(data))])
            raise
        file.versions.append(file.now + data)
        self.written += len(data)
        self._done()

    def truncate(self, descriptor: int, size: int) -> None:
        self._faults.check()
        file = self._of(descriptor)
        file.versions.append(file.now[:size])
        self._done()

    def sync(self, descriptor: int) -> None:
        file = self._of(descriptor)
        try:
            self._faults.check()
        except OSError:
            # As Linux does it: some pages made it and some did not, and none is tried again.
            file.durable, file.versions = file.mixed(self._faults.rng, 4096), []
            raise
        file.durable, file.versions = file.now, []
        self._done()

    def sync_data(self, descriptor: int) -> None:
        self.sync(descriptor)

    def close(self, descriptor: int) -> None:
        if self._open.pop(descriptor) is None:
            self._locked = False

    def rename(self, source: Path, target: Path) -> None:
        self._faults.check()
        self.disk.rename(source.name, target.name)
        self._done()

    def remove(self, path: Path) -> None:
        self._faults.check()
        self.disk.enter(self._file(path) and path.name, None)
        self._done()

    def sync_folder(self, folder: Path) -> None:
        self._faults.check()
        self.disk.sync_folder()
        self._done()

    def lock(self, path: Path) -> int:
        if self._locked:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        self._locked = True
        descriptor = max(self._open, default=10) + 1
        self._open[descriptor] = None
        return descriptor

    def process_ended(self) -> None:
        """Release what the kernel releases."""
        self._open.clear()
        self._locked = False


class RecordedStream(io.RawIOBase):
    """A file opened by code that knows nothing of layers, recorded all the same."""

    def __init__(self, disk: Disk, name: str, on_operation: Any) -> None:
        self._file = disk.names[name]
        self._at = 0
        self._on_operation = on_operation

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return id(self)

    def readinto(self, buffer: Any) -> int:
        data = self._file.now[self._at : self._at + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        now, data = self._file.now, bytes(data)
        now = now[: self._at].ljust(self._at, b"\0") + data + now[self._at + len(data) :]
        self._file.versions.append(now)
        self._at += len(data)
        self._on_operation()
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._file.now)}[whence]
        self._at = base + offset
        return self._at

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        self._file.versions.append(self._file.now[:size].ljust(size, b"\0"))
        self._on_operation()
        return size

    def sync(self) -> None:
        self._file.durable, self._file.versions = self._file.now, []
        self._on_operation()
