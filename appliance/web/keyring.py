"""Everything that decides who gets in, in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.web.access import Access
from appliance.web.limits import Backoff
from appliance.web.pairing import Pairing
from appliance.web.passwords import Passwords
from appliance.web.sessions import Sessions
from appliance.web.store import AccessStore
from appliance.web.tokens import Tokens


class Keyring:
    """Password, sessions, tokens and the pairing window.

    Args:
        store: what of it survives.
        changed: called when somebody may log in who could not before, or the other way round.
        revoked: called with the id of a session or token that is over.
    """

    def __init__(
        self,
        store: AccessStore,
        changed: Callable[[], None],
        revoked: Callable[[str], None],
    ) -> None:
        self._changed = changed
        self._revoked = revoked
        self.passwords = Passwords(store)
        self.sessions = Sessions(store)
        self.tokens = Tokens(store)
        self.pairing = Pairing(changed)
        self.log_ins = Backoff()
        # Five tries in all are the limit there; one guesser must not use up the owner's.
        self.pairings = Backoff(together=False)
        self.changes = Backoff(together=False)
        """Guesses at the present password by somebody who is logged in."""

    @property
    def lan_wanted(self) -> bool:
        """Whether the LAN is to be listened on.

        It is when there is a password, or something is paired, or shall be now.
        """
        return self.passwords.is_set or bool(self.sessions.listed()) or self.pairing.left_s() > 0

    # --- what the gate asks ---

    def session(self, cookie: str) -> Access | None:
        """Return who has the session of this cookie."""
        return self.sessions.find(cookie)

    def token(self, token: str) -> Access | None:
        """Return who has this API token."""
        return self.tokens.find(token)

    def csrf(self, session: str) -> str:
        """Return the CSRF token of a session."""
        return self.sessions.csrf(session)

    # --- changes ---

    async def begin_session(self, name: str) -> tuple[str, str]:
        """Begin a session; return its id and its cookie."""
        begun = await self.sessions.begin(name)
        self._changed()
        return begun

    async def end_session(self, key: str) -> None:
        """End a session and hang up on it; raises UsageError when there is none."""
        await self.sessions.revoke(key)
        self._revoked(key)
        self._changed()

    async def end_all_sessions(self, but: str = "") -> int:
        """End all sessions except *but*; return how many."""
        keys = [row["id"] for row in self.sessions.listed() if row["id"] != but]
        await self.sessions.revoke_all(but)
        for key in keys:
            self._revoked(key)
        self._changed()
        return len(keys)

    async def end_token(self, key: str) -> None:
        """End a token and hang up on it; raises UsageError when there is none."""
        await self.tokens.revoke(key)
        self._revoked(key)
        self._changed()

    async def adopt_password(self, file: Path) -> None:
        """Take the password that an image's first start left; all sessions have to log in anew.

        Raises:
            StorageError: it is no hash, or could not be stored.
        """
        if await self.passwords.adopt(file):
            await self.end_all_sessions()

    async def set_password(self, password: str, keep: str = "") -> None:
        """Set the password; all sessions but *keep* have to log in anew."""
        await self.passwords.set(password)
        await self.end_all_sessions(but=keep)
