"""Talking to Luna: through the running service, or through workers of this command's own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from appliance import paths
from appliance.command_line.options import load_settings
from appliance.errors import ServiceError
from appliance.events import Event, SayRequested, TextAsked, TurnEnded, TurnStarted, to_dict


class Session(Protocol):
    """The running service, or the parts of it that this command started by itself."""

    async def send(self, event: Event) -> None:
        """Make a request; raises ServiceError."""

    def events(self) -> AsyncIterator[Event]:
        """Snapshot and events."""


class OwnSession:
    """Parts of Luna that this command started for itself."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._events: AsyncIterator[Event] = app.events()

    async def send(self, event: Event) -> None:
        """Make a request."""
        self._app.request(event)

    def events(self) -> AsyncIterator[Event]:
        """Snapshot and events."""
        return self._events


@asynccontextmanager
async def session(
    arguments: argparse.Namespace, workers: tuple[str, ...]
) -> AsyncIterator[Session]:
    """Connect to the service; where none is running, start the workers that are needed."""
    from appliance.control import ControlClient

    try:
        client = await ControlClient.connect(paths.control_socket())
    except ServiceError:
        if paths.control_socket().exists() and not os.access(paths.control_socket(), os.W_OK):
            raise
    else:
        try:
            yield client
        finally:
            await client.close()
        return
    from appliance import engines
    from appliance.app import App, Plan

    settings = load_settings(arguments)
    async with App(settings, engines.real(settings), Plan(workers=workers)) as app:
        tell(arguments, f"Starting {', '.join(workers)} for this one command ...")
        await app.ready()
        yield OwnSession(app)


def tell(arguments: argparse.Namespace, text: str) -> None:
    """Say what is going on, to a person only."""
    if sys.stderr.isatty() and not getattr(arguments, "json", False):
        sys.stderr.write(text + "\n")


def print_event(event: Event) -> None:
    """Print an event as a line of JSON."""
    print(json.dumps(to_dict(event), ensure_ascii=False), flush=True)


async def follow(
    session: Session, request: TextAsked | SayRequested, on_event: Callable[[Event], None]
) -> TurnEnded:
    """Send a written request and follow its turn to the end."""
    mark = uuid.uuid4().hex
    turn_id = 0
    async with aclosing(session.events()) as events:  # type: ignore[type-var]
        await anext(events)
        await session.send(_marked(request, mark))
        async for event in events:
            if isinstance(event, TurnStarted) and event.request == mark:
                turn_id = event.turn_id
            if not turn_id or getattr(event, "turn_id", 0) != turn_id:
                continue
            on_event(event)
            if isinstance(event, TurnEnded):
                return event
    raise ServiceError("Luna stopped before the answer was complete")


def _marked(request: TextAsked | SayRequested, mark: str) -> TextAsked | SayRequested:
    return replace(request, request=mark)
