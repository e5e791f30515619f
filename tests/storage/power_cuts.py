"""A random workload on a store whose power may be cut after every operation on its files."""

from __future__ import annotations

import copy
import io
import random
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import tinydb.storages
from tinydb import TinyDB
from tinydb.storages import JSONStorage, MemoryStorage, Storage
from tinydb.table import Document

from appliance.errors import StorageError
from appliance.storage import flash
from appliance.storage.flash import FlashStorage
from tests.storage.power import Disk, Faults, Image, Killed, RecordedStream, RecordingLayer

FOLDER = Path("/disk/store")
Tables = dict[str, Any]
Operation = Callable[[TinyDB], object]


@dataclass
class Tally:
    images: int = 0
    failures: int = 0
    example: str = ""

    def count(self, problem: str) -> None:
        self.images += 1
        if problem:
            self.failures += 1
            self.example = self.example or problem


class Session:
    """Applies operations, and knows which states a power cut may leave."""

    def __init__(self, seed: int, variants: int, check: Callable[[Image, list[Tables]], str]):
        self.rng = random.Random(seed)
        self.tally = Tally()
        self.allowed: list[Tables] = [{}]
        """The state that is served, and those that were in flight since it was acknowledged."""
        self.quiet = False
        self.disk = Disk()
        self._variants = variants
        self._check = check
        self._next_id = 1

    def cut(self) -> None:
        """Try every image that a power cut at this moment may leave."""
        if self.quiet:
            return
        seen = set()
        for image in self.disk.images(self.rng, self._variants):
            key = tuple(sorted(image.items()))
            if key not in seen:
                seen.add(key)
                self.tally.count(self._check(image, self.allowed))

    def acknowledged(self, state: Tables) -> None:
        self.allowed = [state]

    def reopened(self, storage: FlashStorage) -> None:
        """Take what a process finds when it starts again; it counts once it can write."""
        state = storage.read() or {}
        assert state in self.allowed
        self.allowed.sort(key=lambda allowed: allowed != state)
        if not storage.report.read_only_because:
            self.acknowledged(state)

    def apply(self, database: TinyDB, operation: Operation) -> None:
        """Carry out one operation; a StorageError leaves the acknowledged state as it was."""
        mirror = TinyDB(storage=MemoryStorage)
        mirror.storage.write(copy.deepcopy(self.allowed[0]))
        operation(mirror)
        after = mirror.storage.read()
        self.allowed.append(after)
        operation(database)
        self.acknowledged(after)

    def operation(self) -> Operation:
        """Return a random operation that does the same wherever it is applied."""
        rng = self.rng
        kind = rng.choice(("insert", "insert", "insert", "several", "update", "remove", "table"))
        name = rng.choice(("reminders", "ledger", "_default"))
        ids = list(self.allowed[0].get(name, {}))
        if kind in ("update", "remove") and ids:
            doc_id = int(rng.choice(ids))
            if kind == "remove":
                return lambda db: db.table(name).remove(doc_ids=[doc_id])
            fields = {"state": rng.choice((True, 1, None)), "n": rng.randrange(5)}
            return lambda db: db.table(name).update(copy.deepcopy(fields), doc_ids=[doc_id])
        if kind == "table" and rng.random() < 0.2:
            return rng.choice(
                (lambda db: db.drop_table(name), lambda db: db.table(name).truncate())
            )
        documents = [
            self._document() for _ in range(rng.randrange(2, 5) if kind == "several" else 1)
        ]
        return lambda db: db.table(name).insert_multiple(copy.deepcopy(documents))

    def _document(self) -> Document:
        rng = self.rng
        text = "lembrar às nove " * rng.choice((1, 1, 2, 5, 40, 500 if rng.random() < 0.2 else 3))
        self._next_id += 1
        fields = {"text": text, "tags": [rng.randrange(9)], "late": False, "n": rng.random()}
        return Document(fields, self._next_id)


# --- ours ---------------------------------------------------------------------------------------


def _silent(_: str) -> None:
    pass


def _open_ours(layer: RecordingLayer) -> FlashStorage:
    return FlashStorage(FOLDER, files=layer, notify=_silent)


