"""API tokens: for programs, each with a scope; shown once, kept as a hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from typing import Any

from appliance.errors import UsageError
from appliance.web.access import RIGHTS, Access
from appliance.web.routing import RequestError
from appliance.web.sessions import clean_name
from appliance.web.store import AccessStore

TABLE = "tokens"
MAX_TOKENS = 50
PREFIX = "luna_"
SECRET_BYTES = 32
"""256 random bits cannot be guessed: a fast hash is enough, and a slow one would cost each
request dearly."""
MAX_TOKEN = 100


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """All API tokens."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    async def create(self, name: str, scope: str) -> dict[str, Any]:
        """Make a token; return its row, with the token itself for this one time.

        Raises:
            UsageError: there is no such scope, or there are too many tokens.
            StorageError: it could not be stored.
        """
        if scope not in RIGHTS:
            raise UsageError(f"the scope is one of {', '.join(RIGHTS)}")
        if len(self._store.table(TABLE)) >= MAX_TOKENS:
            raise UsageError(f"there are {MAX_TOKENS} tokens already; revoke one first")
        token = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        key = secrets.token_hex(4)
        row = {
            "name": clean_name(name, "token"),
            "scope": scope,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        await self._store.put(TABLE, key, {**row, "sha256": _hash(token)})
        return {"id": key, **row, "token": token}

    def find(self, token: str) -> Access | None:
        """Return who has this token; None: nobody (any more)."""
        if len(token) > MAX_TOKEN:
            return None
        hashed, found = _hash(token), None
        for key, row in self._store.table(TABLE).items():
            if hmac.compare_digest(row["sha256"], hashed):
                found = Access("token", RIGHTS[row["scope"]], key, row["name"])
        return found

    def listed(self) -> list[dict[str, Any]]:
        """Return id, name, scope and created of all tokens."""
        return [
            {"id": key, **{name: row[name] for name in ("name", "scope", "created")}}
            for key, row in self._store.table(TABLE).items()
        ]

    async def revoke(self, key: str) -> None:
        """End a token.

        Raises:
            RequestError: there is none of this id.
            StorageError: it goes on.
        """
        if key not in self._store.table(TABLE):
            raise RequestError(404, "there is no such token; `luna web tokens` lists them")
        await self._store.remove(TABLE, key)
