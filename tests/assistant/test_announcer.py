"""Speaking of one's own accord."""

from __future__ import annotations

import asyncio

from appliance.assistant.announcer import Announcer
from appliance.commands import PlayEarcon
from appliance.errors import ServiceError
from appliance.events import Event, SayRequested, StateChanged, TurnEnded, TurnStarted


class Box:
    def __init__(self, *, busy: bool = False) -> None:
        self.said: list[SayRequested] = []
        self.chimes: list[PlayEarcon] = []
        self.busy = busy
        self.announcer = Announcer(self.request, self.chimes.append)

    def request(self, event: Event) -> None:
        if self.busy:
            raise ServiceError("Luna is busy")
        assert isinstance(event, SayRequested)
        self.said.append(event)

    async def speak(self, outcome: str) -> bool:
        task = asyncio.create_task(self.announcer.speak("Call the doctor.", "en"))
        while not self.said and not task.done():
            await asyncio.sleep(0.01)
        for event in (
            TurnStarted(turn_id=4, source="text", request="another"),
            TurnStarted(turn_id=5, source="say", request=self.said[0].request),
            TurnEnded(turn_id=4, source="text", outcome="failed"),
            TurnEnded(turn_id=5, source="say", outcome=outcome),
        ):
            self.announcer.handle(event)
        return await task


async def test_it_is_said_after_a_chime() -> None:
    box = Box()
    assert await box.speak("answered")
    assert [chime.name for chime in box.chimes] == ["reminder"]
    assert (box.said[0].text, box.said[0].language) == ("Call the doctor.", "en")


async def test_what_is_cut_off_was_not_said() -> None:
    assert not await Box().speak("interrupted")


async def test_a_box_that_is_too_busy_says_nothing() -> None:
    assert not await Box(busy=True).announcer.speak("Call the doctor.", "en")


async def test_it_waits_its_turn() -> None:
    announcer = Box().announcer
    waiting = asyncio.create_task(announcer.may_speak())
    announcer.handle(StateChanged(state="listening"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    announcer.handle(StateChanged(state="muted"))
    await asyncio.wait_for(waiting, 1.0)
