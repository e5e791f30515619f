"""Who transcribes: the box, or a provider, with a recorded worker and ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from appliance.assistant.hearing import Hearing
from appliance.commands import Command, Transcribe
from appliance.events import (
    Event,
    Logged,
    ProviderChosen,
    ProviderUsed,
    Transcribed,
    TranscriptionFailed,
    WorkerChanged,
)
from appliance.providers.circuit_breaker import CircuitBreaker
from appliance.providers.offline import Network
from appliance.providers.policy import Candidate, Policy
from tests.assistant.test_router import Book, quota

ORDER = Transcribe(turn_id=3, attempt=2, start=0, end=16_000 * 12)


class Ear:
    """Hearing with providers ``groq`` and ``openai``."""

    def __init__(self, policy: Any = "cloud_first") -> None:
        self.sent: list[Command] = []
        self.events: list[Event] = []
        self.noted: list[tuple[str, str, int, int]] = []
        self.book = Book()
        self.breaker = CircuitBreaker()
        self.network = Network(["groq", "openai"], proc=Path("/nowhere"))
        self.hearing = Hearing(
            {"groq": "whisper", "openai": "transcribe"},
            ledger=self.book,
            breaker=self.breaker,
            network=self.network,
            policy=Policy(
                local=Candidate(name="local", place="box"),
                others=tuple(
                    Candidate(name=name, place="cloud", metered=True)
                    for name in ("deaf", "groq", "openai")
                ),
                roles={"stt": policy} if policy else {},
            ),
            emit=self.events.append,
            note=lambda *entry: self.noted.append(entry),
            publish=self.events.append,
        )

    def begin(self, *, certain: bool = True) -> None:
        self.hearing.transcribe(ORDER, self._send, certain=certain)

    def _send(self, command: Command) -> bool:
        self.sent.append(command)
        return True

    async def asked(self) -> list[str]:
        """Return whom the worker was to ask so far; the box is empty."""
        await asyncio.sleep(0.01)
        return [command.provider for command in self.sent if isinstance(command, Transcribe)]

    def heard(self, provider: str) -> None:
        self.hearing.take(
            Transcribed(turn_id=3, attempt=2, start=0, end=192_000, text="Hello", provider=provider)
        )

    def failed(self, provider: str, kind: str = "server") -> None:
        self.hearing.take(
            TranscriptionFailed(
                turn_id=3, attempt=2, provider=provider, kind=kind, detail="it failed"
            )
        )

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.mark.parametrize("policy", ["", "local", "local_first"])
async def test_the_box_does_it_at_once_where_nothing_else_is_wanted(policy: str) -> None:
    ear = Ear(policy)
    ear.begin(certain=False)
    assert ear.sent == [ORDER]
    assert not ear.events


async def test_a_provider_is_asked_when_the_person_has_finished_and_not_before() -> None:
    ear = Ear()
    ear.begin(certain=False)
    assert await ear.asked() == []
    assert not ear.book.entries
    ear.hearing.confirm(3)
    assert await ear.asked() == ["groq"]
    assert ear.book.entries == [("reserve", "groq", "stt", 120, 60)]
    assert ear.noted == [("groq", "whisper", 3, 192_000)]
    ear.heard("groq")
    assert await ear.asked() == ["groq"]
    assert ear.book.of("groq") == ["reserve", "settle"]
    [chosen], [used] = ear.of(ProviderChosen), ear.of(ProviderUsed)
    assert (chosen.provider, chosen.role, chosen.skipped) == (
        "groq",
        "stt",
        {"deaf": "unsupported"},
    )
    assert (used.outcome, used.prompt_tokens, used.completion_tokens) == ("finished", 120, 60)


async def test_whoever_fails_is_followed_by_the_next_and_in_the_end_by_the_box() -> None:
    ear = Ear()
    ear.begin()
    assert await ear.asked() == ["groq"]
    ear.failed("groq", "misconfigured")
    assert await ear.asked() == ["groq", "openai"]
    ear.failed("groq")  # late, and of somebody else
    ear.failed("openai", "timeout")
    assert await ear.asked() == ["groq", "openai", ""]
    assert ear.book.of("groq") == ["reserve", "release"]
    assert ear.book.of("openai") == ["reserve", "settle"]
    assert ear.breaker.health("groq").status == "misconfigured"
    assert [event.provider for event in ear.of(ProviderChosen)] == ["local"]
    ear.begin()
    assert await ear.asked() == ["groq", "openai", "", "openai"]
    await ear.hearing.close()


async def test_a_budget_that_is_used_up_and_a_network_that_is_gone() -> None:
    ear = Ear()
    ear.book.refused["groq"] = quota()
    ear.network.unreachable("groq")
    ear.network.unreachable("openai")
    ear.begin()
    assert await ear.asked() == [""]
    ear.network.succeeded()
    ear.begin()
    assert await ear.asked() == ["", "openai"]
    assert ear.breaker.health("groq").status == "ok"
    await ear.hearing.close()


async def test_what_is_cancelled_is_booked_only_if_it_was_sent() -> None:
    ear = Ear()
    ear.begin(certain=False)
    ear.hearing.cancel(3)
    ear.hearing.confirm(3)
    assert await ear.asked() == []
    ear.begin()
    assert await ear.asked() == ["groq"]
    ear.hearing.cancel(3)
    await ear.hearing.close()
    assert ear.book.of("groq") == ["reserve", "settle"]


async def test_a_worker_that_dies_is_asked_anew_by_others() -> None:
    ear = Ear()
    ear.begin()
    await ear.asked()
    ear.hearing.take(WorkerChanged(worker="stt", status="failed"))
    assert await ear.asked() == ["groq"]
    assert ear.book.of("groq") == ["reserve", "settle"]
    assert ear.breaker.health("groq").status == "ok"


async def test_nobody_is_left() -> None:
    ear = Ear("cloud")
    ear.begin()
    for name in ("groq", "openai"):
        await ear.asked()
        ear.failed(name)
    assert await ear.asked() == ["groq", "openai"]
    assert [(event.turn_id, event.attempt, event.text) for event in ear.of(Transcribed)] == [
        (3, 2, "")
    ]
    assert "it failed" in ear.of(Logged)[0].text
