"""Keeps the quota ledger in TinyDB: one document a day, and one for the ledger's clock.

A day is written as a whole, so that what it holds and what it has used change in one step. TinyDB
walks through a whole store for every change, so there are two: a small one with today and with
days that have running requests, and the history, which is written once a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.storages import Storage
from tinydb.table import Document, Table

from appliance.errors import StorageError
from appliance.providers.quota_day import Day, DayClock
from appliance.storage.flash import FlashStorage

Storages = Callable[[str], Storage]
"""Opens one of the two stores, ``today`` and ``history``."""
CLOCK_ID = 1


def on_flash(data_dir: Path, *, read_only: bool = False) -> Storages:
    """Return what opens the ledger's stores in *data_dir*, the folder of all state."""
    return lambda name: FlashStorage(data_dir / "quota" / name, read_only=read_only)


class LedgerStore:
    """The ledger's days in two TinyDB storages."""

    def __init__(self, storages: Storages) -> None:
        """Open both.

        Raises:
            StorageError: one cannot be opened, or another process has it.
        """
        with _translated("opened"):
            self._today = TinyDB(storage=lambda: storages("today"))
            try:
                self._history = TinyDB(storage=lambda: storages("history"))
            except BaseException:
                self._today.close()
                raise
        self._live = self._today.table("days", cache_size=0)
        self._clock = self._today.table("clock", cache_size=0)
        self._past = self._history.table("days", cache_size=0)

    def load(self) -> tuple[list[Day], list[Day], DayClock | None]:
        """Return live days, past days, and the clock unless nothing was ever counted.

        A day that is in both was on its way to the history, or is in use again: the live one is
        as new or newer.

        Raises:
            StorageError: they cannot be read.
        """
        with _translated("read"):
            # In this order: a day that the writer moves meanwhile is not missed.
            live, past = self._live.all(), self._past.all()
            clock = self._clock.get(doc_id=CLOCK_ID)
        try:
            return (
                [Day.from_document(document) for document in live],
                [Day.from_document(document) for document in past],
                _clock(clock) if clock else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StorageError(
                f"the quota ledger is damaged ({error}); restore it from a backup"
            ) from error

    def save(
        self,
        live: Iterable[Day],
        past: Iterable[Day] = (),
        clock: DayClock | None = None,
        gone: Iterable[date] = (),
    ) -> None:
        """Store days as they are now; days that are not named stay as they are.

        When it returns, everything is on the disk.

        Args:
            live: days that go on changing.
            past: days that are over, whether or not they were live.
            clock: None when it did not change.
            gone: days to be forgotten.

        Raises:
            StorageError: it is not certain that anything was stored.
        """
        past, gone = list(past), list(gone)
        with _translated("stored"):
            if clock is not None:
                behind = clock.behind.isoformat() if clock.behind else ""
                _put(self._clock, CLOCK_ID, {"highest": str(clock.highest), "behind": behind})
            for day in live:
                _put(self._live, day.date.toordinal(), day.to_document())
            for day in past:
                _put(self._past, day.date.toordinal(), day.to_document())
            if over := [name.toordinal() for name in (*gone, *(day.date for day in past))]:
                self._live.remove(doc_ids=over)
            if gone:
                self._past.remove(doc_ids=[name.toordinal() for name in gone])

    def close(self) -> None:
        """Close both."""
        with _translated("closed"):
            self._today.close()
            self._history.close()


def _put(table: Table, number: int, document: dict[str, Any]) -> None:
    table.upsert(Document(document, doc_id=number))


def _clock(document: Document) -> DayClock:
    behind = document["behind"]
    return DayClock(
        highest=date.fromisoformat(document["highest"]),
        behind=date.fromisoformat(behind) if behind else None,
    )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the quota ledger cannot be {what}: {error.strerror or error}"
        ) from error
