"""A server on loopback that plays a provider: answers, and every fault that one can have.

    async with FakeProvider([rate_limited(), answer("It is late.")]) as server:
        ...  # server.base_url; server.requests holds what arrived

Each request takes the next play; the last one is repeated.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from aiohttp import web

HELLO = ("Hello", " there", ".")


@dataclass(frozen=True, kw_only=True)
class Play:
    """What happens to one request. Without any change: a good answer."""

    pieces: tuple[str, ...] = HELLO
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = "as the test wants it"
    """Text in the body of an answer that is not 200."""
    before_headers_s: float = 0.0
    before_first_s: float = 0.0
    """After the headers, before the first piece."""
    between_s: float = 0.0
    cut_after: int | None = None
    """Break the connection after so many pieces."""
    end: Literal["done", "no_done", "no_finish"] = "done"
    """``no_done``: finish reason but no ``[DONE]``; ``no_finish``: neither, as if cut cleanly."""
    finish: str = "stop"
    usage: Literal["right", "none", "wrong"] = "right"
    prompt_tokens: int = 12
    cached_tokens: int = 0
    malformed_after: int | None = None
    """Write broken JSON after so many pieces."""
    error_after: int | None = None
    """Send an ``{"error": ...}`` object in the stream after so many pieces."""
    write_bytes: int = 0
    """Write the stream in chunks of so many bytes, wherever they fall; 0: event by event."""
    line_end: str = "\n"
    streamed: bool = True
    """False: one JSON object, though a stream was asked for."""
    huge_bytes: int = 0
    """Send one line of so many bytes."""
    endless: bool = False
    """Never stop sending pieces."""
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Names and JSON arguments; the arguments are streamed in halves."""
    body: bytes | None = None
    """Send exactly this."""
    content_type: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def completion_tokens(self) -> int:
        return len(self.pieces)


def answer(text: str = "", **changes: Any) -> Play:
    """A good answer, streamed word by word."""
    return Play(pieces=pieces_of(text) if text else HELLO, **changes)


def pieces_of(text: str) -> tuple[str, ...]:
    """Cut *text* before each space."""
    words = text.split(" ")
    return (words[0], *(f" {word}" for word in words[1:]))


def failing(status: int = 500, **changes: Any) -> Play:
    return Play(status=status, **changes)


def rate_limited(retry_after: str = "2") -> Play:
    """429; *retry_after* as in the header, empty for none."""
    return Play(status=429, headers={"Retry-After": retry_after} if retry_after else {})


def slow(before_first_s: float, **changes: Any) -> Play:
    """An answer whose first token comes late; the headers come at once."""
    return Play(before_first_s=before_first_s, **changes)


def cut(text: str, after: int) -> Play:
    """The connection breaks after *after* words of *text*."""
    return Play(pieces=pieces_of(text), cut_after=after)


def malformed(after: int = 0) -> Play:
    return Play(malformed_after=after)


def redirect(location: str) -> Play:
    return Play(status=307, headers={"Location": location})


def huge(size: int = 8_000_000) -> Play:
    return Play(huge_bytes=size)


def hanging(**changes: Any) -> Play:
    """The request is accepted and never answered."""
    return Play(before_headers_s=3600.0, **changes)


