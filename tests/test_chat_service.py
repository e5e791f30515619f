"""Stop words in pieces, who goes first, and what is said when nobody can answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.assistant.local_models import LocalModels
from appliance.chat_service import StopAt, Turns, YieldingModels
from appliance.events import TurnEnded, TurnStarted
from appliance.providers.base import ChatRequest, Delta, Usage


@given(
    pieces=st.lists(st.text("ab ", max_size=4), max_size=12),
    words=st.lists(st.text("ab ", min_size=1, max_size=5), max_size=4),
)
def test_stop_words_are_found_however_they_come(pieces: list[str], words: list[str]) -> None:
    stop, whole = StopAt(words), "".join(pieces)
    passed = "".join(map(stop.feed, pieces)) + stop.close()
    places = [place for word in words if (place := whole.find(word)) >= 0]
    if not places:
        assert passed == whole
        assert not stop.stopped
    else:
        # With several words the one that is whole first decides, as it would in a stream.
        assert stop.stopped
        assert whole.startswith(passed)
        assert len(passed) in places


def test_nothing_is_held_back_without_need() -> None:
    stop = StopAt(["\n\n"])
    assert stop.feed("One") == "One"
    assert stop.feed(" line\n") == " line"
    assert stop.feed("and more") == "\nand more"
    assert stop.feed("\n\nnever") == ""
    assert stop.close() == ""


def begun(turn_id: int) -> TurnStarted:
    return TurnStarted(turn_id=turn_id, source="wake")


def ended(turn_id: int) -> TurnEnded:
    return TurnEnded(turn_id=turn_id, source="wake", outcome="answered")


def test_turns_that_overlap() -> None:
    turns = Turns()
    turns.take(begun(1))
    turns.take(begun(2))
    turns.take(ended(1))
    assert turns.begun.is_set()
    assert not turns.over.is_set()
    turns.take(ended(2))
    assert turns.over.is_set()
    assert not turns.begun.is_set()


class _Models:
    """Writes numbers, one each time the test lets it; and knows what it was asked."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.asked: list[ChatRequest] = []
        self.closed = 0
        self.may_write = asyncio.Semaphore(0)

    def model(self, role: str) -> str:
        return self.names.get(role, "")

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        self.asked.append(request)
        count = len(request.continues.split())
        try:
            for number in range(count, count + request.max_tokens):
                await self.may_write.acquire()
                yield Delta(text=f"{number} ")
            usage = Usage(prompt_tokens=10 + count, completion_tokens=request.max_tokens)
            yield Delta(finish="length", usage=usage)
        finally:
            self.closed += 1


class _Resident:
    def __init__(self) -> None:
        self.done: list[str] = []

    def step_aside(self) -> None:
        self.done.append("aside")

    def renew(self, language: str) -> None:
        self.done.append("renew")

    def rest(self, language: str) -> None:
        self.done.append("rest")


REQUEST = ChatRequest(role="chat", messages=(), max_tokens=6, temperature=0.0, turn_id=-1)


@pytest.mark.parametrize("apart", [False, True])
async def test_an_answer_pauses_for_a_turn(apart: bool) -> None:
    models = _Models({"chat": "a", "code": "b" if apart else "a"})
    turns, resident = Turns(), _Resident()
    local = YieldingModels(cast(LocalModels, models), turns, resident, "en")
    written: list[Delta] = []

    async def read() -> None:
        async for delta in local.stream(REQUEST):
            written.append(delta)  # noqa: PERF401 - looked at meanwhile

    turns.take(begun(1))
    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    assert not models.asked
    turns.take(ended(1))
    for _ in range(2):
        models.may_write.release()
    await asyncio.sleep(0.01)
    assert len(written) == 2
    turns.take(begun(2))
    await asyncio.sleep(0.01)
    assert models.closed == 1
    models.may_write.release()
    await asyncio.sleep(0.01)
    assert len(written) == 2
    turns.take(ended(2))
    for _ in range(6):
        models.may_write.release()
    await task
    assert "".join(delta.text for delta in written) == "0 1 2 3 4 5 "
    assert written[-1].usage == Usage(prompt_tokens=10, completion_tokens=6)
    first, second = models.asked
    assert (first.continues, second.continues, second.max_tokens) == ("", "0 1 ", 4)
    assert first.attempt != second.attempt
    assert {first.role, second.role} == ({"chat"} if apart else {"code"})
    # Where the conversation lost its place in the cache, it is read again: already in the turn.
    expected = ["aside", "renew", "aside", "renew", "rest"] if apart else ["aside", "aside", "rest"]
    assert resident.done == expected


async def test_who_gives_up_frees_the_engine() -> None:
    models = _Models({"chat": "a", "code": "a"})
    local = YieldingModels(cast(LocalModels, models), Turns(), _Resident(), "en")

    async def read(out: list[Any]) -> None:
        async for delta in local.stream(REQUEST):
            out.append(delta)  # noqa: PERF401

    first: list[Any] = []
    second: list[Any] = []
    running = asyncio.create_task(read(first))
    waiting = asyncio.create_task(read(second))
    await asyncio.sleep(0.01)
    assert len(models.asked) == 1
    running.cancel()
    await asyncio.wait((running,))
    for _ in range(6):
        models.may_write.release()
    await waiting
    assert models.closed == 2
    assert len(second) == 7
