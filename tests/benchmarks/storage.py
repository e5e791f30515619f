"""The storage on flash against stock TinyDB: bytes, time, and what a power cut leaves."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

from tinydb import TinyDB
from tinydb.storages import JSONStorage

from appliance.storage.files import FileLayer
from appliance.storage.flash import FlashStorage
from tests.storage.power_cuts import run_ours, run_stock

STORED = 1_000
LARGE = 10_000


class CountingLayer(FileLayer):
    """Counts bytes, and takes the time of what waits for the disk."""

    def __init__(self) -> None:
        self.written = 0
        self.syncs = 0
        self.sync_s = 0.0

    def write(self, descriptor: int, data: bytes) -> None:
        self.written += len(data)
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._timed(super().sync, descriptor)

    def sync_data(self, descriptor: int) -> None:
        self._timed(super().sync_data, descriptor)

    def _timed(self, sync: object, descriptor: int) -> None:
        began = time.perf_counter()
        sync(descriptor)  # type: ignore[operator]
        self.sync_s += time.perf_counter() - began
        self.syncs += 1


def reminder(rng: random.Random, number: int) -> dict[str, object]:
    """Return a document of the size and form that reminders have."""
    return {
        "kind": "reminder",
        "text": rng.choice(("call the doctor", "ligar para o médico", "pay the rent")),
        "due": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}T09:00:00",
        "zone": "America/Sao_Paulo",
        "rule": "",
        "state": "waiting",
        "created": 1_770_000_000.0 + number,
        "language": "pt",
    }


def run(quick: bool) -> dict[str, float]:
    """Measure; see TARGETS in the package's main module for what the keys mean."""
    rng = random.Random(1)
    added = 100 if quick else 1_000
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        results = _adding(Path(name), rng, added)
        results |= _opening(Path(name), rng, 3 if quick else 10)
    return results | _power_cuts(2 if quick else 12)


def _adding(folder: Path, rng: random.Random, added: int) -> dict[str, float]:
    documents = [reminder(rng, n) for n in range(STORED + added)]
    layer = CountingLayer()
    with TinyDB(storage=partial(FlashStorage, folder / "ours", files=layer)) as db:
        db.insert_multiple(documents[:STORED])
        db.storage.compact()  # type: ignore[attr-defined]
        layer.written = layer.syncs = 0
        own_ms, all_ms = [], []
        for document in documents[STORED:]:
            began, waited = time.perf_counter(), layer.sync_s
            db.insert(document)
            took = time.perf_counter() - began
            all_ms.append(1000 * took)
            own_ms.append(1000 * (took - (layer.sync_s - waited)))
        ours = layer.written / added
        syncs = layer.syncs / added
    with TinyDB(folder / "stock.json", storage=JSONStorage) as db:
        db.insert_multiple(documents[:STORED])
        stock, stock_ms = 0, []
        for document in documents[STORED : STORED + 50]:
            began = time.perf_counter()
            db.insert(document)
            stock_ms.append(1000 * (time.perf_counter() - began))
            stock += (folder / "stock.json").stat().st_size  # it writes all of it each time
    return {
        "bytes_ratio": ours / (stock / 50),
        "bytes_per_add": ours,
        "add_own_ms": statistics.median(own_ms),
        "add_own_p95_ms": statistics.quantiles(own_ms, n=20)[-1],
        "add_ms": statistics.median(all_ms),
        "add_max_ms": max(all_ms),
        "syncs_per_add": syncs,
        "stock_add_ms": statistics.median(stock_ms),
    }


def _opening(folder: Path, rng: random.Random, rounds: int) -> dict[str, float]:
    path = folder / "large"
    with TinyDB(storage=partial(FlashStorage, path)) as db:
        db.insert_multiple(reminder(rng, n) for n in range(LARGE))
        db.storage.compact()  # type: ignore[attr-defined]
        for n in range(100):
            db.insert(reminder(rng, n))
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        with TinyDB(storage=partial(FlashStorage, path)) as db:
            assert len(db) == LARGE + 100
        times.append(1000 * (time.perf_counter() - began))
    return {"open_ms": statistics.median(times), "open_max_ms": max(times)}


def _power_cuts(seeds: int) -> dict[str, float]:
    ours = [run_ours(seed, 100) for seed in range(seeds)]
    stock = [run_stock(seed, 60) for seed in range(2)]
    return {
        "power_cuts": sum(t.images for t in ours),
        "lost_after_power_cut": sum(t.failures for t in ours),
        "stock_lost_percent": 100 * sum(t.failures for t in stock) / sum(t.images for t in stock),
    }