def check_ours(image: Image, allowed: list[Tables], *, depth: int = 0, seed: int = 0) -> str:
    """Open our storage on *image*; return what is wrong with it.

    With *depth*, the power is cut again during recovery and during the first change after it.
    """
    rng = random.Random(seed)
    disk = Disk(image)
    problem = ""

    def cut_again() -> None:
        nonlocal problem
        for again in disk.images(rng, 1):
            problem = problem or check_ours(again, allowed)

    layer = RecordingLayer(disk, Faults(rng), cut_again if depth else _nothing)
    try:
        storage = _open_ours(layer)
        state = storage.read() or {}
        if state not in allowed:
            return f"{state} is none of {allowed}"
        if storage.report.damaged or storage.report.lost:
            return f"taken for damaged: {storage.report}"
        if depth:
            changed = {**state, "extra": {"1": {"text": "one more"}}}
            allowed = [*allowed, changed]
            storage.write(changed)
            allowed = [changed]
            cut_again()
    except StorageError as error:
        return f"refused: {error}"
    return problem


def _nothing() -> None:
    pass


def run_ours(
    seed: int, operations: int, *, variants: int = 4, fail: float = 0.0, kill: float = 0.0
) -> Tally:
    """Run a random workload on our storage and check every image."""
    checks = random.Random(seed)

    def check(image: Image, allowed: list[Tables]) -> str:
        depth = int(checks.random() < 0.1)
        return check_ours(image, allowed, depth=depth, seed=checks.randrange(1 << 30))

    session = Session(seed, variants, check)
    faults = Faults(session.rng)
    layer = RecordingLayer(session.disk, faults, session.cut)
    with mock.patch.object(flash, "MIN_JOURNAL", 3000):
        storage = _open_ours(layer)
        faults.fail, faults.kill = fail, kill
        for _ in range(operations):
            try:
                if session.rng.random() < 0.03:
                    storage.close()
                    storage = _open_ours(layer)
                    session.reopened(storage)
                elif session.rng.random() < 0.03:
                    storage.compact()
                else:
                    session.apply(TinyDB(storage=lambda s=storage: s), session.operation())
            except StorageError:
                # It said that nothing was stored: that is what it must go on saying itself.
                assert (storage.read() or {}) == session.allowed[0]
            except Killed:
                faults.fail = faults.kill = 0.0
                layer.process_ended()
                storage = _open_ours(layer)
                session.reopened(storage)
                faults.fail, faults.kill = fail, kill
    return session.tally


# --- stock TinyDB -------------------------------------------------------------------------------


@contextmanager
def _stock_on(disk: Disk, on_operation: Callable[[], None]) -> Iterator[None]:
    """Let the unchanged JSONStorage work on *disk*."""
    streams: dict[int, RecordedStream] = {}

    def open_(path: str, mode: str = "r", encoding: str | None = None) -> io.TextIOWrapper:
        raw = RecordedStream(disk, path, on_operation)
        streams[raw.fileno()] = raw
        return io.TextIOWrapper(io.BufferedRandom(raw), encoding="utf-8")

    system = types.SimpleNamespace(SEEK_END=2, fsync=lambda fd: streams[fd].sync())
    with (
        mock.patch.object(tinydb.storages, "open", open_, create=True),
        mock.patch.object(tinydb.storages, "os", system),
    ):
        yield


def check_stock(image: Image, allowed: list[Tables]) -> str:
    """Open stock TinyDB on *image*; return what is wrong with it."""
    with _stock_on(Disk(image), _nothing):
        try:
            state = JSONStorage("db.json").read() or {}
        except ValueError as error:
            return f"does not parse: {error}"
    return "" if state in allowed else f"{state} is none of {allowed}"


def run_stock(seed: int, operations: int, *, variants: int = 4) -> Tally:
    """Run the same workload on stock TinyDB. Its file exists already, so no name can be lost."""
    session = Session(seed, variants, check_stock)
    session.disk = Disk({"db.json": b""})
    with _stock_on(session.disk, session.cut):
        storage: Storage = JSONStorage("db.json")
        for _ in range(operations):
            session.apply(TinyDB(storage=lambda: storage), session.operation())
    return session.tally
