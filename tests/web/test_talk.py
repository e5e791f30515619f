"""The WebSocket for talking: what it passes on, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from appliance.errors import ServiceError
from appliance.web import talk
from tests.browser_talk import talk_server


class Session:
    """Notes what the browser did."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.pcm = b""
        self.outgoing: asyncio.Queue[dict[str, Any] | bytes] = asyncio.Queue()
        self.outgoing.put_nowait({"type": "ready"})
        self.closed = asyncio.Event()

    def press(self) -> None:
        self.done.append("press")
        if self.done.count("press") > 1:
            raise ServiceError("not now")

    def sound(self, pcm: bytes) -> None:
        self.pcm += pcm

    def release(self) -> None:
        self.done.append("release")

    def stop(self) -> None:
        self.done.append("stop")

    def played(self, turn_id: int, samples: int, *, finished: bool) -> None:
        self.done.append((turn_id, samples, finished))

    async def messages(self) -> AsyncIterator[dict[str, Any] | bytes]:
        while True:
            yield await self.outgoing.get()

    def close(self) -> None:
        self.closed.set()


class Page:
    """One connection to the server and the session behind it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: Session) -> None:
        self.socket, self.session = socket, session

    async def refused(self) -> str:
        """Return why the server has refused and closed."""
        message = await self.socket.receive(20)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        assert message.json()["type"] == "refused"
        assert (await self.socket.receive(20)).type in (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSMsgType.CLOSED,
        )
        await asyncio.wait_for(self.session.closed.wait(), 20)
        return str(message.json()["text"])


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    session = Session()
    async with (
        talk_server(lambda: session) as server,
        aiohttp.ClientSession() as client,
        client.ws_connect(server.make_url(talk.PATH)) as socket,
    ):
        assert (await socket.receive_json(timeout=20)) == {"type": "ready"}
        yield Page(socket, session)


async def test_both_ways(page: Page) -> None:
    await page.socket.send_json({"type": "press"})
    await page.socket.send_bytes(b"\1\2" * 400)
    await page.socket.send_bytes(b"\3\4")
    await page.socket.send_json({"type": "release"})
    await page.socket.send_json({"type": "played", "turn_id": 3, "samples": 99, "finished": False})
    await page.socket.send_json({"type": "played", "turn_id": 3, "samples": 99, "finished": True})
    await page.socket.send_json({"type": "stop"})
    page.session.outgoing.put_nowait(b"\5\6")
    page.session.outgoing.put_nowait({"type": "end", "turn_id": 3})
    assert (await page.socket.receive_bytes(timeout=20)) == b"\5\6"
    assert (await page.socket.receive_json(timeout=20)) == {"type": "end", "turn_id": 3}
    await page.socket.send_json({"type": "press"})
    assert (await page.socket.receive_json(timeout=20)) == {"type": "refused", "text": "not now"}
    assert page.session.pcm == b"\1\2" * 400 + b"\3\4"
    assert page.session.done == [
        "press",
        "release",
        (3, 99, False),
        (3, 99, True),
        "stop",
        "press",
    ]
    await page.socket.close()
    await asyncio.wait_for(page.session.closed.wait(), 20)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "press",
        "[]",
        "{}",
        "null",
        '{"type":"ready"}',
        '{"type":["press"]}',
        '{"type":"played","turn_id":"1","samples":2}',
        '{"type":"played","turn_id":1,"samples":-2}',
        '{"type":"played","turn_id":1,"samples":NaN}',
        '{"type":"press","x":"' + "a" * talk.MAX_TEXT + '"}',
        "[" * 900,
    ],
)
async def test_other_texts_are_refused(page: Page, text: str) -> None:
    await page.socket.send_str(text)
    assert "message" in await page.refused()
    assert page.session.done == []


async def test_half_a_sample(page: Page) -> None:
    await page.socket.send_bytes(b"\1\2\3")
    assert "half a sample" in await page.refused()


async def test_more_sound_than_time(page: Page) -> None:
    for _ in range(30):
        await page.socket.send_bytes(bytes(talk.MAX_MESSAGE - 2))
    assert "more sound" in await page.refused()
    assert len(page.session.pcm) <= talk.BYTES_AT_ONCE + 20 * talk.BYTES_PER_S


async def test_too_many_messages(page: Page) -> None:
    try:
        for _ in range(int(talk.MESSAGES_AT_ONCE) + 5000):
            await page.socket.send_json({"type": "release"})
    except ConnectionError:
        pass
    await asyncio.wait_for(page.session.closed.wait(), 20)
    assert len(page.session.done) < talk.MESSAGES_AT_ONCE + 20 * talk.MESSAGES_PER_S


async def test_a_message_that_is_too_large(page: Page) -> None:
    await page.socket.send_bytes(bytes(talk.MAX_MESSAGE + 2))
    message = await page.socket.receive(20)
    assert message.type is aiohttp.WSMsgType.CLOSE
    assert message.data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    await asyncio.wait_for(page.session.closed.wait(), 20)
    assert page.session.pcm == b""


async def test_a_browser_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "SLOW_S", 0.2)
    session = Session()
    async with talk_server(lambda: session) as server:
        assert server.port is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.write(
            f"GET {talk.PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert b"101" in await reader.readline()
        for _ in range(2000):
            session.outgoing.put_nowait(bytes(16_000))
        await asyncio.wait_for(session.closed.wait(), 20)
        writer.transport.abort()


async def test_no_websocket_and_no_room() -> None:
    def connect() -> talk.TalkSession:
        raise ServiceError("too many browsers")

    async with talk_server(connect) as server, aiohttp.ClientSession() as client:
        async with client.ws_connect(server.make_url(talk.PATH)) as socket:
            text = json.loads((await socket.receive(20)).data)
            assert text == {"type": "refused", "text": "too many browsers"}
            closed = await socket.receive(20)
            assert closed.data == aiohttp.WSCloseCode.TRY_AGAIN_LATER
        async with client.get(server.make_url(talk.PATH)) as answer:
            assert answer.status >= 400
    [route] = talk.routes(connect)
    assert (route.scope, route.stream) == ("talk", True)
