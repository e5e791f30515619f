"""Conversations that were kept."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from appliance.web.api import BASE
from appliance.web.api.bodies import NUMBER, Answer, Body, Done, Query, body, number, query, reply
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.services import Services


class Wanted(Query):
    search: Annotated[str, Field(max_length=200)] = ""
    """Find messages with these words instead; the last may be a beginning."""
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class Nothing(Body):
    """An empty object, or no body at all."""


class Conversation(Answer):
    id: int
    started: float
    """Seconds since 1970, like all times here."""
    updated: float
    messages: int
    title: str
    """The first question."""
    current: bool


class Found(Answer):
    conversation: int
    role: str
    at: float
    snippet: str
    """The place in the message, with the words in brackets."""


class Conversations(Answer):
    conversations: list[Conversation] = Field(default_factory=list)
    """Without a search: the newest first."""
    found: list[Found] = Field(default_factory=list)
    """Of a search: the newest first."""


class Message(Answer):
    role: str
    content: str
    at: float


class Messages(Answer):
    id: int
    messages: list[Message]


class Opened(Answer):
    conversation: int
    """The number that it has from now on: the current one is always the newest."""


def routes(services: Services) -> list[Route]:
    """Return the routes of conversations."""
    kept = services.conversations

    async def listed(request: web.Request) -> web.Response:
        wanted = query(request, Wanted)
        if wanted.search:
            return reply({"found": await kept.search(wanted.search, wanted.limit)})
        return reply({"conversations": await kept.newest(wanted.limit)})

    async def show(request: web.Request) -> web.Response:
        messages = await kept.show(number(request))
        if messages is None:
            raise _unknown()
        return reply({"id": number(request), "messages": messages})

    async def delete(request: web.Request) -> web.Response:
        if not await kept.delete(number(request)):
            raise _unknown()
        return reply({"done": True})

    async def begin(request: web.Request) -> web.Response:
        await body(request, Nothing, needed=False)
        return reply({"conversation": await kept.begin()}, 201)

    async def opened(request: web.Request) -> web.Response:
        await body(request, Nothing, needed=False)
        conversation = await kept.open(number(request))
        if conversation is None:
            raise _unknown()
        return reply({"conversation": conversation})

    def route(method: str, path: str, handler: object, scope: str, doc: Doc) -> Route:
        where = f"{BASE}/conversations{path}"
        return Route(method, where, handler, scope, doc=doc)  # type: ignore[arg-type]

    one = f"/{{id:{NUMBER}}}"
    listing = Doc(
        "The newest conversations, or messages with some words.", query=Wanted, answer=Conversations
    )
    beginning = Doc(
        "Begin a new conversation.", body=Nothing, body_needed=False, answer=Opened, status=201
    )
    opening = Doc(
        "Go on with a conversation: the next question belongs to it.",
        body=Nothing,
        body_needed=False,
        answer=Opened,
    )
    return [
        route("GET", "", listed, "read", listing),
        route("POST", "/new", begin, "talk", beginning),
        route("GET", one, show, "read", Doc("All its messages.", answer=Messages)),
        route("DELETE", one, delete, "talk", Doc("Delete it for good.", answer=Done)),
        route("POST", f"{one}/open", opened, "talk", opening),
    ]


def _unknown() -> RequestError:
    return RequestError(404, "there is no such conversation").worded("refusal.gone")
