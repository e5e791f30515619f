"""The worker as its own process with the real small model; damaged model files."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from appliance import paths
from appliance.commands import Cancel, Generate, Ping, Shutdown, Warm
from appliance.events import GenerationFinished, Logged, Message, Pong, Ready, TokensGenerated
from appliance.ipc import WorkerChannel, channel_pair
from appliance.llm import process
from appliance.settings import LlmSettings
from appliance.worker import WorkerContext
from tests.llm.conftest import SMALL

pytestmark = [pytest.mark.models, pytest.mark.slow]

SYSTEM = {"role": "system", "content": "You are Luna. Answer in one short sentence."}


class Worker:
    def __init__(self, models_dir: Path, state_dir: Path) -> None:
        ours, theirs = channel_pair()
        self.main = WorkerChannel(ours)
        build = partial(process.load, SMALL, models_dir, state_dir, LlmSettings())
        self.process = multiprocessing.get_context("spawn").Process(
            target=process.main, args=(WorkerContext("llm", theirs), build), daemon=True
        )
        self.process.start()
        theirs.close()

    def next(self) -> Message:
        message = self.main.receive(120.0)
        assert message is not None, "no event came"
        return message

    def ask(self, turn_id: int, text: str, max_tokens: int = 30) -> None:
        self.main.send(
            Generate(
                turn_id=turn_id,
                attempt=1,
                role="chat",
                messages=(SYSTEM, {"role": "user", "content": text}),
                max_tokens=max_tokens,
                temperature=0.0,
            )
        )

    def answer(self) -> tuple[str, GenerationFinished]:
        text = ""
        while not isinstance(message := self.next(), GenerationFinished):
            assert isinstance(message, TokensGenerated)
            text += message.text
        return text, message


@contextmanager
def worker(models_dir: Path, state_dir: Path) -> Iterator[Worker]:
    made = Worker(models_dir, state_dir)
    try:
        yield made
    finally:
        made.main.close()
        made.process.join(10.0)
        if made.process.is_alive():
            made.process.kill()
            made.process.join()


def test_a_conversation_through_the_process_and_over_a_restart(tmp_path: Path) -> None:
    with worker(paths.models_dir(), tmp_path) as first:
        ready = first.next()
        assert isinstance(ready, Ready)
        assert ready.detail == SMALL
        first.main.send(Warm(role="chat", messages=(SYSTEM,)))
        first.ask(1, "What is the capital of France?")
        text, done = first.answer()
        assert "Paris" in text
        assert done.first_token_ms > 0
        first.ask(2, "Tell me a very long story.", max_tokens=150)
        assert isinstance(first.next(), TokensGenerated)
        first.main.send(Cancel(turn_id=2))
        _, done = first.answer()
        assert done.reason == "cancelled"
        assert done.completion_tokens < 150
        first.ask(3, "x " * 50_000)
        _, done = first.answer()
        assert done.reason == "failed"
        assert "too long" in done.detail
        first.main.send(Ping(n=5))
        assert isinstance(first.next(), Pong)
        first.main.send(Shutdown())
        first.process.join(10.0)
        assert first.process.exitcode == 0
    with worker(paths.models_dir(), tmp_path) as second:
        assert isinstance(second.next(), Ready)
        second.ask(1, "What is the capital of France?")
        again, done = second.answer()
        assert again == text
        assert done.cached_tokens > 10, "the prefix came from the disk"


@pytest.mark.parametrize("damage", ["truncated", "tampered", "missing"])
def test_a_damaged_model_file_is_never_opened(
    tmp_path: Path, small_model: Path, damage: str
) -> None:
    folder = tmp_path / SMALL
    folder.mkdir()
    path = folder / small_model.name
    data = small_model.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[:-1000])
    elif damage == "tampered":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with worker(tmp_path, tmp_path / "state") as broken:
        logged = broken.next()
        assert isinstance(logged, Logged)
        assert logged.level == "error"
        assert SMALL in logged.text
        assert "luna models pull" in logged.text
        broken.process.join(10.0)
        assert broken.process.exitcode == 4