@dataclass(frozen=True, kw_only=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    """The JSON; of a multipart form its fields, a file as bytes."""
    port: int
    """Of the client: the same for requests over one connection."""


class FakeProvider:
    """The server. Start it with ``async with``; it speaks on a free port."""

    def __init__(
        self, script: Iterable[Play] = (), *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._ssl = ssl_context
        self.script = list(script) or [Play()]
        self.requests: list[Received] = []
        self.running = 0
        """Requests in progress."""
        self.abandoned = 0
        """Requests whose client went away before the end."""
        self.base_url = ""
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application(client_max_size=64_000_000)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # handler_cancellation: a client that goes away ends its handler.
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._ssl)
        await site.start()
        self._port = self._runner.addresses[0][1]
        scheme = "https" if self._ssl else "http"
        self.base_url = f"{scheme}://127.0.0.1:{self._port}/v1"

    async def stop(self) -> None:
        """Close the port: from now on connections are refused. ``start`` opens it again."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def play(self, *script: Play) -> None:
        """Replace what is still to be played."""
        self.script = list(script)

    # --- handling ------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        play = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        body = await _body(request)
        self.requests.append(
            Received(
                path=request.path, headers=dict(request.headers), body=body, port=_port(request)
            )
        )
        self.running += 1
        try:
            await asyncio.sleep(play.before_headers_s)
            return await self._answer(request, body, play)
        except asyncio.CancelledError:
            self.abandoned += 1
            raise
        except ConnectionError:
            self.abandoned += 1
            return web.Response()  # which nobody will read
        finally:
            self.running -= 1

    async def _answer(
        self, request: web.Request, body: dict[str, Any], play: Play
    ) -> web.StreamResponse:
        if play.status != 200:
            error = {"error": {"message": play.error, "type": "fake", "code": play.status}}
            return web.json_response(error, status=play.status, headers=play.headers)
        if play.body is not None:
            return await _write(request, play, _chunks(play, play.body))
        if play.huge_bytes:
            return await _write(request, play, _huge(play.huge_bytes))
        if not request.path.endswith("/chat/completions"):
            return web.json_response({"text": play.text, "data": []})
        if not (body.get("stream") and play.streamed):
            return web.json_response(_complete(play), headers=play.headers)
        return await _write(request, play, _stream(play, body))


def _port(request: web.Request) -> int:
    assert request.transport is not None
    return int(request.transport.get_extra_info("peername")[1])


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type == "multipart/form-data":
        form = await request.post()
        fields: dict[str, Any] = {}
        for key, value in form.items():
            if isinstance(value, web.FileField):
                with value.file as file:
                    fields[key] = file.read()
            else:
                fields[key] = value
        return fields
    raw = await request.read()
    return json.loads(raw) if raw else {}


async def _write(
    request: web.Request, play: Play, chunks: AsyncIterator[bytes | None]
) -> web.StreamResponse:
    """Send *chunks*; None breaks the connection."""
    kind = play.content_type or "text/event-stream"
    response = web.StreamResponse(headers={**play.headers, "Content-Type": kind})
    await response.prepare(request)
    await asyncio.sleep(play.before_first_s)
    rest = b""
    async for chunk in chunks:
        if chunk is None:
            assert request.transport is not None
            request.transport.abort()
            return response
        rest += chunk
        if not play.write_bytes:
            await response.write(rest)
            rest = b""
        while play.write_bytes and len(rest) >= play.write_bytes:
            await response.write(rest[: play.write_bytes])
            rest = rest[play.write_bytes :]
            await asyncio.sleep(0)
    if rest:
        await response.write(rest)
    await response.write_eof()
    return response


async def _stream(play: Play, body: dict[str, Any]) -> AsyncIterator[bytes | None]:
    def event(delta: Mapping[str, Any] | None, **rest: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": None}] if delta else []
        data = {"id": "fake", "object": "chat.completion.chunk", "choices": choices, **rest}
        return f"data: {json.dumps(data)}{play.line_end * 2}".encode()

    yield f": a comment{play.line_end * 2}".encode()
    yield event({"role": "assistant", "content": ""})
    pieces = play.pieces
    count = 0
    while count < len(pieces) or play.endless:
        if count == play.cut_after:
            yield None
        if count == play.malformed_after:
            yield f'data: {{"choices": [{{"delta": {play.line_end * 2}'.encode()
        if count == play.error_after:
            yield event(None, error={"message": play.error, "code": 500})
        yield event({"content": pieces[count % len(pieces)]})
        count += 1
        await asyncio.sleep(play.between_s)
    if count == play.cut_after:
        yield None
    for index, (name, arguments) in enumerate(play.tool_calls):
        half = len(arguments) // 2
        call = {"index": index, "id": f"call_{index}", "type": "function"}
        first = {"name": name, "arguments": arguments[:half]}
        yield event({"tool_calls": [{**call, "function": first}]})
        yield event({"tool_calls": [{"index": index, "function": {"arguments": arguments[half:]}}]})
    if play.end == "no_finish":
        return
    finish = "tool_calls" if play.tool_calls else play.finish
    last = {"index": 0, "delta": {}, "finish_reason": finish}
    data = {"id": "fake", "choices": [last]}
    yield f"data: {json.dumps(data)}{play.line_end * 2}".encode()
    if body.get("stream_options", {}).get("include_usage") and play.usage != "none":
        yield event(None, usage=_usage(play))
    if play.end == "done":
        yield f"data: [DONE]{play.line_end * 2}".encode()


def _complete(play: Play) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": play.text}
    finish = play.finish
    if play.tool_calls:
        finish = "tool_calls"
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": n, "arguments": a}}
            for i, (n, a) in enumerate(play.tool_calls)
        ]
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return whole if play.usage == "none" else {**whole, "usage": _usage(play)}


def _usage(play: Play) -> dict[str, Any]:
    if play.usage == "wrong":
        return {"prompt_tokens": -5, "completion_tokens": "many", "total_tokens": None}
    return {
        "prompt_tokens": play.prompt_tokens,
        "completion_tokens": play.completion_tokens,
        "total_tokens": play.prompt_tokens + play.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": play.cached_tokens},
    }


async def _chunks(play: Play, body: bytes) -> AsyncIterator[bytes]:
    step = play.write_bytes or len(body) or 1
    for start in range(0, len(body), step):
        yield body[start : start + step]
        await asyncio.sleep(play.between_s)


async def _huge(size: int) -> AsyncIterator[bytes]:
    yield b'data: {"choices": [{"delta": {"content": "'
    for _ in range(size // 65536 + 1):
        yield b"x" * 65536
    yield b'"}}]}\n\ndata: [DONE]\n\n'


@contextmanager
def hanging_port() -> Iterator[int]:
    """A port of loopback whose connections are never established: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting.append(client)
        try:
            yield port
        finally:
            for client in waiting:
                client.close()


@asynccontextmanager
async def refused_port() -> AsyncIterator[int]:
    """A port on which nobody listens."""
    async with FakeProvider() as server:
        port = server._port
    yield port


def never_ending(**changes: Any) -> Play:
    """An answer without an end."""
    return replace(Play(endless=True), **changes)
