"""`/events`: what happens, as server-sent events, to any number of readers at little cost.

Every public event is written out once, into a log of bounded length that all readers share. A
reader is a position in it. Readers are woken together and not for each event, so that fifty of
them cost Luna little while a model writes; one that takes nothing, or falls behind the log, is
dropped. Nothing here ever makes the publisher of an event wait.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from dataclasses import dataclass

from aiohttp import web

from appliance.bus import PUBLIC, EventBus
from appliance.events import Event, SoundMeasured, to_json
from appliance.web import sse
from appliance.web.routing import EVENT_STREAM, Doc, RequestError, Route
from appliance.web.services import Services

MAX_EVENTS = 2000
MAX_BYTES = 1_000_000
"""Of the log: whatever is older is forgotten."""
MAX_READERS = 200
GATHER_S = 0.05
"""Readers are woken at most this often; the first event after a rest goes out at once."""
HEARTBEAT = b": still here\nevent: heartbeat\ndata: {}\n\n"
"""It is an event, without an id, because scripts in a browser see no comments, and have no other
way to notice a cable that was pulled."""
WRITE_BYTES = 64 * 1024
"""What is handed to a connection at once: all that may pile up for a slow one."""
RETRY_MS = 2000
"""When a browser that has lost the stream asks again."""
_ID = re.compile(r"([0-9a-f]{8})-(\d{1,15})")


@dataclass(frozen=True)
class _Entry:
    number: int
    data: bytes


class EventStream:
    """The log that all readers of a bus share."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._boot = secrets.token_hex(4)
        """An id of another run of Luna means nothing here."""
        self._log: deque[_Entry] = deque()
        self._bytes = 0
        self._last = 0
        """Number of the newest event."""
        self._news = asyncio.Event()
        """Set when there is something for those who wait, and then replaced."""
        self._loop = asyncio.get_running_loop()
        self._woken = 0.0
        self._waking: asyncio.TimerHandle | None = None
        self._readers = 0
        self._closed = False
        bus.listen(self._take)

    def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._wake()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Send the events to one reader for as long as it listens.

        Raises:
            RequestError: there are too many readers.
        """
        if self._readers >= MAX_READERS:
            raise RequestError(503, f"{MAX_READERS} readers follow the events already")
        self._readers += 1
        try:
            return await self._serve(request)
        finally:
            self._readers -= 1

    # --- the log ---

    def _take(self, event: Event) -> None:
        # Levels come ten times a second, for a terminal: they would push out what readers missed.
        if not isinstance(event, PUBLIC) or isinstance(event, SoundMeasured):
            return
        self._last += 1
        data = self._written(event, self._last)
        self._log.append(_Entry(self._last, data))
        self._bytes += len(data)
        while len(self._log) > MAX_EVENTS or (self._bytes > MAX_BYTES and len(self._log) > 1):
            self._bytes -= len(self._log.popleft().data)
        if self._waking is None and self._readers:
            wait = max(0.0, self._woken + GATHER_S - self._loop.time())
            self._waking = self._loop.call_later(wait, self._wake)

    def _written(self, event: Event, number: int) -> bytes:
        # JSON has no raw line breaks, so no text can pose as another event.
        return (
            f"id: {self._boot}-{number}\nevent: {event.type}\ndata: {to_json(event)}\n\n".encode()
        )

    def _wake(self) -> None:
        self._woken, self._waking = self._loop.time(), None
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _since(self, position: int) -> tuple[bytes, int]:
        """Return what follows *position*, as much as is written at once, and where that ends."""
        first = self._log[0].number if self._log else self._last + 1
        pieces, size = [], 0
        for index in range(position + 1 - first, len(self._log)):
            entry = self._log[index]
            pieces.append(entry.data)
            size += len(entry.data)
            position = entry.number
            if size >= WRITE_BYTES:
                break
        return b"".join(pieces), position

    def _follows(self, position: int) -> bool:
        """Return whether everything after *position* is still in the log."""
        oldest = self._log[0].number if self._log else self._last + 1
        return oldest <= position + 1 <= self._last + 1

    def _resumed(self, request: web.Request) -> int | None:
        """Return where a reader that comes back stopped, if it can go on there."""
        known = _ID.fullmatch(request.headers.get("Last-Event-ID", ""))
        if known is None or known[1] != self._boot:
            return None
        position = int(known[2])
        return position if self._follows(position) else None

    # --- a reader ---

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        response = await sse.begin(request)
        first = f"retry: {RETRY_MS}\n\n".encode()
        position = self._resumed(request)
        if position is None:
            position = self._last
            first += self._written(self._bus.current(), position)
        with sse.reader(request):
            await sse.write(response, first)
            while not self._closed:
                news = self._news
                if not self._follows(position):
                    raise TimeoutError  # what it has missed is gone
                data, position = self._since(position)
                if data:
                    await sse.write(response, data)
                    continue
                try:
                    async with asyncio.timeout(sse.HEARTBEAT_S):
                        await news.wait()
                except TimeoutError:
                    await sse.write(response, HEARTBEAT)
        return response


def routes(services: Services) -> list[Route]:
    """Return the route of the stream."""
    doc = Doc(
        "Follow what happens: a snapshot, then every event, as server-sent events. With the "
        "header `Last-Event-ID` of the last one received, it goes on there where that is possible.",
        headers=("Last-Event-ID",),
        answer_types=(EVENT_STREAM,),
    )
    return [Route("GET", "/events", services.events.serve, "read", stream=True, doc=doc)]
