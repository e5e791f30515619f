"""Backups: consistent while Luna runs, verified before anything is touched, never half-way."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tinydb import TinyDB

from appliance.errors import StorageError
from appliance.storage import restore as restoring
from appliance.storage.backup import MANIFEST, backup
from appliance.storage.flash import FlashStorage
from appliance.storage.restore import finish, restore

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def open_db(folder: Path) -> TinyDB:
    return TinyDB(storage=partial(FlashStorage, folder))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with something of every kind."""
    data = tmp_path / "data"
    with open_db(data / "reminders") as db:
        db.insert_multiple({"n": n} for n in range(10))
    with closing(sqlite3.connect(data / "history.db")) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("create table t (n)")
        connection.executemany("insert into t values (?)", [(n,) for n in range(10)])
        connection.commit()
    (data / "deep" / "er").mkdir(parents=True)
    (data / "deep" / "er" / "état.json").write_text("{}")
    (data / "secrets").mkdir()
    (data / "secrets" / "key").write_text("hush")
    (data / "empty.lock").touch()
    return data


def names(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return set(archive.getnames())


def rows(data: Path) -> list[int]:
    with closing(sqlite3.connect(data / "history.db")) as connection:
        return [n for (n,) in connection.execute("select n from t")]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "lock" and not p.name.endswith(("-wal", "-shm"))
    }


def test_a_backup_brings_everything_back(data: Path, tmp_path: Path) -> None:
    made = backup(data, tmp_path / "stick", now=NOW)
    assert made.path.name == "luna-backup-20260301T030000Z.tar.gz"
    assert made.notes == []
    assert names(made.path) == {
        "reminders/00000001.snapshot",
        "history.db",
        "deep/er/état.json",
        MANIFEST,
    }
    assert made.path.stat().st_mode & 0o077 == 0
    with open_db(data / "reminders") as db:
        db.truncate()
    (data / "history.db").unlink()
    (data / "newer.txt").write_text("made after the backup")
    done = restore(made.path, data, now=NOW)
    assert (done.files, done.created) == (3, "2026-03-01T03:00:00+00:00")
    with open_db(data / "reminders") as db:
        assert [d["n"] for d in db.all()] == list(range(10))
        db.insert({"n": 10})
    assert rows(data) == list(range(10))
    assert (data / "secrets" / "key").read_text() == "hush"  # not in the backup, so kept
    assert not (data / "newer.txt").exists()
    assert (done.aside / "newer.txt").exists()
    with open_db(done.aside / "reminders") as db:
        assert db.all() == []
    assert not list(data.glob("restore-*"))


def test_secrets_are_in_it_only_when_asked_for(data: Path) -> None:
    made = backup(data, data / "backups", secrets=True)
    assert "secrets/key" in names(made.path)
    (data / "secrets" / "key").write_text("changed")
    done = restore(made.path, data)
    assert (data / "secrets" / "key").read_text() == "hush"
    assert (done.aside / "secrets" / "key").read_text() == "changed"
    assert made.path.exists()  # backups are not moved


