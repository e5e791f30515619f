"""Logged-in browsers: a signed cookie there, a row here, so that each can be sent away."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.signer import Signer

from appliance.web.access import RIGHTS, Access
from appliance.web.routing import RequestError
from appliance.web.store import AccessStore, Row

TABLE = "sessions"
MAX_SESSIONS = 50
"""The one that was seen longest ago has to go when another is added."""
MAX_NAME = 60
LIFETIME = timedelta(days=180)
"""Not seen for so long, a session is over."""
SEEN_STEP = timedelta(hours=6)
"""The disk learns only so exactly when a session was seen last: it is flash."""
COOKIE_AGE_S = 400 * 24 * 3600
"""The longest that browsers keep a cookie (RFC 6265bis)."""
MAX_COOKIE = 300


def clean_name(name: str, fallback: str) -> str:
    """Return what a device or a token is called: one short line, no control characters."""
    plain = "".join(c for c in name if unicodedata.category(c)[0] != "C")
    return " ".join(plain.split())[:MAX_NAME].strip() or fallback


class Sessions:
    """All sessions.

    Args:
        store: keeps them.
        now: the wall clock, UTC.
    """

    def __init__(
        self, store: AccessStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._now = now
        self._seen: dict[str, datetime] = {}
        self._cookies = URLSafeSerializer(store.key, salt="luna.session")
        self._csrf = Signer(store.key, salt="luna.csrf")

    async def begin(self, name: str) -> tuple[str, str]:
        """Begin a session; return its id and its cookie.

        Raises:
            StorageError: it could not be stored.
        """
        rows = self._store.table(TABLE)
        spare = len(rows) - MAX_SESSIONS + 1
        if spare > 0:
            oldest = sorted(rows, key=lambda key: str(rows[key]["seen"]))[:spare]
            await self._store.remove(TABLE, *oldest)
        key = secrets.token_hex(8)
        stamp = self._now().isoformat(timespec="seconds")
        row = {"name": clean_name(name, "browser"), "created": stamp, "seen": stamp}
        await self._store.put(TABLE, key, row)
        return key, str(self._cookies.dumps(key))

    def find(self, cookie: str) -> Access | None:
        """Return who has this cookie; None: nobody (any more)."""
        if len(cookie) > MAX_COOKIE:
            return None
        try:
            key = self._cookies.loads(cookie)
        except BadData:
            return None
        row = self._store.table(TABLE).get(key) if isinstance(key, str) else None
        if row is None or self._last_seen(key, row) < self._now() - LIFETIME:
            return None
        self._seen[key] = self._now()
        return Access("session", RIGHTS["admin"], key, row["name"])

    async def note_seen(self) -> None:
        """Write down who was seen, as far as the disk shall know it."""
        for key, row in list(self._store.table(TABLE).items()):
            if self._last_seen(key, row) - datetime.fromisoformat(row["seen"]) >= SEEN_STEP:
                seen = self._last_seen(key, row).isoformat(timespec="seconds")
                await self._store.put(TABLE, key, {**row, "seen": seen})

    def csrf(self, key: str) -> str:
        """Return the CSRF token of a session: it lives and dies with it."""
        return self._csrf.get_signature(key).decode()

    def listed(self) -> list[dict[str, Any]]:
        """Return id, name, created and seen of all sessions, the last seen first."""
        rows = [
            {
                "id": key,
                "name": row["name"],
                "created": row["created"],
                "seen": self._last_seen(key, row).isoformat(timespec="seconds"),
            }
            for key, row in self._store.table(TABLE).items()
        ]
        return sorted(rows, key=lambda row: str(row["seen"]), reverse=True)

    async def revoke(self, key: str) -> None:
        """End a session.

        Raises:
            RequestError: there is none of this id.
            StorageError: it goes on.
        """
        if key not in self._store.table(TABLE):
            raise RequestError(404, "there is no such session; `luna web sessions` lists them")
        await self._store.remove(TABLE, key)
        self._seen.pop(key, None)

    async def revoke_all(self, but: str = "") -> int:
        """End all sessions except *but*; return how many.

        Raises:
            StorageError: they go on.
        """
        keys = [key for key in self._store.table(TABLE) if key != but]
        if keys:
            await self._store.remove(TABLE, *keys)
        return len(keys)

    def _last_seen(self, key: str, row: Row) -> datetime:
        stored = datetime.fromisoformat(row["seen"])
        return max(stored, self._seen.get(key, stored))
