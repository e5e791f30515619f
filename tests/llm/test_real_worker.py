"""The worker as its own process with the real small model; damaged model files."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import paths
from appliance.commands import Cancel, Ping, Shutdown, Warm
from appliance.events import Logged, Pong, Ready, TokensGenerated
from tests.llm.conftest import SMALL
from tests.llm.harness import worker

pytestmark = [pytest.mark.models, pytest.mark.slow]

SYSTEM = {"role": "system", "content": "You are Luna. Answer in one short sentence."}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_a_conversation_through_the_process_and_over_a_restart(tmp_path: Path) -> None:
    question = user("What is the capital of France?")
    with worker(SMALL, paths.models_dir(), tmp_path) as first:
        ready = first.next()
        assert isinstance(ready, Ready)
        assert ready.detail == SMALL
        first.main.send(Warm(role="chat", messages=(SYSTEM,)))
        first.ask(SYSTEM, question)
        text, done = first.answer()
        assert "Paris" in text
        assert done.first_token_ms > 0
        turn_id = first.ask(SYSTEM, user("Tell me a very long story."), max_tokens=150)
        assert isinstance(first.next(), TokensGenerated)
        first.main.send(Cancel(turn_id=turn_id))
        _, done = first.answer()
        assert done.reason == "cancelled"
        assert done.completion_tokens < 150
        first.ask(SYSTEM, user("x " * 50_000))
        _, done = first.answer()
        assert done.reason == "failed"
        assert "too long" in done.detail
        first.main.send(Ping(n=5))
        assert isinstance(first.next(), Pong)
        first.main.send(Shutdown())
        first.process.join(10.0)
        assert first.process.exitcode == 0
    with worker(SMALL, paths.models_dir(), tmp_path) as second:
        assert isinstance(second.next(), Ready)
        second.ask(SYSTEM, question)
        again, done = second.answer()
        assert again == text
        assert done.cached_tokens > 10, "the prefix came from the disk"


def test_a_killed_worker_leaves_the_saved_prefix_whole(tmp_path: Path) -> None:
    with worker(SMALL, paths.models_dir(), tmp_path) as first:
        first.next()
        first.main.send(Warm(role="chat", messages=(SYSTEM,)))
        first.ask(SYSTEM, user("Count to one hundred."), max_tokens=200)
        assert isinstance(first.next(), TokensGenerated)
        first.process.kill()
        first.process.join()
    with worker(SMALL, paths.models_dir(), tmp_path) as second:
        second.next()
        second.ask(SYSTEM, user("What is the capital of France?"))
        assert "Paris" in second.answer()[0]


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
    with worker(SMALL, tmp_path, tmp_path / "state") as broken:
        logged = broken.next()
        assert isinstance(logged, Logged)
        assert logged.level == "error"
        assert SMALL in logged.text
        assert "luna models pull" in logged.text
        broken.process.join(10.0)
        assert broken.process.exitcode == 4
