"""Who is asking, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiohttp import web

Kind = Literal["session", "token", "local", "none"]

RIGHTS: dict[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "talk": frozenset({"read", "talk"}),
    "admin": frozenset({"read", "talk", "admin"}),
}
"""What each scope stands for: who may talk may also see, who may change Luna may do everything."""


@dataclass(frozen=True)
class Access:
    """Who makes a request; handlers ask :func:`access_of`."""

    kind: Kind
    """``session``: a logged-in browser; ``token``: a program with an API token; ``local``: a
    command of this machine, through the Unix socket; ``none``: nobody that is known."""
    scopes: frozenset[str] = frozenset()
    id: str = ""
    """Of the session or the token."""
    name: str = ""
    """Of the device, the token, or empty."""

    def may(self, scope: str) -> bool:
        """Return whether a route of this scope may be used."""
        return scope == "open" or scope in self.scopes


NOBODY = Access("none")
LOCAL = Access("local", RIGHTS["admin"], name="local")


ACCESS = web.RequestKey("access", Access)


def access_of(request: web.Request) -> Access:
    """Return who makes this request."""
    found: Access = request.get(ACCESS, NOBODY)
    return found
