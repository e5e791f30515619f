"""A boot partition and a root slot whose power can be cut between any two operations.

More severe than FAT on Linux: until a folder is synced, each name that was made or removed in it
(a rename does both) may or may not be on the disk, independently; until a file is synced, each of
its pages, and its length, may be from any time; a renamed file is a name with nothing behind it
until it is synced again; and each page of the slot may be from any time.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.storage.files import FileLayer
from tests.storage.power import RecordedFile

PAGE = 512


@dataclass
class Image:
    """What a power cut left."""

    files: dict[str, bytes]
    slots: dict[str, bytes]


class Card(FileLayer):
    """The boot partition; paths count from *root*. *on_operation* is called after each change."""

    def __init__(self, root: Path, image: Image) -> None:
        self.root = root
        self.files = {name: RecordedFile(data) for name, data in image.files.items()}
        self._durable = dict(self.files)
        self._pending: list[tuple[str, RecordedFile | None]] = []
        self.folders = {str(Path(name).parent) for name in self.files} | {"a"}
        self.slots = {name: SimulatedSlot(data, self._done) for name, data in image.slots.items()}
        self.on_operation: Callable[[], None] = lambda: None
        self._open: dict[int, RecordedFile] = {}

    # --- operations ---

    def _done(self) -> None:
        self.on_operation()

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.root))

    def _file(self, path: Path) -> RecordedFile:
        if self._name(path) not in self.files:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return self.files[self._name(path)]

    def names(self, folder: Path) -> list[str]:
        here = self._name(folder)
        if here not in self.folders:
            raise FileNotFoundError(errno.ENOENT, "no such folder", str(folder))
        return [Path(name).name for name in self.files if str(Path(name).parent) == here]

    def read(self, path: Path) -> bytes:
        return self._file(path).now

    def size(self, path: Path) -> int:
        return len(self.read(path))

    def make_folder(self, path: Path) -> None:
        if self._name(path) in self.folders:
            raise FileExistsError
        self.folders.add(self._name(path))

    def open(self, path: Path, *, empty: bool = False) -> int:
        name = self._name(path)
        if name not in self.files:
            self.files[name] = RecordedFile()
            self._pending.append((name, self.files[name]))
        if empty:
            self.files[name].versions.append(b"")
        descriptor = max(self._open, default=10) + 1
        self._open[descriptor] = self.files[name]
        self.on_operation()
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        file = self._open[descriptor]
        file.versions.append(file.now + data)
        self.on_operation()

    def sync(self, descriptor: int) -> None:
        file = self._open[descriptor]
        file.durable, file.versions = file.now, []
        self.on_operation()

    def close(self, descriptor: int) -> None:
        del self._open[descriptor]

    def rename(self, source: Path, target: Path) -> None:
        file = self._file(source)
        moved = RecordedFile(b"", [file.now])
        if over := self._durable.get(self._name(target)):
            over.durable, over.versions = b"", [over.now, file.now]  # its clusters are free
        self._pending += [(self._name(target), moved), (self._name(source), None)]
        del self.files[self._name(source)]
        self.files[self._name(target)] = moved
        self.on_operation()

    def overwrite(self, path: Path, data: bytes) -> None:
        file = self._file(path)
        file.versions.append(data)
        self.on_operation()
        file.durable, file.versions = file.now, []
        self.on_operation()

    def remove(self, path: Path) -> None:
        self._file(path)
        self._pending.append((self._name(path), None))
        del self.files[self._name(path)]
        self.on_operation()

    def sync_folder(self, folder: Path) -> None:
        here = self._name(folder)
        for name, file in [p for p in self._pending if str(Path(p[0]).parent) == here]:
            self._set(self._durable, name, file)
        self._pending = [p for p in self._pending if str(Path(p[0]).parent) != here]
        self.on_operation()

    @staticmethod
    def _set(names: dict[str, RecordedFile], name: str, file: RecordedFile | None) -> None:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file

    # --- the cut ---

    def images(self, rng: random.Random, variants: int) -> Iterator[Image]:
        """Yield what a power cut at this moment may leave."""
        yield Image(
            {name: file.durable for name, file in self._durable.items()},
            {name: bytes(slot.durable) for name, slot in self.slots.items()},
        )
        yield Image(
            {name: file.now for name, file in self.files.items()},
            {name: bytes(slot.now) for name, slot in self.slots.items()},
        )
        for _ in range(variants):
            names = dict(self._durable)
            for name, file in self._pending:
                if rng.random() < 0.5:
                    self._set(names, name, file)
            yield Image(
                {name: file.mixed(rng, PAGE) for name, file in names.items()},
                {name: slot.mixed(rng) for name, slot in self.slots.items()},
            )


@dataclass
class SimulatedSlot:
    """A root slot."""

    content: bytes
    on_operation: Callable[[], None]
    durable: bytearray = field(init=False)
    now: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.durable, self.now = bytearray(self.content), bytearray(self.content)

    @property
    def size(self) -> int:
        return len(self.now)

    def read(self, at: int, size: int) -> bytes:
        return bytes(self.now[at : at + size])

    def write(self, at: int, data: bytes) -> None:
        half = len(data) // 2
        for begin, part in ((at, data[:half]), (at + half, data[half:])):
            self.now[begin : begin + len(part)] = part
            self.on_operation()

    def sync(self) -> None:
        self.durable[:] = self.now
        self.on_operation()

    def mixed(self, rng: random.Random) -> bytes:
        if self.durable == self.now:
            return bytes(self.now)
        return b"".join(
            bytes((self.now if rng.random() < 0.5 else self.durable)[at : at + PAGE])
            for at in range(0, len(self.now), PAGE)
        )
