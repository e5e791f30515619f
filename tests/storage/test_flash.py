"""The storage as TinyDB uses it: what is written, found again, refused and repaired."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tinydb import TinyDB, where
from tinydb.operations import add

from appliance.errors import StorageError
from appliance.storage import flash, journal
from appliance.storage.files import FileLayer
from appliance.storage.flash import FlashStorage
from appliance.storage.schema import Schema


def open_db(folder: Path, **options: Any) -> TinyDB:
    return TinyDB(storage=partial(FlashStorage, folder, **options))


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != "lock"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "reminders"


class BrokenLayer(FileLayer):
    """A disk that refuses one kind of operation while *broken* names it."""

    def __init__(self) -> None:
        self.broken = ""
        self.number = errno.EIO

    def _check(self, operation: str) -> None:
        if operation in self.broken.split():
            raise OSError(self.number, os.strerror(self.number))

    def open(self, path: Path, *, empty: bool = False) -> int:
        self._check("open")
        return super().open(path, empty=empty)

    def lock(self, path: Path) -> int:
        self._check("lock")
        return super().lock(path)

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            self._check("write")
        except OSError:
            super().write(descriptor, data[: len(data) // 2])
            raise
        super().write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        self._check("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._check("sync")
        super().sync(descriptor)

    def sync_data(self, descriptor: int) -> None:
        self._check("sync_data")
        super().sync_data(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._check("rename")
        super().rename(source, target)


# --- what TinyDB does --------------------------------------------------------------------------


def test_documents_come_back(folder: Path) -> None:
    with open_db(folder) as db:
        db.insert({"text": "médico às nove", "tags": ["a", {"b": None}], "late": False})
        two = db.table("ledger").insert_multiple([{"n": 1}, {"n": 2}])
        db.table("ledger").update(add("n", 10), doc_ids=[two[1]])
        db.table("ledger").remove(where("n") == 1)
        db.table("gone").insert({"x": 1})
        db.drop_table("gone")
    with open_db(folder) as db:
        assert db.all() == [{"text": "médico às nove", "tags": ["a", {"b": None}], "late": False}]
        assert db.table("ledger").get(doc_id=2) == {"n": 12}
        assert db.tables() == {"_default", "ledger"}
        assert db.storage.report.sentences() == []  # type: ignore[attr-defined]
        db.drop_tables()
    assert open_db(folder).tables() == set()


def test_only_what_changed_is_written(folder: Path) -> None:
    with open_db(folder) as db:
        db.insert_multiple({"text": "x" * 50, "n": n} for n in range(100))
        before = db.storage.stats()["journal_bytes"]  # type: ignore[attr-defined]
        db.update({"n": 7}, doc_ids=[5])
        db.update({"n": 7}, doc_ids=[5])  # the same again is nothing
        assert db.storage.stats()["journal_bytes"] - before < 150  # type: ignore[attr-defined]


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.0), ([1], [True])])
def test_a_change_of_type_alone_is_stored(folder: Path, old: object, new: object) -> None:
    with open_db(folder) as db:
        db.insert({"value": old, "nested": {"value": old}})
        db.update({"value": new, "nested": {"value": new}})
    stored = open_db(folder).all()[0]
    assert repr(stored["value"]) == repr(new)
    assert repr(stored["nested"]["value"]) == repr(new)


def test_what_the_caller_does_with_his_objects_changes_nothing(folder: Path) -> None:
    db = open_db(folder)
    tags = ["a"]
    db.insert({"tags": tags})
    tags.append("b")
    db.all()[0]["tags"].append("c")
    assert db.all()[0]["tags"] == ["a"]


def test_an_updater_that_fails_half_way_changes_nothing(folder: Path) -> None:
    db = open_db(folder)
    db.insert_multiple([{"n": 1}, {"n": "two"}])
    with pytest.raises(TypeError):
        db.update(add("n", 1))
    assert [d["n"] for d in db.all()] == [1, "two"]


@pytest.mark.parametrize("bad", [float("nan"), {1, 2}, "\ud800", object()])
def test_what_has_no_json_form_is_refused(folder: Path, bad: object) -> None:
    db = open_db(folder)
    db.insert({"n": 1})
    with pytest.raises(StorageError, match="cannot be stored"):
        db.insert({"n": bad})
    db.insert({"n": 2})
    assert [d["n"] for d in db.all()] == [1, 2]


def test_the_journal_is_compacted_when_it_outgrows_the_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash, "MIN_JOURNAL", 2000)
    db = open_db(folder)
    db.insert({"n": 0})
    for n in range(300):
        db.update({"n": n})
    stats = db.storage.stats()  # type: ignore[attr-defined]
    assert stats["generation"] > 3
    assert stats["journal_bytes"] < 2100
    kept = [name for name in content(folder) if name.endswith("snapshot")]
    assert len(kept) == 2  # this generation and the one before
    db.close()
    assert open_db(folder).all() == [{"n": 299}]


# --- who may use it ----------------------------------------------------------------------------


def test_there_is_one_writer_and_any_number_of_readers(folder: Path) -> None:
    db = open_db(folder)
    reader = open_db(folder, read_only=True)
    assert reader.all() == []
    with pytest.raises(StorageError, match="in use by another process"):
        open_db(folder)
    db.insert({"n": 1})
    assert reader.all() == [{"n": 1}]
    db.storage.compact()  # type: ignore[attr-defined]
    db.insert({"n": 2})
    db.storage.compact()  # type: ignore[attr-defined]
    assert len(reader) == 2
    with pytest.raises(StorageError, match="reading only"):
        reader.insert({"n": 3})
    db.close()
    open_db(folder).insert({"n": 3})
    assert len(reader) == 3


def test_a_reader_writes_nothing(folder: Path) -> None:
    assert open_db(folder, read_only=True).all() == []
    assert not folder.exists()
    with open_db(folder) as db:
        db.insert({"n": 1})
    newest = folder / "00000001.journal"
    newest.write_bytes(newest.read_bytes() + b"2 90 deadbeef {torn")
    before = content(folder)
    reader = open_db(folder, read_only=True)
    assert reader.all() == [{"n": 1}]
    assert content(folder) == before


def test_only_the_owner_can_read_it(folder: Path) -> None:
    open_db(folder).insert({"n": 1})
    assert folder.stat().st_mode & 0o077 == 0
    assert all(p.stat().st_mode & 0o077 == 0 for p in folder.iterdir())


# --- damage ------------------------------------------------------------------------------------


def filled(folder: Path, *, generations: int = 2) -> list[dict[str, int]]:
    with open_db(folder) as db:
        for generation in range(generations):
            db.insert_multiple({"n": 10 * generation + n} for n in range(3))
            db.insert({"n": 10 * generation + 3})
            if generation < generations - 1:
                db.storage.compact()  # type: ignore[attr-defined]
        return [dict(d) for d in db.all()]


def test_a_torn_end_is_cut_and_reported(folder: Path) -> None:
    documents = filled(folder)
    newest = folder / "00000002.journal"
    whole = newest.read_bytes()
    said: list[str] = []
    for torn in (b"5 9", b"9 40 00000000 {", b"\0" * 700, journal.line(99, b'{"a":{}}')[:-1]):
        newest.write_bytes(whole + torn)
        db = open_db(folder, notify=said.append)
        assert db.all() == documents
        db.close()
        assert newest.read_bytes() == whole
    assert said == [
        f"reminders: an unfinished change of {n} bytes was cut off" for n in (3, 15, 700, 22)
    ]


def test_a_damaged_snapshot_is_replaced_by_the_generation_before(folder: Path) -> None:
    documents = filled(folder, generations=3)
    snapshot = folder / "00000003.snapshot"
    data = bytearray(snapshot.read_bytes())
    data[len(data) // 2] ^= 1
    snapshot.write_bytes(data)
    said: list[str] = []
    db = open_db(folder, notify=said.append)
    assert db.all() == documents
    assert db.storage.report.damaged == ("00000003.snapshot",)  # type: ignore[attr-defined]
    assert said == ["reminders: damaged and recovered: 00000003.snapshot"]
    db.insert({"n": 99})
    db.close()
    db = open_db(folder)  # it was repaired at once
    assert db.storage.report.sentences() == []  # type: ignore[attr-defined]
    assert len(db) == len(documents) + 1


@pytest.mark.parametrize("harm", [Path.unlink, lambda p: p.write_bytes(b""), lambda p: p.mkdir()])
def test_a_snapshot_that_is_gone_or_unreadable_is_replaced_too(
    folder: Path, harm: Callable[[Path], object]
) -> None:
    documents = filled(folder)
    newest = folder / "00000002.snapshot"
    newest.rename(folder / "elsewhere")
    newest.touch()
    if harm is not Path.unlink:
        newest.unlink()
    harm(newest)
    assert open_db(folder).all() == documents


def test_damage_inside_a_journal_costs_that_change_only(folder: Path) -> None:
    with open_db(folder) as db:
        for n in range(5):
            db.insert({"n": n})
    newest = folder / "00000001.journal"
    newest.write_bytes(newest.read_bytes().replace(b'{"n":2}', b'{"n":7}'))
    db = open_db(folder)
    assert [d["n"] for d in db.all()] == [0, 1, 3, 4]
    report = db.storage.report  # type: ignore[attr-defined]
    assert (report.lost, report.damaged) == (1, ("00000001.journal",))
    db.close()
    assert (folder / "00000001.journal").exists()  # kept, as the generation before


def test_a_store_without_any_whole_snapshot_is_refused_and_untouched(folder: Path) -> None:
    filled(folder, generations=4)
    for snapshot in folder.glob("*.snapshot"):
        snapshot.write_bytes(b"rubbish")
    before = content(folder)
    with pytest.raises(StorageError, match="restore a backup"):
        open_db(folder)
    assert content(folder) == before


def test_any_single_flipped_bit_is_noticed_or_harmless(folder: Path) -> None:
    documents = filled(folder, generations=3)
    files = [p for p in folder.iterdir() if p.name != "lock"]
    rng = random.Random(4)
    for _ in range(300):
        path = rng.choice(files)
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        whole = path.read_bytes()
        path.write_bytes(data)
        with suppress(StorageError):  # the bit was in the number of the format: refused
            reader = FlashStorage(folder, read_only=True, notify=lambda _: None)
            found = list((reader.read() or {}).get("_default", {}).values())
            lossless = not (reader.report.lost or reader.report.torn_bytes)
            assert found == documents if lossless else all(d in documents for d in found)
        path.write_bytes(whole)


# --- newer and older programs --------------------------------------------------------------------


def test_a_newer_format_is_refused_and_untouched(folder: Path) -> None:
    filled(folder)
    newest = folder / "00000002.snapshot"
    newest.write_bytes(b"luna-store 2\nwhatever they will think of")
    before = content(folder)
    with pytest.raises(StorageError, match="newer Luna"):
        open_db(folder)
    assert content(folder) == before


def _note_language(tables: dict[str, Any]) -> None:
    for document in tables["_default"].values():
        document.setdefault("language", "pt")


NEW = Schema(2, {2: _note_language})


def test_a_schema_is_migrated_and_can_be_downgraded_by_one(folder: Path) -> None:
    with open_db(folder) as db:
        db.insert({"n": 1})
    with open_db(folder, schema=NEW) as db:
        assert db.all() == [{"n": 1, "language": "pt"}]
        assert db.storage.report.migrated_from == 1  # type: ignore[attr-defined]
    assert (folder / "00000001.snapshot").exists()  # the older generation is kept
    with open_db(folder) as db:  # the older program again
        assert db.all() == [{"n": 1, "language": "pt"}]
        db.insert({"n": 2})
    with open_db(folder, schema=NEW) as db:
        assert db.all() == [{"n": 1, "language": "pt"}, {"n": 2, "language": "pt"}]
    with open_db(folder, schema=NEW) as db:
        assert db.storage.report.migrated_from == 0  # type: ignore[attr-defined]


def test_a_schema_two_versions_newer_is_refused_and_untouched(folder: Path) -> None:
    with open_db(folder, schema=Schema(3)) as db:
        db.insert({"n": 1})
    before = content(folder)
    with pytest.raises(StorageError, match="schema 3"):
        open_db(folder)
    assert content(folder) == before
    with open_db(folder, schema=None) as db:
        assert db.storage.stats()["schema"] == 3  # type: ignore[attr-defined]


# --- disks that refuse -----------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["write", "sync_data", "write truncate", "sync_data sync"])
@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "full"), (errno.EROFS, "read-only"), (errno.EIO, "work")]
)
def test_a_refused_change_is_not_there_and_a_later_one_is(
    folder: Path, broken: str, number: int, reason: str
) -> None:
    layer = BrokenLayer()
    db = open_db(folder, files=layer)
    db.insert({"n": 1})
    layer.broken, layer.number = broken, number
    for _ in range(3):
        with pytest.raises(StorageError, match=f"nothing was stored: .*{reason}"):
            db.insert({"n": 2})
    assert db.all() == [{"n": 1}]
    layer.broken = ""
    db.insert({"n": 3})
    assert [d["n"] for d in db.all()] == [1, 3]
    db.close()
    db = open_db(folder)
    assert [d["n"] for d in db.all()] == [1, 3]
    assert db.storage.report.sentences() == []  # type: ignore[attr-defined]


def test_a_refused_change_does_not_come_back_after_a_write_that_changes_nothing(
    folder: Path,
) -> None:
    layer = BrokenLayer()
    db = open_db(folder, files=layer)
    number = db.insert({"n": 1})
    layer.broken, layer.number = "sync_data truncate", errno.EIO
    with pytest.raises(StorageError):
        db.insert({"n": 2})
    layer.broken = ""
    db.update({"n": 1}, doc_ids=[number])  # as it is already
    # As after a power cut: nothing was closed.
    with open_db(folder, schema=None, read_only=True) as found:
        assert found.all() == [{"n": 1}]


@pytest.mark.parametrize("broken", ["open", "write", "sync", "rename"])
def test_compaction_that_fails_does_not_fail_the_change(
    folder: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash, "MIN_JOURNAL", 300)
    layer = BrokenLayer()
    said: list[str] = []
    db = open_db(folder, files=layer, notify=said.append)
    db.insert({"n": 1})
    layer.broken = broken if broken != "write" else "open"
    for n in range(10):
        db.insert({"n": n, "text": "x" * 50})
    assert said == ["reminders: it cannot be compacted: the disk does not work"] * len(said)
    assert 1 <= len(said) <= 3  # it does not try at every change
    layer.broken = ""
    db.storage.compact()  # type: ignore[attr-defined]
    db.insert({"n": 99})
    db.close()
    assert len(open_db(folder)) == 12


@pytest.mark.parametrize("broken", ["lock", "open", "sync"])
def test_a_disk_that_cannot_be_written_at_the_start_can_be_read(folder: Path, broken: str) -> None:
    documents = filled(folder)
    layer = BrokenLayer()
    layer.broken, layer.number = broken, errno.EROFS
    said: list[str] = []
    db = open_db(folder, files=layer, notify=said.append)
    assert said == ["reminders: nothing can be stored: the disk is read-only"]
    assert db.all() == documents
    with pytest.raises(StorageError, match="read-only"):
        db.insert({"n": 99})
    assert db.all() == documents
    layer.broken = ""
    db.insert({"n": 99})
    db.close()
    assert len(open_db(folder)) == len(documents) + 1


def test_a_closed_storage_says_so(folder: Path) -> None:
    db = open_db(folder)
    db.close()
    with pytest.raises(StorageError, match="closed"):
        db.insert({"n": 1})
