"""Lets Luna speak of her own accord: a turn like any other, when nobody else has the floor."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from appliance.commands import PlayEarcon
from appliance.errors import ServiceError
from appliance.events import Event, SayRequested, StateChanged, TurnEnded, TurnStarted

RESTING = frozenset({"idle", "muted", "updating"})
"""States in which nobody is listened to or spoken to; who cannot hear can still speak."""
CHIME_S = 0.7
"""From the beginning of the chime to the first word."""
LONGEST_S = 180.0


class Announcer:
    """Says texts, one at a time.

    Args:
        request: takes what is to be said.
        chime: gives a command to the ``audio`` worker.
    """

    def __init__(
        self, request: Callable[[Event], None], chime: Callable[[PlayEarcon], object]
    ) -> None:
        self._request = request
        self._chime = chime
        self._resting = asyncio.Event()
        self._turns: dict[int, str] = {}
        self._ends: dict[str, asyncio.Future[bool]] = {}

    def handle(self, event: Event) -> None:
        """Follow the event stream."""
        match event:
            case StateChanged(state=state):
                if state in RESTING:
                    self._resting.set()
                else:
                    self._resting.clear()
            case TurnStarted(request=request) if request in self._ends:
                self._turns[event.turn_id] = request
            case TurnEnded(turn_id=turn_id) if turn_id in self._turns:
                end = self._ends.get(self._turns.pop(turn_id))
                if end is not None and not end.done():
                    end.set_result(event.outcome == "answered")

    async def may_speak(self) -> None:
        """Return when nobody is being listened to or spoken to."""
        await self._resting.wait()

    async def speak(self, text: str, language: str) -> bool:
        """Play a chime and say *text*; return whether it was said to its end."""
        request = uuid.uuid4().hex
        end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ends[request] = end
        try:
            self._chime(PlayEarcon(name="reminder"))
            await asyncio.sleep(CHIME_S)
            self._request(SayRequested(text=text, language=language, request=request))
            async with asyncio.timeout(LONGEST_S):
                return await end
        except (ServiceError, TimeoutError):
            return False
        finally:
            del self._ends[request]
