"""The box's own models behind the router's contract, with a recorded worker."""

from __future__ import annotations

import asyncio

import pytest

from appliance.assistant.local_models import LocalModels
from appliance.commands import Cancel, Classify, Command, Generate, Warm
from appliance.errors import ProviderError
from appliance.events import Classified, GenerationFinished, TokensGenerated, WorkerChanged
from appliance.providers.base import ChatRequest, Delta, Usage

REQUEST = ChatRequest(
    role="chat",
    messages=({"role": "user", "content": "Hello!"},),
    max_tokens=9,
    temperature=0.5,
    continues="Well,",
    turn_id=3,
    attempt=2,
)
READY = WorkerChanged(worker="llm", status="ready")
LOST = WorkerChanged(worker="llm", status="failed")


class Box:
    def __init__(self, *, ready: bool = True) -> None:
        self.sent: list[Command] = []
        self.local = LocalModels(self.send, {"chat": "small"})
        if ready:
            self.local.take(READY)

    def send(self, command: Command) -> bool:
        self.sent.append(command)
        return True

    def write(self, text: str, attempt: int = 2) -> None:
        self.local.take(TokensGenerated(turn_id=3, attempt=attempt, text=text))

    def finish(self, reason: str = "stop") -> None:
        self.local.take(
            GenerationFinished(
                turn_id=3,
                attempt=2,
                reason=reason,
                detail="It is too long.",
                prompt_tokens=7,
                cached_tokens=5,
                completion_tokens=2,
            )
        )

    async def read(self) -> list[Delta]:
        return [delta async for delta in self.local.stream(REQUEST)]


async def reading(box: Box) -> asyncio.Task[list[Delta]]:
    task = asyncio.create_task(box.read())
    await asyncio.sleep(0)
    return task


async def test_an_answer_is_streamed_with_its_usage() -> None:
    box = Box()
    task = await reading(box)
    generate = box.sent[0]
    assert isinstance(generate, Generate)
    assert (generate.turn_id, generate.attempt, generate.continues) == (3, 2, "Well,")
    box.write("too", attempt=1)  # of an attempt that is void
    box.write(" hello")
    box.finish("cancelled")  # of the generation that this one replaced
    box.write(" there")
    box.finish()
    *pieces, last = await task
    assert "".join(delta.text for delta in pieces) == " hello there"
    assert last.finish == "stop"
    assert last.usage == Usage(prompt_tokens=7, cached_tokens=5, completion_tokens=2)
    assert len(box.sent) == 1


async def test_closing_the_stream_cancels_the_work() -> None:
    box = Box()
    task = await reading(box)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    cancel = box.sent[-1]
    assert isinstance(cancel, Cancel)
    assert (cancel.turn_id, cancel.attempt) == (3, 2)


async def test_a_lost_worker_is_an_error_and_a_new_one_is_waited_for() -> None:
    box = Box()
    task = await reading(box)
    box.write("He")
    box.local.take(LOST)
    with pytest.raises(ProviderError) as caught:
        await task
    assert caught.value.kind == "lost"
    task = await reading(box)
    assert len(box.sent) == 1
    box.local.take(READY)
    await asyncio.sleep(0.01)
    assert len(box.sent) == 2
    box.finish()
    assert (await task)[-1].finish == "stop"


async def test_what_the_model_refuses_is_said() -> None:
    box = Box()
    task = await reading(box)
    box.finish("failed")
    with pytest.raises(ProviderError, match="too long") as caught:
        await task
    assert caught.value.kind == "rejected"


async def test_a_choice() -> None:
    box = Box()
    asked = asyncio.create_task(box.local.classify((3, 2), ({"role": "user"},), ("a", "b")))
    await asyncio.sleep(0)
    assert isinstance(box.sent[0], Classify)
    box.local.take(Classified(turn_id=3, attempt=2, choice="b", probability=0.75))
    assert await asked == ("b", 0.75)


async def test_without_a_worker_there_is_no_choice() -> None:
    assert await Box(ready=False).local.classify((3, 2), (), ("a", "b")) == ("", 0.0)


async def test_a_choice_that_takes_too_long_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.assistant.local_models.CLASSIFY_WITHIN_S", 0.01)
    assert await Box().local.classify((3, 2), (), ("a", "b")) == ("", 0.0)


async def test_models_and_sizes() -> None:
    box = Box()
    assert (box.local.model("chat"), box.local.model("vision")) == ("small", "")
    assert box.local.count_tokens(REQUEST.messages, "small") > 0
    box.local.warm("chat", REQUEST.messages)
    assert isinstance(box.sent[0], Warm)
