"""Questions in writing: the whole answer at its end, or as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from appliance.errors import LunaError
from appliance.events import Event, TextAsked, TurnEnded, to_dict, to_json
from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, Body, Written, body, reply
from appliance.web.api.following import turn
from appliance.web.routing import EVENT_STREAM, JSON, Doc, RequestError, Route
from appliance.web.services import Services

MAX_TEXT = 16_000
"""Characters of a question; a local model reads far less."""
LIMIT_S = 900.0
"""A turn that waits behind others and loads a large model is over by then."""
HEARTBEAT_S = 15.0
SLOW_S = 10.0
STREAMED = (
    "turn_started", "heard", "status", "agent_switch", "tool_call", "content", "complete", "error",
    "turn_ended",
)  # fmt: skip


class Question(Body):
    """A question."""

    text: Written = Field(max_length=MAX_TEXT)
    image: Annotated[str, Field(max_length=64)] = ""
    """Id of a picture that was sent to `/images` before."""
    code_only: bool = False
    """Answer with code alone."""
    speak: bool = False
    """Answer aloud as well."""
    stream: bool = False
    """Send the events of the reply as they come."""


class Turn(Answer):
    """A turn that is over."""

    turn_id: int
    source: str
    outcome: str
    """`answered`, `interrupted`, `nothing_heard` or `failed`."""
    question: str
    answer: str
    language: str
    model: str
    provider: str
    role: str
    timings: dict[str, float]


def routes(services: Services) -> list[Route]:
    """Return the routes of questions."""

    async def ask(request: web.Request) -> web.StreamResponse:
        question = await body(request, Question)
        image = services.images.get(question.image) if question.image else ""
        if image is None:
            raise RequestError(422, "image: it is no longer here; send it again").worded(
                "refusal.picture_gone"
            )
        asked = TextAsked(
            text=question.text, speak=question.speak, image=image, code_only=question.code_only
        )
        async with aclosing(turn(services, asked)) as events:  # type: ignore[type-var]
            if question.stream:
                return await _stream(request, events)
            async with asyncio.timeout(LIMIT_S):
                async for event in events:
                    if isinstance(event, TurnEnded):
                        return reply(_fields(event))
        raise RequestError(503, "Luna stopped before the answer was complete").worded(
            "refusal.stopped"
        )

    doc = Doc(
        "Ask a question in writing. With `stream`, the answer is a stream of server-sent events: "
        "the reply's, from `turn_started` to `turn_ended`.",
        body=Question,
        answer=Turn,
        answer_types=(JSON, EVENT_STREAM),
    )
    return [Route("POST", f"{BASE}/ask", ask, "talk", stream=True, doc=doc)]


def _fields(event: Event) -> dict[str, Any]:
    values = to_dict(event)
    del values["type"], values["at"]
    return values


async def _stream(request: web.Request, events: AsyncIterator[Event]) -> web.StreamResponse:
    # A refusal comes before the first event, and then still has a status of its own.
    upcoming = asyncio.ensure_future(anext(events))
    await asyncio.wait([upcoming], timeout=0.05)
    if upcoming.done() and upcoming.exception() is not None:
        upcoming.result()
    response = web.StreamResponse(
        headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    try:
        while True:
            done, _ = await asyncio.wait([upcoming], timeout=HEARTBEAT_S)
            if not done:
                await _write(response, b": still here\n\n")
                continue
            event = upcoming.result()
            if event.type in STREAMED:
                data = f"event: {event.type}\ndata: {to_json(event)}\n\n"
                await _write(response, data.encode())
            upcoming = asyncio.ensure_future(anext(events))
    except (StopAsyncIteration, ConnectionError, LunaError):
        pass  # the turn is over, the reader has gone, or Luna stops
    except TimeoutError:
        if request.transport:
            request.transport.abort()
    finally:
        upcoming.cancel()
        await asyncio.wait([upcoming])
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Send *data*.

    Raises:
        TimeoutError: the reader takes nothing.
    """
    async with asyncio.timeout(SLOW_S):
        await response.write(data)
