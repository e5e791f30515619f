"""What the page's server can be asked for: a list of routes, each with the right it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from appliance.errors import LunaError

Scope = Literal["open", "read", "talk", "admin"]
"""``open`` needs no log-in; ``read`` sees, ``talk`` also asks and says, ``admin`` changes Luna."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KILOBYTE = 1024
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


class RequestError(LunaError):
    """A request is refused; *status* is the one of HTTP that says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Doc:
    """What the API's description says of a route; see :mod:`appliance.web.openapi`."""

    summary: str
    body: Any = None
    """Type of the JSON in the request's body: a pydantic model; None: no JSON."""
    body_types: tuple[str, ...] = ()
    """Media types of a body that is not JSON."""
    body_needed: bool = True
    query: Any = None
    """A pydantic model whose fields are the parameters in the query."""
    headers: tuple[str, ...] = ()
    """Headers of the request that mean something here; none must be there."""
    answer: Any = None
    """Type of the JSON in the answer; None: any object."""
    answer_types: tuple[str, ...] = (JSON,)
    """Media types of the answer; empty: there is no body."""
    status: int = 200


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
    doc: Doc | None = None
    """Without one, the first line of the handler's docstring says what it is."""
