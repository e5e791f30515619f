"""Questions in writing: the whole answer at its end, or as it is written."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from appliance.events import Event, TextAsked, TurnEnded, to_dict, to_json
from appliance.web import sse
from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, Body, Written, body, reply
from appliance.web.api.following import turn
from appliance.web.routing import EVENT_STREAM, JSON, Doc, RequestError, Route
from appliance.web.services import Services

MAX_TEXT = 16_000
"""Characters of a question; a local model reads far less."""
LIMIT_S = 900.0
"""A turn that waits behind others and loads a large model is over by then."""
REFUSED_S = 0.05
"""A question is refused within this, if at all."""
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
                # A refusal comes before the first event, and then still has a status of its own.
                return await sse.send(request, events, _written, refused_within_s=REFUSED_S)
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


def _written(event: Event) -> bytes:
    if event.type not in STREAMED:
        return b""
    return f"event: {event.type}\ndata: {to_json(event)}\n\n".encode()
