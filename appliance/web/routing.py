"""What the page's server can be asked for: a list of routes, each with the right it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

Scope = Literal["open", "read", "talk", "admin"]
"""``open`` needs no log-in; ``read`` sees, ``talk`` also asks and says, ``admin`` changes Luna."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KILOBYTE = 1024


@dataclass(frozen=True)
class Route:
    """One method of one path.

    There is no route without a scope, and no answer without a route: what is not listed is
    refused.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """In aiohttp's form, with ``{name:pattern}`` for parts of it."""
    handler: Handler
    scope: Scope
    max_body: int = 64 * KILOBYTE
    """Bytes of a request's body at most."""
    stream: bool = False
    """The answer goes on for as long as the client listens (SSE, WebSocket, download)."""
