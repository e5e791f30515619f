"""Summing up between the turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from appliance.assistant.history import History
from appliance.assistant.prompts import Prompts
from appliance.assistant.summarising import Summariser
from appliance.errors import ProviderError
from appliance.providers.base import ChatRequest, Delta

LONG = "It is a long story about a ship, a storm and an island, which nobody tells twice. " * 4


class Models:
    def __init__(self, *, fails: bool = False) -> None:
        self.requests: list[ChatRequest] = []
        self.warmed = 0
        self.fails = fails
        self.models = {"chat": "small", "code": "small"}

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        self.requests.append(request)
        if self.fails:
            raise ProviderError("it is gone", kind="lost")
        yield Delta(text="Earlier: a ship")
        yield Delta(text=" and a storm.", finish="stop")

    def model(self, role: str) -> str:
        return self.models[role]

    def warm(self, role: str, messages: tuple[dict[str, str], ...]) -> None:
        self.warmed += 1
        self.read = messages


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.assistant.summarising.IDLE_S", 0.01)


def talked(exchanges: int) -> History:
    history = History()
    for number in range(exchanges):
        history.add(f"Question {number}?", LONG)
    return history


async def run(history: History, models: Models) -> None:
    summariser = Summariser(history, models, Prompts(), 400)  # type: ignore[arg-type]
    summariser.start("en")
    await asyncio.sleep(0.05)


async def test_what_does_not_fit_any_more_is_summed_up() -> None:
    history, models = talked(8), Models()
    await run(history, models)
    assert history.summary == "Earlier: a ship and a storm."
    assert 0 < len(history) < 8
    asked = models.requests[0].messages
    assert "Question 0?" in asked[1]["content"]
    assert "Question 7?" not in asked[1]["content"]
    assert "a ship and a storm" in history.messages("You are Luna.")[0]["content"]
    assert models.warmed == 1
    assert models.read == history.messages(Prompts().render("en").text)


async def test_the_conversation_stays_in_the_cache_where_that_costs_no_memory() -> None:
    models = Models()
    await run(talked(8), models)
    assert models.requests[0].role == "code"
    models = Models()
    models.models["code"] = "another"
    await run(talked(8), models)
    assert models.requests[0].role == "chat"


async def test_a_short_conversation_stays_as_it_is() -> None:
    history, models = talked(1), Models()
    await run(history, models)
    assert not models.requests
    assert len(history) == 1


async def test_a_model_that_fails_costs_nothing() -> None:
    history = talked(8)
    await run(history, Models(fails=True))
    assert (history.summary, len(history)) == ("", 8)


async def test_a_question_interrupts_it() -> None:
    history, models = talked(8), Models()
    summariser = Summariser(history, models, Prompts(), 400)  # type: ignore[arg-type]
    summariser.start("en")
    summariser.stop()
    await asyncio.sleep(0.05)
    assert not models.requests
