"""Reads a store from the disk: the newest whole snapshot, and all that was acknowledged since.

A store is a folder of generations:

    00000007.snapshot  00000007.journal   the state at its begin, and every change since
    00000006.snapshot  00000006.journal   the generation before, complete up to where 7 begins
    lock                                  who holds it may write

The journals of all generations are one log, in which revisions count up. A snapshot is a place
to begin in that log: any whole one leads to the same state, if the journals after it are whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from appliance.errors import StorageError
from appliance.storage import journal
from appliance.storage.changes import Tables, apply
from appliance.storage.files import FileLayer

SNAPSHOT = "snapshot"
JOURNAL = "journal"
_NAME = re.compile(r"(\d{8})\.(snapshot|journal)")
_ATTEMPTS = 10
"""How often a reader begins again because the writer replaced the files under its eyes."""


def file_name(generation: int, kind: str) -> str:
    """Return the name of a generation's snapshot or journal."""
    return f"{generation:08d}.{kind}"


def generations(names: list[str]) -> dict[str, list[int]]:
    """Return the generations among *names* in rising order, by kind of file."""
    found: dict[str, list[int]] = {SNAPSHOT: [], JOURNAL: []}
    for name in sorted(names):
        if match := _NAME.fullmatch(name):
            found[match[2]].append(int(match[1]))
    return found


@dataclass
class Loaded:
    """What was found on the disk."""

    tables: Tables = field(default_factory=dict)
    revision: int = 0
    schema: int = 0
    """Of the documents; 0 where nothing was stored yet."""
    generation: int = 0
    """The newest one; 0 where there is none."""
    needed: int = 0
    """The oldest generation of which something was used."""
    replayed: int = 0
    """Changes that were read from journals."""
    journal_end: int = 0
    """Bytes of the newest journal up to the end of its last whole record; 0: it has none."""
    torn_bytes: int = 0
    """What follows there: a change that was not acknowledged."""
    lost: int = 0
    """Acknowledged changes that could not be read any more."""
    damaged: list[str] = field(default_factory=list)
    """Files that are not whole, beyond a torn end."""
    snapshot_bytes: int = 0
    journal_bytes: int = 0
    """Of the newest generation."""

    @property
    def documents(self) -> int:
        """How many documents there are in all tables."""
        return sum(len(table) for table in self.tables.values())


def load(files: FileLayer, folder: Path) -> Loaded:
    """Read the store *folder*; nothing is written, and no lock is needed.

    Raises:
        StorageError: it cannot be read, is damaged beyond what the journals hold, or was
            written by a newer program.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _load(files, folder)
        except FileNotFoundError:
            continue  # the writer has just removed an old generation
        except OSError as error:
            raise StorageError(f"{folder} cannot be read: {error.strerror}") from error
    raise StorageError(f"{folder} changes too quickly to be read; try again")


def _load(files: FileLayer, folder: Path) -> Loaded:
    try:
        found = generations(files.names(folder))
    except FileNotFoundError:
        return Loaded()  # not made yet
    journals = {n: files.read(folder / file_name(n, JOURNAL)) for n in found[JOURNAL]}
    snapshots = {n: _read_snapshot(files, folder, n) for n in found[SNAPSHOT]}
    for kind, contents in ((SNAPSHOT, snapshots), (JOURNAL, journals)):
        for number, data in contents.items():
            journal.check_format(data, str(folder / file_name(number, kind)))
    loaded = Loaded(generation=max([*snapshots, *journals], default=0))
    _begin(loaded, snapshots)
    _replay(loaded, journals, folder)
    return loaded


def _read_snapshot(files: FileLayer, folder: Path, generation: int) -> bytes:
    """Return the content; nothing for one that the disk cannot read, for there is another."""
    try:
        return files.read(folder / file_name(generation, SNAPSHOT))
    except FileNotFoundError:
        raise
    except OSError:
        return b""


def _begin(loaded: Loaded, snapshots: dict[int, bytes]) -> None:
    """Take the newest whole snapshot."""
    for number in sorted(snapshots, reverse=True):
        data = snapshots[number]
        record = next(journal.records(data), None)
        if record is not None and data.startswith(journal.HEADER) and record.end == len(data):
            body = record.body()
            loaded.tables, loaded.schema = body.get("tables", {}), body.get("schema", 1)
            loaded.revision = record.revision
            loaded.snapshot_bytes = len(data)
            loaded.needed = number
            return
        loaded.damaged.append(file_name(number, SNAPSHOT))


def _replay(loaded: Loaded, journals: dict[int, bytes], folder: Path) -> None:
    """Apply what the journals hold beyond the snapshot."""
    from_nothing = loaded.schema == 0
    for number in sorted(journals):
        data = journals[number]
        end = len(journal.HEADER) if data.startswith(journal.HEADER) else 0
        damaged = False
        for record in journal.records(data):
            damaged = damaged or end == 0  # records, but no header
            end = record.end
            if record.revision <= loaded.revision:
                continue  # the snapshot has it
            missing = record.revision - loaded.revision - 1
            damaged = damaged or missing > 0
            loaded.lost += missing
            apply(loaded.tables, record.body())
            loaded.revision = record.revision
            loaded.replayed += 1
            loaded.needed = min(loaded.needed, number)
        if damaged:
            loaded.damaged.append(file_name(number, JOURNAL))
        if number == loaded.generation:
            loaded.journal_end, loaded.torn_bytes = end, len(data) - end
            loaded.journal_bytes = len(data)
    # A store begins empty, at revision 0: without a snapshot the whole log still is the store.
    empty = not loaded.replayed and (loaded.generation <= 1 or not loaded.damaged)
    incomplete = loaded.lost or not (loaded.replayed or empty)
    if from_nothing and incomplete:
        raise StorageError(
            f"{folder} is damaged: no snapshot is whole ({', '.join(loaded.damaged) or 'none'}); "
            "restore a backup with `luna restore FILE`; nothing was changed"
        )
