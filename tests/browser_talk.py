"""A browser that talks to Luna: the client's end of the WebSocket, and a server with that alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from aiohttp import web
from aiohttp.test_utils import TestServer

from appliance.web import talk

RATE = 16_000
FRAME = RATE // 20
"""50 ms, as an AudioWorklet gathers them."""
REPORT_S = 0.1
LIMIT_S = 60.0

Samples = npt.NDArray[np.int16]


class Browser:
    """Presses, speaks, plays at the pace of a sound card, and reports what it has played."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, reports: bool = True) -> None:
        self.socket = socket
        self.reports = reports
        self.messages: list[dict[str, Any]] = []
        self.sound: dict[int, bytearray] = {}
        """What came, by turn."""
        self.flushed: list[int] = []
        self._rate = 0
        self._turn = 0
        self._ended: set[int] = set()
        self._played: dict[int, int] = {}
        self._changed = asyncio.Event()
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._play())]

    async def send(self, kind: str, **fields: object) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def say(self, samples: Samples, pace: float = 1.0) -> None:
        """Press, speak in real time, release."""
        await self.send("press")
        await self.speak(samples, pace)
        await self.send("release")

    async def speak(self, samples: Samples, pace: float = 1.0) -> None:
        """Send sound as fast as it is captured."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at in range(0, len(samples), FRAME):
            await self.socket.send_bytes(samples[at : at + FRAME].tobytes())
            await asyncio.sleep(began + pace * (at + FRAME) / RATE - loop.time())

    async def until(self, condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        """Wait until *condition* holds."""
        async with asyncio.timeout(limit_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_message(self, kind: str, limit_s: float = LIMIT_S) -> dict[str, Any]:
        """Return the first message of this type, or wait for it; it is taken out."""

        def found() -> list[dict[str, Any]]:
            return [message for message in self.messages if message["type"] == kind]

        await self.until(found, limit_s)
        message = found()[0]
        self.messages.remove(message)
        return message

    def samples(self, turn_id: int) -> Samples:
        """Return what came of the reply of a turn."""
        return np.frombuffer(bytes(self.sound.get(turn_id, b"")), np.int16)

    def played(self, turn_id: int) -> int:
        """Return how many samples of a reply were heard."""
        return self._played.get(turn_id, 0)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.socket.close()

    async def _receive(self) -> None:
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.sound[self._turn] += message.data
            else:
                fields = message.json()
                self.messages.append(fields)
                await self._take(fields)
            self._changed.set()
        self._changed.set()

    async def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": "audio", "turn_id": turn_id, "rate": rate}:
                self._turn, self._rate = turn_id, rate
                self.sound[turn_id] = bytearray()
            case {"type": "end", "turn_id": turn_id}:
                self._ended.add(turn_id)
            case {"type": "flush", "turn_id": turn_id}:
                self.flushed.append(turn_id)
                await self._report(turn_id, finished=True)

    async def _report(self, turn_id: int, *, finished: bool) -> None:
        if self.reports:
            samples = self.played(turn_id)
            await self.send("played", turn_id=turn_id, samples=samples, finished=finished)

    async def _play(self) -> None:
        done: set[int] = set()
        while True:
            await asyncio.sleep(REPORT_S)
            turn_id = self._turn
            if not turn_id or turn_id in done or turn_id in self.flushed:
                continue
            there = len(self.sound[turn_id]) // 2
            self._played[turn_id] = min(there, self.played(turn_id) + int(REPORT_S * self._rate))
            self._changed.set()
            finished = turn_id in self._ended and self._played[turn_id] == there
            await self._report(turn_id, finished=finished)
            if finished:
                done.add(turn_id)


@asynccontextmanager
async def talk_server(connect: Callable[[], talk.TalkSession]) -> AsyncIterator[TestServer]:
    """Serve the route and nothing else, without any log-in."""
    application = web.Application()
    for route in talk.routes(connect):
        application.router.add_route(route.method, route.path, route.handler)
    server = TestServer(application, handler_cancellation=True, shutdown_timeout=0.5)
    await server.start_server()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def browser(server: TestServer, *, reports: bool = True) -> AsyncIterator[Browser]:
    """Open the page's connection."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(server.make_url(talk.PATH)) as socket,
    ):
        page = Browser(socket, reports)
        try:
            yield page
        finally:
            await page.close()
