"""A TinyDB storage for flash memory: it writes little, and survives a power cut at any instant.

    db = TinyDB(storage=partial(FlashStorage, data_dir / "reminders"))

The whole state is in memory. A write is compared with it, and what differs is appended to a
journal and synchronised (`journal`, `writer`); opening reads it back (`recovery`).
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from appliance.errors import StorageError
from appliance.storage import journal
from appliance.storage.changes import Tables, apply, copied, difference
from appliance.storage.files import FileLayer
from appliance.storage.recovery import Loaded, file_name, generations, load
from appliance.storage.schema import Schema
from appliance.storage.writer import Writer

logger = logging.getLogger("luna.storage")

MIN_JOURNAL = 128 * 1024
"""Bytes below which a journal is not worth compacting: one erase block of common flash."""
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EROFS: "the disk is read-only",
    errno.EIO: "the disk does not work",
}


@dataclass(frozen=True)
class Report:
    """What opening a store found and did."""

    revision: int = 0
    documents: int = 0
    replayed: int = 0
    """Changes read from journals."""
    torn_bytes: int = 0
    """Bytes of a change that was never acknowledged, cut off."""
    damaged: tuple[str, ...] = ()
    """Files that were not whole; what they held came from the generation before."""
    lost: int = 0
    """Acknowledged changes that could not be read any more."""
    migrated_from: int = 0
    """Schema version that was found, where it was another one."""
    read_only_because: str = ""
    """Why nothing can be written; every write tries again."""

    def sentences(self) -> list[str]:
        """Return what an owner should know; nothing after an ordinary start."""
        said = []
        if self.torn_bytes:
            said.append(f"an unfinished change of {self.torn_bytes} bytes was cut off")
        if self.damaged:
            said.append(f"damaged and recovered: {', '.join(self.damaged)}")
        if self.lost:
            said.append(f"{self.lost} stored changes were lost with them")
        if self.migrated_from:
            said.append(f"migrated from schema {self.migrated_from}")
        if self.read_only_because:
            said.append(f"nothing can be stored: {self.read_only_because}")
        return said


def _log(text: str) -> None:
    logger.warning("%s", text)


class FlashStorage(Storage):
    """The storage. One thread at a time may use it (TinyDB reads, changes and writes).

    Args:
        path: the folder of this store, made when it is not there.
        files: the operations on files.
        schema: of the documents; None takes them as they are.
        read_only: write nothing and take no lock; `read` follows what the writer does.
        notify: gets a sentence when opening repaired something, or when compaction failed.

    Raises:
        StorageError: another process writes this store, it was written by a newer program, or it
            is damaged beyond repair. A disk that cannot be *written* is no reason: the state
            can be read, and every write raises.
    """

    def __init__(
        self,
        path: Path,
        *,
        files: FileLayer | None = None,
        schema: Schema | None = Schema(),  # noqa: B008  (frozen)
        read_only: bool = False,
        notify: Callable[[str], None] = _log,
    ) -> None:
        self._path = path
        self._files = files or FileLayer()
        self._schema = schema
        self._read_only = read_only
        self._notify = notify
        self._writer: Writer | None = None
        self._closed = False
        self._seen: list[tuple[str, int]] = []
        self._tables: Tables = {}
        self._revision = 0
        self._stored_schema = 0
        self._compact_at = MIN_JOURNAL
        self.report = Report()
        if read_only:
            self._follow()
        else:
            self._writer = self._open()
        for sentence in self.report.sentences():
            notify(f"{path.name}: {sentence}")

    # --- what TinyDB calls ---------------------------------------------------------------------

    def read(self) -> Tables | None:
        """Return a copy of the state, None if nothing was ever stored."""
        if self._closed:
            raise StorageError(f"{self._path} is closed")
        if self._read_only:
            self._follow()
        return copied(self._tables) if self._revision else None

    def write(self, data: Mapping[str, Mapping[Any, Mapping[str, Any]]]) -> None:
        """Make *data* the state. When this returns, it is on the disk.

        Raises:
            StorageError: it is not; memory and disk hold what they held before.
        """
        writer = self._writable()
        try:
            changes = difference(self._tables, data)
            text = journal.encode(changes)
        except (TypeError, ValueError, RecursionError) as error:
            raise StorageError(f"{self._path.name}: this cannot be stored: {error}") from error
        try:
            if not changes:
                # A change that was refused may still lie on the disk, and must not come back.
                writer.settle()
                return
            writer.append(self._revision + 1, text)
        except OSError as error:
            raise self._refused(error) from error
        self._revision += 1
        # What was read back shares nothing with the caller's objects.
        apply(self._tables, json.loads(text))
        if writer.journal_bytes > self._compact_at:
            self._compact_in_passing(writer)

    def close(self) -> None:
        """Give the lock back. What was written needs nothing more."""
        self._closed = True
        if self._writer:
            self._writer.close()
            self._writer = None

    # --- maintenance ---------------------------------------------------------------------------

    def compact(self) -> None:
        """Begin a new generation now.

        Raises:
            StorageError: there is no room, or the store cannot be written.
        """
        writer = self._writable()
        try:
            writer.compact(self._tables, self._revision, self._stored_schema)
        except (OSError, ValueError) as error:
            raise self._refused(error) from error
        self._plan(writer)

    def stats(self) -> dict[str, int]:
        """Return counts and sizes, for people and metrics."""
        writer = self._writer
        return {
            "documents": sum(len(table) for table in self._tables.values()),
            "tables": len(self._tables),
            "revision": self._revision,
            "schema": self._stored_schema,
            "generation": writer.generation if writer else 0,
            "journal_bytes": writer.journal_bytes if writer else 0,
            "snapshot_bytes": writer.snapshot_bytes if writer else 0,
        }

    # --- inside --------------------------------------------------------------------------------

    def _open(self) -> Writer | None:
        """Become the writer and read the state; on a disk that refuses, only read it."""
        try:
            return self._open_for_writing()
        except BlockingIOError as error:
            raise StorageError(
                f"{self._path} is in use by another process; is Luna running?"
            ) from error
        except (OSError, ValueError) as error:
            self._take(load(self._files, self._path), self._reason(error))
            return None

    def _open_for_writing(self) -> Writer:
        writer = Writer(self._files, self._path)
        try:
            loaded = load(self._files, self._path)
            self._take(loaded)
            writer.begin(loaded)
            unusual = loaded.damaged or loaded.needed != loaded.generation
            if unusual or not loaded.generation or loaded.schema != self._stored_schema:
                writer.compact(self._tables, self._revision, self._stored_schema)
        except BaseException:
            writer.close()
            raise
        self._plan(writer)
        return writer

    def _take(self, loaded: Loaded, problem: str = "") -> None:
        """Make what was read the state, in this program's schema."""
        stored = loaded.schema
        self._stored_schema = stored or 1
        if self._schema:
            self._schema.check(stored, str(self._path))
            if loaded.revision:
                self._schema.migrate(loaded.tables, stored)
            self._stored_schema = self._schema.version
        self._tables = loaded.tables
        self._revision = loaded.revision
        self.report = Report(
            revision=loaded.revision,
            documents=loaded.documents,
            replayed=loaded.replayed,
            torn_bytes=loaded.torn_bytes,
            damaged=tuple(loaded.damaged),
            lost=loaded.lost,
            migrated_from=stored if stored and stored != self._stored_schema else 0,
            read_only_because=problem,
        )

    def _follow(self) -> None:
        """Read the state again if the writer has changed it (for `read_only`)."""
        try:
            names = self._files.names(self._path)
            kinds = generations(names).items()
            files = [file_name(number, kind) for kind, numbers in kinds for number in numbers]
            seen = [(name, self._files.size(self._path / name)) for name in files]
        except FileNotFoundError:
            seen = []  # not made yet, or changing at this moment
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read: {error.strerror}") from error
        if seen != self._seen or not seen:
            self._take(load(self._files, self._path))
            self._seen = seen

    def _writable(self) -> Writer:
        if self._closed:
            raise StorageError(f"{self._path} is closed")
        if self._read_only:
            raise StorageError(f"{self._path} was opened for reading only")
        if self._writer is None:
            # The disk refused when this was opened. It may have been repaired since.
            revision = self._revision
            self._writer = self._open()
            if self._writer is None:
                raise StorageError(self._not_stored(self.report.read_only_because))
            if self._revision != revision:
                raise StorageError(f"{self._path} was changed by another process; try again")
        return self._writer

    def _compact_in_passing(self, writer: Writer) -> None:
        """Compact after a change that is already stored: a failure must not seem to be its own."""
        try:
            writer.compact(self._tables, self._revision, self._stored_schema)
        except (OSError, ValueError) as error:
            self._compact_at = 2 * writer.journal_bytes
            self._notify(f"{self._path.name}: it cannot be compacted: {self._reason(error)}")
        else:
            self._plan(writer)

    def _plan(self, writer: Writer) -> None:
        """Compact again when the journal has outgrown the data."""
        self._compact_at = max(MIN_JOURNAL, writer.snapshot_bytes)

    def _refused(self, error: OSError | ValueError) -> StorageError:
        return StorageError(self._not_stored(self._reason(error)))

    def _not_stored(self, reason: str) -> str:
        return f"{self._path.name}: nothing was stored: {reason}"

    def _reason(self, error: OSError | ValueError) -> str:
        if isinstance(error, OSError):
            return _REASONS.get(error.errno or 0, f"{self._path}: {error.strerror}")
        return str(error)