def test_a_backup_is_consistent_while_luna_writes(data: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with (
            open_db(data / "reminders") as db,
            closing(sqlite3.connect(data / "history.db")) as connection,
        ):
            n = 10
            while not stop.is_set():
                db.insert_multiple([{"n": n}, {"n": n + 1}])  # two or none
                connection.executemany("insert into t values (?)", [(n,), (n + 1,)])
                connection.commit()
                if n % 50 == 0:
                    db.storage.compact()  # type: ignore[attr-defined]
                n += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [backup(data, tmp_path / "stick").path for _ in range(8)]
    finally:
        stop.set()
        writer.join()
    for number, path in enumerate(made):
        copy = tmp_path / str(number)
        restore(path, copy)
        with open_db(copy / "reminders") as db:
            found = [d["n"] for d in db.all()]
            assert found == list(range(len(found)))
            assert len(found) % 2 == 0
        assert rows(copy) == list(range(len(rows(copy))))
        assert len(rows(copy)) % 2 == 0


def test_retention_keeps_the_newest(data: Path) -> None:
    folder = data / "backups"
    made = [backup(data, folder, keep=3, now=NOW + timedelta(days=n)) for n in range(5)]
    assert sorted(folder.iterdir()) == [m.path for m in made[2:]]
    assert made[4].removed == [made[1].path]
    early = backup(data, folder, keep=3, now=datetime(1970, 1, 1, tzinfo=UTC))
    assert early.path.exists()  # a clock that is wrong removes nothing new
    assert len(list(folder.iterdir())) == 3


def test_what_is_damaged_is_copied_as_it_is(data: Path, tmp_path: Path) -> None:
    (data / "history.db").write_bytes(b"SQLite format 3\0" + b"rubbish" * 100)
    (data / "reminders" / "00000001.snapshot").write_bytes(b"luna-store 9\n")
    made = backup(data, tmp_path)
    assert len(made.notes) == 2
    assert {"reminders/00000001.journal", "history.db"} <= names(made.path)


def test_a_backup_that_fails_leaves_nothing(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="failed"):
        backup(data, tmp_path / "file" / "x")
    with pytest.raises(StorageError, match="nothing to back up"):
        backup(tmp_path / "nowhere", tmp_path / "stick")
    assert not list((tmp_path).glob("stick/*"))


# --- restoring ------------------------------------------------------------------------------------


def test_a_running_luna_is_not_restored_over(data: Path, tmp_path: Path) -> None:
    made = backup(data, tmp_path)
    with open_db(data / "reminders"):
        before = tree(data)
        with pytest.raises(StorageError, match="stop Luna"):
            restore(made.path, data)
        assert tree(data) == before


def test_a_damaged_backup_changes_nothing(data: Path, tmp_path: Path) -> None:
    path = backup(data, tmp_path / "stick").path
    whole, before = path.read_bytes(), tree(data)
    restore(path, tmp_path / "whole")
    wanted = tree(tmp_path / "whole")
    refused = 0
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        flipped = bytearray(whole)
        flipped[at] ^= 0x10
        for number, harmed in enumerate((bytes(flipped), whole[:at])):
            target = tmp_path / f"{at}-{number}"
            path.write_bytes(harmed)
            try:
                restore(path, target)
            except StorageError:
                refused += 1
                assert not list(target.iterdir())
            else:
                # Such as the time in gzip's header: it means nothing.
                assert tree(target) == wanted
    assert refused > 70
    assert tree(data) == before


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("../escape"),
        member("/etc/escape"),
        member("a/../../escape"),
        member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("link", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        member("pipe", type=tarfile.FIFOTYPE),
        member("restore-ready/plan.json"),
        member("x" * 2000),
    ],
    ids=lambda info: f"{info.name[:20]}-{info.type!r}",
)
def test_a_hostile_archive_is_refused(bad: tarfile.TarInfo, tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    manifest = {"format": 1, "secrets": True, "created": "x", "files": {bad.name: {}}}
    text = json.dumps(manifest).encode()
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(bad)
        archive.addfile(member(MANIFEST, size=len(text)), io.BytesIO(text))
    with pytest.raises(StorageError, match="not a backup"):
        restore(path, tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())


def test_what_is_larger_than_the_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    header = member("big", size=1 << 50).tobuf(tarfile.GNU_FORMAT)
    with tarfile.open(path, "w:gz") as archive:
        assert archive.fileobj is not None
        archive.fileobj.write(header)
    with pytest.raises(StorageError, match="no room"):
        restore(path, tmp_path / "data")


def test_a_backup_of_a_newer_luna_is_refused(data: Path, tmp_path: Path) -> None:
    made = backup(data, tmp_path / "stick")
    newer = tmp_path / "newer.tar.gz"
    with tarfile.open(made.path) as old, tarfile.open(newer, "w:gz") as new:
        for info in old:
            content = old.extractfile(info).read()  # type: ignore[union-attr]
            if info.name == MANIFEST:
                content = content.replace(b'"format": 1', b'"format": 2')
            new.addfile(info, io.BytesIO(content))
    with pytest.raises(StorageError, match="newer Luna"):
        restore(newer, data)


class Cut(BaseException):
    """The power was cut."""


def test_a_restore_can_be_cut_off_at_every_rename(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup(data, tmp_path / "stick")
    real: Callable[..., Any] = os.rename
    wanted: dict[str, bytes] = {}
    for allowed in range(30):
        target = tmp_path / f"target-{allowed}"
        backup_of_data = tmp_path / "copy.tar.gz"
        backup_of_data.write_bytes(made.path.read_bytes())
        restore(backup_of_data, target)  # some former content
        (target / "former").write_text("former")
        left = allowed

        def rename(source: Any, destination: Any) -> None:
            nonlocal left
            if left == 0:
                raise Cut
            left -= 1
            real(source, destination)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename)
            patch.setattr(restoring.shutil, "rmtree", lambda *_, **__: None)
            try:
                restore(made.path, target, now=NOW)
            except Cut:
                cut = True
            else:
                cut = False
        began = (target / "restore-ready").exists() or not cut
        finish(target)
        assert finish(target) is None
        found = {
            k: v for k, v in tree(target).items() if not k.startswith(("before", "restore-un"))
        }
        if began:
            wanted = wanted or {k: v for k, v in found.items() if k != "former"}
            assert found == wanted
            assert (target / "before-restore-20260301T030000Z" / "former").exists()
        else:
            assert "former" in found
        if not cut:
            break
    else:
        pytest.fail("it never ended")
