"""Real processes that are killed, and a real disk that is full."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tinydb import TinyDB

from appliance.errors import StorageError
from appliance.storage.flash import FlashStorage

KILLS = 40
WRITER = """
import sys
from functools import partial
from pathlib import Path
from tinydb import TinyDB
from appliance.storage import flash
flash.MIN_JOURNAL = 4000  # so that kills hit compactions too
db = TinyDB(storage=partial(flash.FlashStorage, Path(sys.argv[1])))
number = len(db) + 1
while True:
    assert db.insert({"n": number, "text": "lembrar " * (number % 50)}) == number
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
    number += 1
"""


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    rng = random.Random(9)
    acknowledged = 0
    for _ in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == f"{acknowledged + 1}\n"
        time.sleep(rng.random() * 0.05)
        writer.kill()
        said = writer.stdout.read().splitlines()
        writer.wait()
        acknowledged = int(said[-1]) if said else acknowledged + 1
        storage = FlashStorage(folder, read_only=True)
        documents = (storage.read() or {})["_default"]
        assert not storage.report.lost
        assert not storage.report.damaged
        assert len(documents) in (acknowledged, acknowledged + 1)  # one may have been in flight
        assert [d["n"] for d in documents.values()] == list(range(1, len(documents) + 1))
        acknowledged = len(documents)
    assert acknowledged > KILLS


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream:
        for size in (4096, 1):
            try:
                while stream.write(b"x" * size):
                    pass
            except OSError:
                continue
    return filler


def open_db(folder: Path, **options: Any) -> TinyDB:
    return TinyDB(storage=partial(FlashStorage, folder, notify=lambda _: None, **options))


def test_a_full_disk_refuses_and_loses_nothing(small_disk: Path) -> None:
    folder = small_disk / "store"
    with open_db(folder) as db:
        db.insert_multiple({"n": n} for n in range(100))
        filler = fill(small_disk)
        stored = 100
        for _ in range(50):  # the last page of the journal has a little room left
            try:
                db.insert({"text": "x" * 1000})
            except StorageError:
                continue
            stored += 1
        assert stored < 110
        with pytest.raises(StorageError, match="the disk is full"):
            db.insert({"text": "x" * 5000})
        documents = db.all()
        assert len(documents) == stored
        with open_db(folder, read_only=True) as reader:
            assert reader.all() == documents
    with open_db(folder) as db:  # opens on a full disk, too
        assert db.all() == documents
        filler.unlink()
        db.insert({"n": "more"})
        assert len(db) == stored + 1


def test_a_store_cannot_begin_on_a_full_disk_and_begins_later(small_disk: Path) -> None:
    filler = fill(small_disk)
    with open_db(small_disk / "store") as db:
        with pytest.raises(StorageError, match="the disk is full"):
            db.insert({"n": 1})
        assert db.all() == []
        filler.unlink()
        db.insert({"n": 2})
        assert db.all() == [{"n": 2}]


def test_a_read_only_disk_is_read_and_refuses(small_disk: Path) -> None:
    with open_db(small_disk / "store") as db:
        db.insert({"n": 1})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with open_db(small_disk / "store") as db:
        assert db.all() == [{"n": 1}]
        with pytest.raises(StorageError, match="the disk is read-only"):
            db.insert({"n": 2})
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        db.insert({"n": 3})
        assert [d["n"] for d in db.all()] == [1, 3]
