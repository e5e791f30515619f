"""What must survive of who may come in: the password's hash, sessions, API tokens.

Nothing in it is a secret that opens anything: the key that signs session cookies is a file of its
own in `secrets/`, which a backup leaves out unless it is asked for, and tokens are hashed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.errors import StorageError
from appliance.storage.background import Background
from appliance.storage.flash import FlashStorage

logger = logging.getLogger("luna.web")

FOLDER = "web"
KEY = Path("secrets") / "web-session.key"
KEY_BYTES = 32

Row = dict[str, Any]
Rows = dict[str, Row]


class AccessStore:
    """Rows by table and id, in memory and on the disk.

    Args:
        data_dir: ``DATA_DIR``.

    Raises:
        StorageError: it cannot be read, or another process has it.
    """

    def __init__(self, data_dir: Path) -> None:
        self._storage = FlashStorage(data_dir / FOLDER)
        self._tables: dict[str, Rows] = self._storage.read() or {}
        self._background = Background("web-store")
        self._one = asyncio.Lock()
        self.key = _key(data_dir / KEY)

    def table(self, name: str) -> Rows:
        """Return the rows of a table by id; they are not to be changed."""
        return self._tables.get(name, {})

    async def put(self, table: str, key: str, row: Row) -> None:
        """Store a row; it is on the disk when this returns.

        Raises:
            StorageError: it is not, and nothing has changed.
        """
        await self._store(table, lambda rows: {**rows, key: row})

    async def remove(self, table: str, *keys: str) -> None:
        """Remove rows.

        Raises:
            StorageError: they are still there.
        """
        await self._store(
            table, lambda rows: {key: row for key, row in rows.items() if key not in keys}
        )

    async def _store(self, table: str, change: Callable[[Rows], Rows]) -> None:
        # A client that hangs up cancels its request, but not what has begun to be stored.
        await asyncio.shield(asyncio.ensure_future(self._changed(table, change)))

    async def _changed(self, table: str, change: Callable[[Rows], Rows]) -> None:
        async with self._one:
            tables = {**self._tables, table: change(self.table(table))}
            await self._background.call(self._storage.write, tables)
            self._tables = tables

    def close(self) -> None:
        """Wait for what is being written, and give the store back."""
        self._background.close()
        self._storage.close()


def _key(path: Path) -> bytes:
    """Return the key that signs cookies, made when it is not there.

    Where it cannot be stored it holds until the service ends, and so do the sessions: on a card
    that cannot be written, or that is full, the page still opens.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        if path.exists() and len(key := path.read_bytes()) == KEY_BYTES:
            return key
    except OSError as error:
        raise StorageError(f"the key {path} cannot be read: {error.strerror}") from error
    key = secrets.token_bytes(KEY_BYTES)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".new")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError as error:
        logger.warning("%s cannot be stored (%s): who logs in now has to do so again after a "
                       "restart", path, error.strerror)  # fmt: skip
    return key
