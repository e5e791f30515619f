"""Follows the event stream until the answer to a request has come."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from appliance.errors import ServiceError
from appliance.events import Event, SayRequested, TextAsked, TurnEnded, TurnStarted
from appliance.web.services import Services

E = TypeVar("E", bound=Event)


def mark() -> str:
    """Return what a request is known by."""
    return secrets.token_hex(16)


async def answer(
    services: Services, request: Event, kind: type[E], meant: Callable[[E], bool], limit_s: float
) -> E:
    """Make *request*; return the event of *kind* that is *meant*.

    Raises:
        ServiceError: it is refused, or nothing came within *limit_s*.
    """
    async with _events(services) as events:
        services.request(request)
        try:
            async with asyncio.timeout(limit_s):
                async for event in events:
                    if isinstance(event, kind) and meant(event):
                        return event
        except TimeoutError as error:
            raise ServiceError("Luna does not answer; look at its log").worded(
                "refusal.no_answer"
            ) from error
    raise ServiceError("Luna is stopping").worded("refusal.stopped")


async def turn(services: Services, request: TextAsked | SayRequested) -> AsyncIterator[Event]:
    """Make a written request; yield the events of its turn, `TurnStarted` to `TurnEnded`.

    Raises:
        ServiceError: it is refused, or Luna stops.
    """
    marked = replace(request, request=mark())
    number = 0
    async with _events(services) as events:
        services.request(marked)
        async for event in events:
            if isinstance(event, TurnStarted) and event.request == marked.request:
                number = event.turn_id
            if number and getattr(event, "turn_id", 0) == number:
                yield event
                if isinstance(event, TurnEnded):
                    return
    raise ServiceError("Luna stopped before the answer was complete").worded("refusal.stopped")


@asynccontextmanager
async def _events(services: Services) -> AsyncIterator[AsyncIterator[Event]]:
    """Subscribe; only an iterator that was begun gives its place back."""
    events = services.bus.subscribe()
    await anext(events)
    try:
        yield events
    finally:
        await events.aclose()  # type: ignore[attr-defined]
