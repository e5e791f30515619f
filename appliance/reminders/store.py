"""The store of the reminders: what it acknowledged is on the disk.

The record that comes back from :meth:`ReminderStore.add` carries its id: the receipt without
which Luna must not say "saved". One thread at a time may use the store.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document

from appliance.errors import StorageError
from appliance.reminders.records import Reminder, from_document, to_document
from appliance.storage.files import FileLayer
from appliance.storage.flash import FlashStorage

logger = logging.getLogger("luna.reminders")

FOLDER = "reminders"
"""The store's name in the data folder."""
_SINGLES = {"clock": 1, "jobs": 2}
"""Ids of the documents of which there is one each."""


@dataclass(frozen=True)
class Known:
    """What was last known of time: the floor below which a clock is not believed."""

    wall: str
    """ISO 8601, UTC."""
    boot_id: str
    boot: float
    """Seconds of that boot's clock at the same moment."""
    zone: str = ""
    """Name of the zone in which the box then was."""
    believed: bool = True
    """The wall clock was believed at that moment; otherwise *wall* is older than *boot*."""


class ReminderStore:
    """Reminders, what is known of time, and when each job ran last.

    Raises:
        StorageError: from the constructor when the store cannot be opened (another process has
            it, it is of a newer Luna); from every change when nothing was stored.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._db = TinyDB(storage=lambda: storage)
        self._reminders = self._db.table("reminders", cache_size=0)
        self._singles = self._db.table("state", cache_size=0)
        self._ids = {document.doc_id for document in self._reminders}
        self._next_id = max(self._ids, default=0) + 1

    @classmethod
    def on_flash(
        cls, data_dir: Path, *, read_only: bool = False, files: FileLayer | None = None
    ) -> ReminderStore:
        """Open the store in *data_dir*; a reader takes no lock and can change nothing."""
        return cls(FlashStorage(data_dir / FOLDER, read_only=read_only, files=files))

    def load(self) -> dict[int, Reminder]:
        """Return all reminders by id. What cannot be read stays in the store, and is logged."""
        found = {}
        for document in self._reminders:
            try:
                found[document.doc_id] = from_document(document.doc_id, document)
            except StorageError as error:
                logger.error("%s", error)
        return found

    def add(self, reminder: Reminder) -> Reminder:
        """Store a new reminder; return it with its id."""
        number = self._next_id
        stored = replace(reminder, id=number)
        self._reminders.insert(Document(to_document(stored), doc_id=number))
        self._ids.add(number)
        self._next_id += 1
        return stored

    def put(self, reminders: Iterable[Reminder]) -> None:
        """Store changed reminders: all of them or, when it raises, none."""
        new = {reminder.id: to_document(reminder) for reminder in reminders}
        if not new:
            return
        if lost := new.keys() - self._ids:
            raise StorageError(f"there is no reminder {min(lost)} in the store")
        # TinyDB changes the documents in the order of `doc_ids`, in one write.
        following = iter(new.values())

        def change(document: MutableMapping[str, Any]) -> None:
            document.update(next(following))

        self._reminders.update(change, doc_ids=list(new))

    def remove(self, numbers: Iterable[int]) -> int:
        """Forget reminders for good; return how many. The newest stays: its id must not return."""
        doomed = [number for number in numbers if number != self._next_id - 1]
        if doomed:
            self._reminders.remove(doc_ids=doomed)
            self._ids -= set(doomed)
        return len(doomed)

    # --- one document each ---------------------------------------------------------------------

    def known(self) -> Known | None:
        """Return what was last known of time."""
        found = self._single("clock")
        return (
            Known(**{field.name: found[field.name] for field in fields(Known)}) if found else None
        )

    def note(self, known: Known) -> None:
        """Store what is known of time now."""
        self._put_single("clock", asdict(known))

    def job_runs(self) -> dict[str, str]:
        """Return when each job last ran (ISO 8601, UTC)."""
        return dict(self._single("jobs").get("runs", {}))

    def note_job(self, name: str, at: str) -> None:
        """Store that a job ran."""
        self._put_single("jobs", {"runs": {**self.job_runs(), name: at}})

    def _single(self, name: str) -> Mapping[str, Any]:
        found = self._singles.get(doc_id=_SINGLES[name])
        return found if isinstance(found, Document) else {}

    def _put_single(self, name: str, values: dict[str, Any]) -> None:
        self._singles.upsert(Document(values, doc_id=_SINGLES[name]))

    # --- maintenance ---------------------------------------------------------------------------

    def compact(self) -> None:
        """Rewrite the store in as little room as it needs."""
        if isinstance(self._storage, FlashStorage):
            self._storage.compact()

    def close(self) -> None:
        """Give the lock back."""
        self._db.close()
