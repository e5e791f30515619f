"""The local page's server: what it shows, to whom, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from appliance.bus import EventBus
from appliance.errors import ServiceError
from appliance.events import Content, Snapshot, StateChanged
from appliance.settings import WebSettings
from appliance.web import server


@pytest.fixture
async def bus() -> EventBus:
    return EventBus(Snapshot(state="idle"))


@pytest.fixture
async def web(bus: EventBus) -> AsyncIterator[server.WebServer]:
    started = await server.start(bus, WebSettings(port=0), lambda: {"state": "idle", "ä": 1})
    yield started
    await started.stop()


@pytest.fixture
async def client(web: server.WebServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(web.url) as session:
        yield session


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/luna.css", "text/css"),
        ("/luna.js", "text/javascript"),
        ("/locales/en.json", "application/json"),
        ("/locales/pt.json", "application/json"),
        ("/health", "application/json"),
    ],
)
async def test_files_and_protective_headers(
    client: aiohttp.ClientSession, path: str, kind: str
) -> None:
    async with client.get(path) as answer:
        assert answer.status == 200
        assert answer.content_type == kind
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        body = await answer.text()
        assert "http://" not in body
        assert "https://" not in body


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "", "127.0.0.1.evil.example"]
)
async def test_foreign_names_are_refused(client: aiohttp.ClientSession, host: str) -> None:
    async with client.get("/health", headers={"Host": host}) as answer:
        assert answer.status == 403


async def test_own_names_are_accepted(client: aiohttp.ClientSession) -> None:
    for host in ("localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"):
        async with client.get("/health", headers={"Host": host}) as answer:
            assert answer.status == 200
            assert (await answer.json())["state"] == "idle"


async def test_read_only_and_no_other_files(client: aiohttp.ClientSession) -> None:
    for path in ("/", "/health", "/events"):
        async with client.post(path) as answer:
            assert answer.status == 405
    for path in ("/../config.py", "/%2e%2e/config.py", "/static/luna.js", "/locales/xx.json"):
        async with client.get(path) as answer:
            assert answer.status == 404
            assert "Content-Security-Policy" in answer.headers


async def _next(answer: aiohttp.ClientResponse) -> dict[str, object]:
    kind = (await answer.content.readline()).decode()
    data = (await answer.content.readline()).decode()
    assert (await answer.content.readline()) == b"\n"
    message: dict[str, object] = json.loads(data.removeprefix("data: "))
    assert kind == f"event: {message['type']}\n"
    return message


async def test_event_stream(client: aiohttp.ClientSession, bus: EventBus) -> None:
    async with client.get("/events") as answer:
        assert answer.content_type == "text/event-stream"
        assert (await _next(answer))["type"] == "snapshot"
        bus.publish(StateChanged(state="thinking"))
        assert (await _next(answer))["state"] == "thinking"
        evil = "<script>x</script>\n\nevent: state_changed\ndata: {}\n\n"
        bus.publish(Content(turn_id=1, text=evil))
        # Line breaks in what a model writes cannot begin another event.
        assert (await _next(answer))["text"] == evil
        bus.close()
        assert await answer.content.read() == b""


async def test_stop_with_open_streams(bus: EventBus) -> None:
    started = await server.start(bus, WebSettings(port=0), dict)
    async with aiohttp.ClientSession(started.url) as session, session.get("/events") as answer:
        await _next(answer)
        async with asyncio.timeout(2):
            await started.stop()


async def test_port_in_use(web: server.WebServer, bus: EventBus) -> None:
    port = int(web.url.rsplit(":", 1)[1].rstrip("/"))
    with pytest.raises(ServiceError, match=f"{port} is in use; choose another"):
        await server.start(bus, WebSettings(port=port), dict)
