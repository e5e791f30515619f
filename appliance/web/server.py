"""The local page: what Luna is doing, read only, for this machine alone.

Everything a browser shows comes from the event stream. Names from outside (the Host header)
are checked, because a foreign web page may point its own name at 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import resources
from typing import Any

from aiohttp import web

from appliance.bus import EventBus
from appliance.errors import ServiceError
from appliance.events import Event, to_json
from appliance.settings import WebSettings

HEARTBEAT_S = 15.0
"""A comment this often keeps a connection without events alive, and shows that it is."""
SLOW_S = 10.0
"""A reader that takes nothing for so long is disconnected."""
MAX_REQUEST = 16 * 1024
STOP_S = 0.3

_FILES = {
    "/": ("web/static/index.html", "text/html"),
    "/luna.css": ("web/static/luna.css", "text/css"),
    "/luna.js": ("web/static/luna.js", "text/javascript"),
    "/locales/en.json": ("locales/en.json", "application/json"),
    "/locales/pt.json": ("locales/pt.json", "application/json"),
}
"""All files there are: a fixed table, so that no path can lead anywhere else."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """A running server."""

    def __init__(self, runner: web.AppRunner, streams: set[asyncio.Task[None]], url: str) -> None:
        self._runner = runner
        self._streams = streams
        self.url = url

    async def stop(self) -> None:
        """Close all connections and the port."""
        for stream in list(self._streams):
            stream.cancel()
        await self._runner.cleanup()


async def start(
    bus: EventBus, settings: WebSettings, health: Callable[[], dict[str, Any]]
) -> WebServer:
    """Serve the page.

    Raises:
        ServiceError: the port is taken or may not be used.
    """
    streams: set[asyncio.Task[None]] = set()
    app = web.Application(middlewares=[_guard], client_max_size=MAX_REQUEST)
    for path, (file, content_type) in _FILES.items():
        app.router.add_get(path, _file(file, content_type))

    async def report(_: web.Request) -> web.Response:
        return web.json_response(health(), dumps=lambda o: json.dumps(o, ensure_ascii=False))

    async def events(request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        streams.add(task)
        try:
            return await _stream(request, bus.subscribe())
        finally:
            streams.discard(task)

    app.router.add_get("/health", report)
    app.router.add_get("/events", events, allow_head=False)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        await runner.cleanup()
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"fails: {error.strerror}"
        raise ServiceError(
            f"the page's port {settings.host}:{settings.port} {reason}; "
            "choose another with --set web.port=8081"
        ) from error
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return WebServer(runner, streams, f"http://{host}:{runner.addresses[0][1]}/")


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse foreign host names, and put the protective headers on every answer."""
    host = request.headers.get("Host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in _HOSTS:
        return web.Response(status=403, text="Luna answers to localhost only.\n", headers=_HEADERS)
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response


def _file(name: str, content_type: str) -> Handler:
    body = (resources.files("appliance") / name).read_bytes()

    async def send(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return send


async def _stream(request: web.Request, events: AsyncIterator[Event]) -> web.StreamResponse:
    """Send the events as they come; the first is a snapshot of everything."""
    response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    upcoming = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait([upcoming], timeout=HEARTBEAT_S)
            if not done:
                await _write(response, b": still here\n\n")
                continue
            event = upcoming.result()
            # JSON has no raw line breaks, so no text can pose as another event.
            await _write(response, f"event: {event.type}\ndata: {to_json(event)}\n\n".encode())
            upcoming = asyncio.ensure_future(anext(events))
    except (StopAsyncIteration, ConnectionError):
        pass  # Luna stops, the reader was too slow, or has gone
    except TimeoutError:
        if request.transport:
            request.transport.abort()  # what waits to be sent to it is given up
    finally:
        upcoming.cancel()
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Send *data*.

    Raises:
        TimeoutError: the reader takes nothing.
    """
    async with asyncio.timeout(SLOW_S):
        await response.write(data)
