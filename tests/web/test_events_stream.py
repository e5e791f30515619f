"""`/events` over a real server: what readers get, how they go on, and that none is a burden."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from appliance.bus import EventBus
from appliance.events import (
    Content,
    Snapshot,
    SoundMeasured,
    StateChanged,
    TokensGenerated,
    to_json,
)
from appliance.settings import WebSettings
from appliance.web import events_stream, sse
from appliance.web.events_stream import EventStream
from appliance.web.server import WebServer

EVIL = '<script>x</script>\r\n\r\nid: 1\nevent: state_changed\ndata: {"state":"gone"}\n\n\u2028\x85'


LEVEL = SoundMeasured(
    level_db=-20.0, peak_db=-10.0, noise_db=-60.0, offset=0.0, clipped=0, silent=False
)


class Rig:
    """A bus, its stream, and a server with nothing else."""

    def __init__(self, folder: Path) -> None:
        self.bus = EventBus(Snapshot(state="idle"))
        self.stream = EventStream(self.bus)
        services = cast(Any, SimpleNamespace(events=self.stream))
        routes = events_stream.routes(services)
        self.server = WebServer(WebSettings(port=0), routes, admits=lambda _: True)
        self.socket = folder / "api.sock"

    def write(self, text: str) -> None:
        self.bus.publish(Content(turn_id=1, text=text))


@pytest.fixture
async def rig(short_path: Path) -> AsyncIterator[Rig]:
    made = Rig(short_path)
    await made.server.start(made.socket)
    yield made
    made.stream.close()
    await made.server.stop()


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(rig.socket), limit=0)
    async with aiohttp.ClientSession(
        "http://localhost", connector=connector, timeout=aiohttp.ClientTimeout(total=30)
    ) as session:
        yield session


class Reader:
    """Reads server-sent events as the standard says."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self) -> tuple[str, str, dict[str, Any]]:
        """Return id, type and data of the next event."""
        fields: dict[str, str] = {}
        while True:
            line = (await self._answer.content.readline()).decode()
            assert line.endswith("\n"), "the stream has ended"
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                return fields["id"], fields["event"], json.loads(fields["data"])
            else:
                fields = {}


async def test_a_snapshot_first_and_then_what_happens(
    rig: Rig, client: aiohttp.ClientSession
) -> None:
    rig.bus.publish(StateChanged(state="thinking"))
    async with client.get("/events") as answer:
        assert answer.content_type == "text/event-stream"
        reader = Reader(answer)
        first, kind, data = await reader.next()
        assert (kind, data["state"]) == ("snapshot", "thinking")
        rig.write("a")
        rig.bus.publish(TokensGenerated(turn_id=1, attempt=1, text="not public"))
        rig.bus.publish(LEVEL)
        rig.write("b")
        ids = []
        for text in ("a", "b"):
            number, kind, data = await reader.next()
            assert (kind, data["type"], data["text"]) == ("content", "content", text)
            ids.append(number)
    boot, _, count = first.rpartition("-")
    assert ids == [f"{boot}-{int(count) + 1}", f"{boot}-{int(count) + 2}"]


async def test_no_text_can_pose_as_an_event(rig: Rig, client: aiohttp.ClientSession) -> None:
    async with client.get("/events") as answer:
        reader = Reader(answer)
        await reader.next()
        rig.write(EVIL)
        rig.write("after it")
        _, kind, data = await reader.next()
        assert (kind, data["text"]) == ("content", EVIL)
        _, kind, data = await reader.next()
        assert (kind, data["text"]) == ("content", "after it")


async def test_a_reader_that_comes_back_goes_on(rig: Rig, client: aiohttp.ClientSession) -> None:
    async with client.get("/events") as answer:
        reader = Reader(answer)
        await reader.next()
        rig.write("seen")
        last, _, _ = await reader.next()
    for text in ("missed 1", "missed 2"):
        rig.write(text)
    async with client.get("/events", headers={"Last-Event-ID": last}) as answer:
        reader = Reader(answer)
        assert [(await reader.next())[2]["text"] for _ in range(2)] == ["missed 1", "missed 2"]
        rig.write("new")
        newest, _, data = await reader.next()
        assert data["text"] == "new"
    async with client.get("/events", headers={"Last-Event-ID": newest}) as answer:
        rig.write("newer")
        assert (await Reader(answer).next())[2]["text"] == "newer"


