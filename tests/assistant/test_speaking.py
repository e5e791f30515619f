"""Whose voice speaks: the box's own, or a provider's, with a recorded worker and ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from appliance.assistant.speaking import Speaking
from appliance.commands import Command, EndSpeech, Speak
from appliance.events import ClauseSynthesised, Event, ProviderUsed, VoiceFailed, WorkerChanged
from appliance.providers.circuit_breaker import CircuitBreaker
from appliance.providers.offline import Network
from appliance.providers.policy import Candidate, Policy
from tests.assistant.test_router import Book, quota

NAME = "elevenlabs"


class Mouth:
    def __init__(self, policy: Any = "cloud_first") -> None:
        self.sent: list[Command] = []
        self.events: list[Event] = []
        self.book = Book()
        self.breaker = CircuitBreaker()
        self.network = Network([NAME], proc=Path("/nowhere"))
        self.speaking = Speaking(
            {NAME: {"en": "voice"}},
            {NAME: "flash"},
            ledger=self.book,
            breaker=self.breaker,
            network=self.network,
            policy=Policy(
                local=Candidate(name="local", place="box"),
                others=(Candidate(name=NAME, place="cloud", metered=True),),
                roles={"tts": policy},
            ),
            note=lambda *_: None,
            publish=self.events.append,
        )

    def say(self, clause: int, text: str = "Hello.", language: str = "en") -> None:
        self._order(Speak(turn_id=1, clause=clause, text=text, language=language))

    def end(self) -> None:
        self._order(EndSpeech(turn_id=1))

    def _order(self, command: Speak | EndSpeech) -> None:
        def send(order: Command) -> bool:
            self.sent.append(order)
            return True

        self.speaking.order(command, send)

    async def orders(self) -> list[str]:
        """Return what the worker got: the provider, ``box`` or ``end``."""
        await asyncio.sleep(0.01)
        names = {Speak: lambda c: c.provider or "box", EndSpeech: lambda _: "end"}
        return [names[type(command)](command) for command in self.sent]  # type: ignore[index]

    def spoken(self, clause: int, voice: str = NAME) -> None:
        self.speaking.take(
            ClauseSynthesised(
                turn_id=1,
                clause=clause,
                samples=1,
                rate=1,
                duration_ms=1.0,
                first_audio_at=0.0,
                voice=voice,
            )
        )

    def failed(self, clause: int, kind: str) -> None:
        self.speaking.take(
            VoiceFailed(turn_id=1, clause=clause, provider=NAME, kind=kind, detail="it failed")
        )


async def test_the_box_speaks_at_once_where_nothing_else_is_wanted() -> None:
    mouth = Mouth("local_first")
    mouth.say(1)
    mouth.end()
    assert len(mouth.sent) == 2


async def test_clauses_keep_their_order_and_each_character_counts() -> None:
    mouth = Mouth()
    mouth.say(1)
    mouth.say(2, language="pt")  # it has no voice for that
    mouth.say(3, "Goodbye.")
    mouth.end()
    assert await mouth.orders() == [NAME, "box", NAME, "end"]
    for clause in (1, 3):
        mouth.spoken(clause)
    mouth.spoken(2, "piper")
    await mouth.speaking.close()
    assert mouth.book.entries[0] == ("reserve", NAME, "tts", 6, 0)
    assert mouth.book.of(NAME) == ["reserve", "reserve", "settle", "settle"]
    used = [event for event in mouth.events if isinstance(event, ProviderUsed)]
    assert [(event.outcome, event.prompt_tokens) for event in used] == [
        ("finished", 6),
        ("finished", 8),
    ]


async def test_a_used_up_budget_and_a_wrong_key() -> None:
    mouth = Mouth()
    mouth.book.refused[NAME] = quota()
    mouth.say(1)
    assert await mouth.orders() == ["box"]
    mouth.book.refused.clear()
    mouth.say(2)
    assert await mouth.orders() == ["box", NAME]
    mouth.failed(2, "misconfigured")
    mouth.say(3)
    assert await mouth.orders() == ["box", NAME, "box"]
    await mouth.speaking.close()
    assert mouth.book.of(NAME) == ["reserve", "release"]
    assert mouth.breaker.health(NAME).status == "misconfigured"


async def test_what_was_ordered_and_not_heard_of_is_booked_as_a_whole() -> None:
    mouth = Mouth()
    mouth.say(1)
    await mouth.orders()
    mouth.speaking.take(WorkerChanged(worker="tts", status="failed"))
    mouth.say(1)  # the new worker is told again
    await mouth.orders()
    mouth.speaking.cancel(1)
    mouth.spoken(1)  # too late
    await mouth.speaking.close()
    assert mouth.book.of(NAME) == ["reserve", "settle", "reserve", "settle"]
