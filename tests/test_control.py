"""The control socket, the message format and the event bus."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.bus import BACKLOG, EventBus
from appliance.control import ControlClient, ControlServer, Health, HealthRequested
from appliance.errors import ServiceError
from appliance.events import (
    Content,
    Event,
    Heard,
    Logged,
    Message,
    Pong,
    Snapshot,
    StateChanged,
    TextAsked,
    TurnEnded,
    TurnStarted,
    WorkerChanged,
    from_json,
    to_json,
)
from appliance.ipc import MAX_LINE, MainChannel, WorkerChannel, channel_pair


@given(st.text(), st.integers(), st.dictionaries(st.text(), st.floats(allow_nan=False)))
def test_messages_survive_the_journey(text: str, number: int, stats: dict[str, float]) -> None:
    for message in (
        Content(turn_id=number, text=text),
        Pong(n=number, stats=stats),
        TextAsked(text=text),
    ):
        line = to_json(message)
        assert "\n" not in line
        assert from_json(line) == message


def test_every_message_has_a_docstring_and_a_type() -> None:
    for name, kind in Message.registry.items():
        assert kind.type == name
        assert kind.__doc__, name
        assert fields(kind)[0].name == "at"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "7",
        '{"type":"nonsense"}',
        '{"type":"content"}',
        "{",
        '{"text":"x"}',
        '{"type":"content","turn_id":1,"text":"x","extra":1}',
    ],
)
def test_what_is_no_message_is_refused(line: str) -> None:
    with pytest.raises(ServiceError):
        from_json(line)


async def test_channel_both_ways_and_its_limits() -> None:
    main_end, worker_end = channel_pair()
    main, worker = await MainChannel.open(main_end), WorkerChannel(worker_end)
    main.send(TextAsked(text="x" * 200_000))
    received = await asyncio.to_thread(worker.receive, 5.0)
    assert isinstance(received, TextAsked)
    assert len(received.text) == 200_000
    assert await asyncio.to_thread(worker.receive, 0.01) is None
    worker.send(Content(turn_id=1, text="hello"))
    messages = main.messages()
    assert (await anext(messages)).type == "content"
    await asyncio.to_thread(worker_end.sendall, b"x" * 100)
    worker.close()
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    assert MAX_LINE > 1_000_000
    await main.close()


# --- the bus ---


async def test_snapshot_first_then_changes_and_only_public_ones() -> None:
    bus = EventBus(Snapshot(state="starting", version="1"))
    bus.publish(StateChanged(state="idle"))
    events = bus.subscribe()
    bus.publish(Pong(n=1))
    bus.publish(WorkerChanged(worker="stt", status="ready", detail="base", pid=3))
    first, second = await anext(events), await anext(events)
    assert isinstance(first, Snapshot)
    assert first.state == "idle"
    assert isinstance(second, WorkerChanged)
    assert bus.snapshot.workers["stt"]["detail"] == "base"
    bus.close()
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_the_snapshot_holds_the_last_turn() -> None:
    bus = EventBus(Snapshot(state="idle"))
    for event in (
        TurnStarted(turn_id=1, source="wake"),
        Heard(turn_id=1, text="Q?", language="en"),
        Content(turn_id=1, text="A"),
        Content(turn_id=1, text="B"),
        Content(turn_id=9, text="other"),
        TurnEnded(turn_id=1, source="wake", outcome="interrupted", answer="A"),
    ):
        bus.publish(event)
    turn = bus.snapshot.last_turn
    assert (turn["question"], turn["answer"], turn["outcome"]) == ("Q?", "A", "interrupted")


async def test_a_slow_subscriber_is_cut_off_and_slows_nobody() -> None:
    bus = EventBus(Snapshot(state="idle"))
    slow, quick = bus.subscribe(), bus.subscribe()
    await anext(quick)
    for number in range(BACKLOG + 10):
        bus.publish(StateChanged(state="idle", turn_id=number))
        await anext(quick)
    with pytest.raises(StopAsyncIteration):
        await anext(slow)


# --- the socket ---


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[tuple[EventBus, list[Event]]]:
    bus, requests = EventBus(Snapshot(state="idle")), []

    def take(event: Event) -> None:
        if isinstance(event, TextAsked) and event.text == "busy":
            raise ServiceError("Luna is busy")
        requests.append(event)

    server = ControlServer(path, take, bus.subscribe, lambda: {"state": "idle"})
    await server.start()
    try:
        yield bus, requests
    finally:
        await server.stop()
    assert not path.exists()


async def test_requests_events_and_health(short_path: Path) -> None:
    path = short_path / "c.sock"
    async with serving(path) as (bus, requests):
        assert stat.S_IMODE(path.stat().st_mode) in (0o600, 0o660)
        client = await ControlClient.connect(path)
        events = client.events()
        assert isinstance(await anext(events), Snapshot)
        await client.send(TextAsked(text="Hello?"))
        await client.send(HealthRequested())
        health = await anext(events)
        assert isinstance(health, Health)
        assert health.report == {"state": "idle"}
        assert isinstance(requests[0], TextAsked)
        bus.publish(StateChanged(state="thinking"))
        assert (await anext(events)).type == "state_changed"
        await client.send(TextAsked(text="busy"))
        with pytest.raises(ServiceError, match="Luna is busy"):
            await anext(events)
        await client.close()


@pytest.mark.parametrize(
    "line", [b"garbage\n", b'{"type":"logged","level":"info","text":"x"}\n', b"x" * 600_000 + b"\n"]
)
async def test_what_is_no_request_gets_one_sentence(short_path: Path, line: bytes) -> None:
    path = short_path / "c.sock"
    async with serving(path) as (_, requests):
        reader, writer = await asyncio.open_unix_connection(path)
        await reader.readline()
        writer.write(line)
        answer = json.loads(await asyncio.wait_for(reader.readline(), 5))
        assert answer["type"] == "refused"
        assert answer["text"]
        assert not requests
        writer.close()


async def test_the_end_with_a_client_is_no_fault(short_path: Path) -> None:
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with serving(short_path / "c.sock"):
        reader, writer = await asyncio.open_unix_connection(short_path / "c.sock")
        await reader.readline()
    assert await reader.read() is not None  # hung up
    writer.close()
    await asyncio.sleep(0)
    assert not faults


async def test_second_server_is_refused_and_a_stale_socket_replaced(short_path: Path) -> None:
    path = short_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    async with serving(path) as (bus, _):
        second = ControlServer(path, lambda _: None, bus.subscribe, dict)
        with pytest.raises(ServiceError, match="running already"):
            await second.start()
    with pytest.raises(ServiceError, match="not running"):
        await ControlClient.connect(path)


def test_log_lines_are_not_public() -> None:
    bus = EventBus(Snapshot(state="idle"))
    seen: list[Event] = []
    bus.listen(seen.append)
    bus.publish(Logged(level="info", text="x"))
    assert len(seen) == 1
