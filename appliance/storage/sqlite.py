"""One SQLite file: opened safely, its errors translated, set aside when it is damaged.

The file is in WAL mode, so that readers never wait for a writer and other processes (`luna
history` beside the running service) may use it at the same time.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from appliance.errors import StorageError

BUSY_TIMEOUT_S = 5.0
"""How long a writer waits for another process that writes."""
_SIDE_FILES = ("-wal", "-shm")
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """A SQLite file with a schema.

    It may be used from several threads; one at a time gets in. A damaged file is renamed to
    ``NAME.damaged-TIME`` the moment it is noticed: that call fails with a StorageError that says
    so, and the next one works on a new, empty file.

    Args:
        path: the file; its folder is made when it is not there. Only the owner can read it.
        schema: SQL that makes the tables (``CREATE ... IF NOT EXISTS`` is not needed).
        version: of the schema, kept in ``user_version``. A file of a newer Luna is refused.
        durable: a commit returns when the data is on the disk (``synchronous=FULL``); without
            it the last commits may be missing after a power cut, and the file is still sound.
    """

    def __init__(self, path: Path, schema: str, *, version: int = 1, durable: bool = True) -> None:
        self.path = path
        self._schema = schema
        self._version = version
        self._durable = durable
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for queries.

        Raises:
            StorageError: the file cannot be used; a damaged one was set aside.
        """
        with self._lock, self._translated():
            yield self._open()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one transaction: committed at the end, undone by an exception.

        Raises:
            StorageError: nothing was written; a damaged file was set aside.
        """
        with self._lock, self._translated():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):  # the first error is the one that matters
                        connection.execute("ROLLBACK")
                raise

    def compact(self) -> None:
        """Rewrite the file without what was deleted, so that nothing of it can be found there.

        Raises:
            StorageError: it could not be rewritten.
        """
        with self.read() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    # --- opening ---

    def _open(self) -> sqlite3.Connection:
        """Return the connection to the file that has the name now."""
        if self._connection is not None and _inode(self.path) != self._inode:
            self.close()  # another process has set it aside
        if self._connection is None:
            self._connection = self._connect()
            self._inode = _inode(self.path)
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA secure_delete=ON")
            self._make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > self._version:
            raise StorageError(
                f"{self.path} was written by a newer Luna; update this one, or move the file away"
            )
        if found == self._version:
            return
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have been quicker.
        if connection.execute("PRAGMA user_version").fetchone()[0] != self._version:
            for statement in _statements(self._schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={self._version}")
        connection.execute("COMMIT")

    # --- errors ---

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code not in _DAMAGED:
                raise StorageError(f"{self.path} cannot be used: {error}") from error
            aside = self._set_aside()
            raise StorageError(
                f"{self.path} was damaged; it was set aside as {aside.name} and a new file begun"
            ) from error
        except OSError as error:
            raise StorageError(f"{self.path} cannot be used: {error.strerror}") from error

    def _set_aside(self) -> Path:
        """Rename the damaged file, unless another process has done so already."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns() // 1_000_000}")
        opened = self._inode if self._connection is not None else _inode(self.path)
        self.close()
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if _inode(self.path) == opened:
                for suffix in ("", *_SIDE_FILES):
                    with suppress(FileNotFoundError):
                        os.rename(f"{self.path}{suffix}", f"{aside}{suffix}")
                os.fsync(folder)
        finally:
            os.close(folder)
        return aside


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements (``executescript`` would end the transaction)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
