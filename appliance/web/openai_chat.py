"""OpenAI's chat completions and list of models, answered by the box.

https://platform.openai.com/docs/api-reference/chat: the messages are the client's own and are
used as they are; nothing of them is kept. What cannot be honoured is refused, except wishes
about style that change nothing essential (``top_p``, penalties, ``seed``, ``user``, ...).
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from aiohttp import web

from appliance.web.openai_parts import ApiError, Done, OpenAiParts, Role, Written
from appliance.web.openai_request import ChatAsked, answered, chat_asked, json_body
from appliance.web.routing import EVENT_STREAM, JSON, Doc, Handler, Route

MODELS: Mapping[str, Role] = {"luna": "chat", "luna-code": "code", "luna-vision": "vision"}
MAX_BODY = 20 * 1024 * 1024
"""Room for a picture of 15 MB in base64."""
HEADERS_AFTER_S = 5.0
"""An error that comes sooner still has its own status; then the stream begins."""
HEARTBEAT_S = 10.0
"""A comment this often tells the client, while a turn goes first, that it is not forgotten."""
SLOW_S = 30.0
"""A client that takes nothing for so long is disconnected."""


def routes(parts: OpenAiParts) -> list[Route]:
    """Return the routes."""

    async def complete(request: web.Request) -> web.StreamResponse:
        asked = await chat_asked(await json_body(request, MAX_BODY), MODELS, parts.image)
        pieces = parts.chat.complete(
            asked.messages,
            asked.role,
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            stop=asked.stop,
        )
        async with aclosing(pieces):
            if asked.stream:
                return await _Stream(request, asked).send(pieces)
            return web.json_response(await _whole(asked, pieces), dumps=_dumps)

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": list(map(_model, names()))})

    async def model(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in names():
            raise ApiError(
                f"there is no model {name[:60]!r} here", status=404, code="model_not_found"
            )
        return web.json_response(_model(name))

    def names() -> list[str]:
        able = parts.chat.roles()
        return [name for name, role in MODELS.items() if role in able]

    def route(method: str, path: str, handler: Handler, **more: Any) -> Route:
        return Route(method, path, answered(handler), "talk", **more)  # type: ignore[arg-type]

    return [
        route(
            "POST",
            "/v1/chat/completions",
            complete,
            max_body=MAX_BODY,
            stream=True,
            doc=Doc(
                "Answer a conversation (OpenAI's form)",
                body_types=(JSON,),
                answer_types=(JSON, EVENT_STREAM),
            ),
        ),
        route("GET", "/v1/models", models, doc=Doc("List the models (OpenAI's form)")),
        route("GET", "/v1/models/{name}", model, doc=Doc("Tell of a model (OpenAI's form)")),
    ]


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "luna"}


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _usage(done: Done) -> dict[str, Any]:
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": done.prompt_tokens + done.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": done.cached_tokens},
    }


def _head(asked: ChatAsked, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
    }


async def _whole(asked: ChatAsked, pieces: AsyncGenerator[Written | Done]) -> dict[str, Any]:
    """Return the answer when all of it was written."""
    text, done = "", None
    async for piece in pieces:
        if isinstance(piece, Written):
            text += piece.text
        else:
            done = piece
    if done is None:
        raise ApiError("the answer ended too early", status=502)
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": done.reason}
    return {
        **_head(asked, "chat.completion"),
        "choices": [choice],
        "usage": _usage(done),
        "system_fingerprint": _who(done),
    }


def _who(done: Done) -> str:
    """Return who has answered, in the one field that is meant for such a thing."""
    return f"{done.provider}/{done.model}"


class _Stream:
    """An answer on its way, as server-sent events."""

    def __init__(self, request: web.Request, asked: ChatAsked) -> None:
        self._request = request
        self._asked = asked
        self._head = _head(asked, "chat.completion.chunk")
        self._response = web.StreamResponse(
            headers={
                "Content-Type": f"{EVENT_STREAM}; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
        )

    async def send(self, pieces: AsyncGenerator[Written | Done]) -> web.StreamResponse:
        """Send *pieces*; an error before the first is raised, a later one is sent."""
        upcoming = asyncio.ensure_future(anext(pieces, None))
        try:
            await asyncio.wait((upcoming,), timeout=HEADERS_AFTER_S)
            if upcoming.done():
                upcoming.result()
            await self._response.prepare(self._request)
            await self._chunk({"role": "assistant", "content": ""})
            while (piece := await self._patiently(upcoming)) is not None:
                await self._piece(piece)
                upcoming = asyncio.ensure_future(anext(pieces, None))
            await self._write(b"data: [DONE]\n\n")
        except ApiError as error:
            if not self._response.prepared:
                raise
            await self._event(error.body())
        except (TimeoutError, ConnectionError):
            if self._request.transport:
                self._request.transport.abort()  # it takes nothing any more
        finally:
            if not upcoming.done():
                upcoming.cancel()
                await asyncio.wait((upcoming,))
        return self._response

    async def _patiently(
        self, upcoming: asyncio.Future[Written | Done | None]
    ) -> Written | Done | None:
        while not (await asyncio.wait((upcoming,), timeout=HEARTBEAT_S))[0]:
            await self._write(b": waiting\n\n")
        return upcoming.result()

    async def _piece(self, piece: Written | Done) -> None:
        if isinstance(piece, Written):
            await self._chunk({"content": piece.text})
            return
        await self._chunk({}, piece.reason, system_fingerprint=_who(piece))
        if self._asked.include_usage:
            await self._event({**self._head, "choices": [], "usage": _usage(piece)})

    async def _chunk(self, delta: dict[str, str], reason: str | None = None, **more: str) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if self._asked.include_usage else {}
        await self._event({**self._head, **more, "choices": [choice], **usage})

    async def _event(self, value: dict[str, Any]) -> None:
        # JSON has no raw line breaks, so no text can pose as another event.
        await self._write(f"data: {_dumps(value)}\n\n".encode())

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(SLOW_S):
            await self._response.write(data)
