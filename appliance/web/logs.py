"""The last lines of the log, and those that follow."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from appliance.web import sse
from appliance.web.api.bodies import Query, query, reply
from appliance.web.ports import Log, Row
from appliance.web.routing import EVENT_STREAM, Doc, RequestError, Route
from appliance.web.services import Services

MAX_READERS = 20


class Follow(Query):
    """Which lines are wanted."""

    level: Literal["debug", "info", "warning", "error"] = "debug"
    """At least this level."""
    contains: Annotated[str, Field(max_length=200)] = ""
    """In text, worker or event; capitals do not matter."""


class Last(Follow):
    """Which lines are wanted, and how many."""

    limit: Annotated[int, Field(ge=1, le=2000)] = 200


def routes(services: Services) -> list[Route]:
    """Return the routes of this module."""
    return _Logs(services.log).routes()


class _Logs:
    def __init__(self, source: Log) -> None:
        self._source = source
        self._readers = 0

    async def last(self, request: web.Request) -> web.Response:
        wanted = query(request, Last)
        return reply({"lines": self._source.last(wanted.limit, wanted.level, wanted.contains)})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        wanted = query(request, Follow)
        if self._readers >= MAX_READERS:
            raise RequestError(503, f"{MAX_READERS} readers follow the log already")
        self._readers += 1
        try:
            return await self._serve(request, wanted)
        finally:
            self._readers -= 1

    async def _serve(self, request: web.Request, wanted: Follow) -> web.StreamResponse:
        def written(line: Row) -> bytes:
            wants = self._source.matches(line, wanted.level, wanted.contains)
            return _event(line) if wants else b""

        async with aclosing(self._source.follow()) as lines:
            return await sse.send(
                request, lines, written, first=b": here are the lines to come\n\n"
            )

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(
                "GET",
                "/api/v1/logs",
                self.last,
                "read",
                doc=Doc("The last lines of the log, the oldest first.", query=Last),
            ),
            Route(
                "GET",
                "/api/v1/logs/stream",
                self.stream,
                "read",
                stream=True,
                doc=Doc(
                    "Follow the log: each line to come, as a server-sent event `line`.",
                    query=Follow,
                    answer_types=(EVENT_STREAM,),
                ),
            ),
        ]


def _event(line: Row) -> bytes:
    # JSON has no raw line breaks, so no text can pose as another event.
    data = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return f"id: {line['n']}\nevent: line\ndata: {data}\n\n".encode()
