"""The real way to the service, against a real server on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from appliance.control import ControlServer, Refused
from appliance.errors import LunaError, ServiceError
from appliance.events import ButtonPressed, Event, Snapshot, StateChanged, TextAsked
from appliance.terminal.service import Conversation, Found, LunaService, Message, QuotaLeft

NOW = {"started": 1.0, "updated": 2.0, "messages": 2, "title": "Hi", "current": True}
ANSWERS: dict[str, object] = {
    "GET /conversations": {"conversations": [{"id": 4, **NOW}], "found": []},
    "GET /conversations?search": {
        "found": [{"conversation": 4, "role": "user", "at": 2.0, "snippet": "[a] b"}]
    },
    "GET /conversations/4": {"id": 4, "messages": [{"role": "user", "content": "é", "at": 1.0}]},
    "POST /conversations/new": {"conversation": 5},
    "POST /conversations/4/open": {"conversation": 6},
    "DELETE /conversations/4": {"done": True},
    "GET /persona": {"en": "a", "pt": "b"},
    "PUT /persona": {"en": "c", "pt": "b"},
    "POST /reminders": {"text": "Kept.", "reminders": []},
    "POST /reminders/3/done": {"text": "Done.", "reminders": []},
    "GET /quota": {
        "today": [{"provider": "groq", "used": {}, "limit": {}, "left": {}, "percent": 12.5}]
    },
    "PATCH /config": {"changed": ["a.b"], "restart": True, "waiting": [], "settings": []},
}


@pytest.fixture
async def luna(short_path: Path) -> AsyncIterator[LunaService]:
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        path = request.path.removeprefix("/api/v1")
        body = await request.text()
        asked.append((f"{request.method} {path}", body))
        name = f"{request.method} {path}" + ("?search" if "search" in request.query else "")
        if name not in ANSWERS:
            error = {"error": {"message": f"no {path}", "code": 2}}
            return web.json_response(error, status=404)
        return web.json_response(ANSWERS[name])

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(short_path / "api.sock")).start()
    try:
        yield LunaService(short_path / "control.sock", short_path / "api.sock")
    finally:
        await runner.cleanup()


async def test_all_answers(luna: LunaService) -> None:
    assert await luna.conversations() == [Conversation(4, 2.0, 2, "Hi", True)]
    assert await luna.search("a b&c") == [Found(4, "user", 2.0, "[a] b")]
    assert await luna.messages(4) == [Message("user", "é", 1.0)]
    await luna.new_conversation()
    await luna.open_conversation(4)
    await luna.delete_conversation(4)
    assert await luna.persona() == {"en": "a", "pt": "b"}
    await luna.set_persona("en", "c")
    assert await luna.add_reminder("x", "en") == "Kept."
    assert await luna.change_reminder(3, "done") == "Done."
    assert await luna.quota() == [QuotaLeft("groq", 12.5)]
    assert await luna.change_setting("a.b", 1)


async def test_a_refusal_is_its_own_sentence(luna: LunaService) -> None:
    with pytest.raises(LunaError, match="no /conversations/9"):
        await luna.messages(9)


async def test_nobody_there(short_path: Path) -> None:
    luna = LunaService(short_path / "no.sock", short_path / "no.sock")
    with pytest.raises(ServiceError, match="does not answer"):
        await luna.quota()
    with pytest.raises(ServiceError, match="not running"):
        await anext(luna.events())
    with pytest.raises(ServiceError, match="not running"):
        await luna.send(ButtonPressed())


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n{", b"nonsense\r\n\r\n"])
async def test_an_answer_that_is_none(short_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    path = short_path / "api.sock"
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        with pytest.raises(ServiceError):
            await LunaService(path, path).quota()


async def test_events_and_requests_over_the_control_socket(short_path: Path) -> None:
    requests: list[Event] = []
    queue: asyncio.Queue[Event] = asyncio.Queue()

    def request(event: Event) -> None:
        requests.append(event)
        if isinstance(event, ButtonPressed):
            raise ServiceError("not now")

    async def subscribe() -> AsyncIterator[Event]:
        yield Snapshot(state="idle")
        while True:
            yield await queue.get()

    path = short_path / "control.sock"
    server = ControlServer(path, request, subscribe, dict)
    await server.start()
    try:
        luna = LunaService(path, path)
        events = luna.events()
        assert isinstance(await anext(events), Snapshot)
        await luna.send(ButtonPressed())
        refused = await anext(events)
        assert isinstance(refused, Refused)
        assert refused.text == "not now"
        await luna.send(TextAsked(text="hi", request="x"))
        queue.put_nowait(StateChanged(state="thinking"))
        assert isinstance(await anext(events), StateChanged), "a refusal does not end the stream"
        assert [event.type for event in requests] == ["button_pressed", "text_asked"]
    finally:
        await server.stop()
    assert [event async for event in events] == []