@pytest.mark.parametrize("last", ["", "deadbeef-1", "x", "{boot}-99", "{boot}--1", "{boot}-9e9"])
async def test_an_id_that_means_nothing(rig: Rig, client: aiohttp.ClientSession, last: str) -> None:
    async with client.get("/events") as answer:
        boot = (await Reader(answer).next())[0].partition("-")[0]
    headers = {"Last-Event-ID": last.format(boot=boot)}
    async with client.get("/events", headers=headers) as answer:
        assert (await Reader(answer).next())[1] == "snapshot"


async def test_what_is_too_long_ago_is_replaced_by_a_snapshot(
    rig: Rig, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_stream, "MAX_EVENTS", 10)
    async with client.get("/events") as answer:
        first = (await Reader(answer).next())[0]
    for number in range(11):
        rig.write(str(number))
    async with client.get("/events", headers={"Last-Event-ID": first}) as answer:
        assert (await Reader(answer).next())[1] == "snapshot"
    assert len(rig.stream._log) == 10


async def test_the_log_is_bounded_in_bytes(rig: Rig) -> None:
    for _ in range(50):
        rig.write("x" * 100_000)
    assert sum(len(entry.data) for entry in rig.stream._log) <= events_stream.MAX_BYTES


async def test_fifty_readers_and_each_event_is_written_out_once(
    rig: Rig, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def counted(event: Any) -> str:
        nonlocal written
        written += isinstance(event, Content)
        return to_json(event)

    monkeypatch.setattr(events_stream, "to_json", counted)
    answers = [await client.get("/events") for _ in range(50)]
    readers = [Reader(answer) for answer in answers]
    for reader in readers:
        await reader.next()
    for number in range(100):
        rig.write(str(number))
    for reader in readers:
        assert [(await reader.next())[2]["text"] for _ in range(100)] == [*map(str, range(100))]
    assert written == 100
    for answer in answers:
        answer.close()


async def test_a_reader_that_takes_nothing_is_dropped_and_slows_nobody(
    rig: Rig, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "SLOW_S", 0.3)
    slow = socket.socket(socket.AF_UNIX)
    slow.connect(str(rig.socket))
    slow.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with client.get("/events") as answer:
        reader = Reader(answer)
        await reader.next()
        async with asyncio.timeout(20):
            while rig.stream._readers < 2:
                await asyncio.sleep(0.01)
            number = 0
            while rig.stream._readers > 1:  # the other one is gone
                rig.write(f"{number} {'x' * 50_000}")
                _, kind, data = await reader.next()
                assert (kind, data["text"].partition(" ")[0]) == ("content", str(number))
                number += 1
    slow.close()


async def test_a_reader_that_falls_behind_the_log_is_dropped(
    rig: Rig, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_stream, "MAX_EVENTS", 5)
    async with client.get("/events") as answer:
        await Reader(answer).next()
        for number in range(20):  # before it is woken
            rig.write(str(number))
        async with asyncio.timeout(20):
            with pytest.raises(aiohttp.ClientError):
                await answer.content.read()


async def test_a_sign_of_life(
    rig: Rig, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "HEARTBEAT_S", 0.05)
    async with client.get("/events") as answer:
        await Reader(answer).next()
        assert await answer.content.readline() == b": still here\n"


async def test_the_stream_ends_cleanly_when_luna_stops(
    rig: Rig, client: aiohttp.ClientSession
) -> None:
    async with client.get("/events") as answer:
        await Reader(answer).next()
        rig.stream.close()
        assert await answer.content.read() == b""


async def test_too_many_readers(
    rig: Rig, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_stream, "MAX_READERS", 1)
    async with client.get("/events") as answer:
        await Reader(answer).next()
        async with client.get("/events") as other:
            assert other.status == 503
