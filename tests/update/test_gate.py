"""The boot gate: each thing that can be wrong is found, and named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from appliance.errors import ServiceError
from appliance.update.gate import Finding, Probes, alike, examine

SENTENCE = "The quick test is finished and everything is working well."


class Box:
    """A service that is well, until a test says otherwise."""

    def __init__(self) -> None:
        self.report: dict[str, Any] = {
            "state": "idle",
            "mute_switch": False,
            "microphone": {"status": "open"},
            "workers": {
                name: {"status": "ready", "last_pong_s": 0.1}
                for name in ("audio", "listen", "stt", "tts", "llm")
            },
            "rings": {"capture": {"blocks_written": 0}},
        }
        self.captures = True
        self.damaged: list[str] = []
        self.understood = SENTENCE
        self.asked = 0
        self.silent = 0

    def health(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked <= self.silent:
            raise ServiceError("Luna is not running; start it with `luna run`")
        if self.captures:
            self.report["rings"] = {"capture": {"blocks_written": self.asked}}
        return self.report

    def findings(self, limit_s: float = 0.05) -> Iterator[Finding]:
        probes = Probes(
            health=self.health,
            models=lambda: self.damaged,
            say=lambda text, _language: text.encode(),
            hear=lambda _sound, _language: self.understood,
        )
        return examine(probes, SENTENCE, "en", limit_s=limit_s, pause_s=0.001)

    def problem(self) -> tuple[str, str]:
        last = list(self.findings())[-1]
        return last.check, last.problem


@pytest.fixture
def box() -> Box:
    return Box()


def test_all_is_well(box: Box) -> None:
    assert list(box.findings()) == [
        Finding(name) for name in ("service", "workers", "rings", "models", "voice")
    ]


def test_a_service_that_is_not_up_yet_is_waited_for(box: Box) -> None:
    box.silent = 3
    assert box.problem() == ("voice", "")


def test_a_service_that_never_comes(box: Box) -> None:
    box.silent = 10**9
    check, problem = box.problem()
    assert check == "service"
    assert "not running" in problem


@pytest.mark.parametrize("state", ["starting", "error"])
def test_a_state_that_is_not_ready(box: Box, state: str) -> None:
    box.report["state"] = state
    assert box.problem() == ("service", f"the service is in the state {state}")


def test_a_worker_that_does_not_answer(box: Box) -> None:
    box.report["workers"]["llm"]["status"] = "restarting"
    assert box.problem() == ("workers", "the worker llm is not ready (restarting)")
    del box.report["workers"]["llm"]
    assert box.problem() == ("workers", "the worker llm is not ready (missing)")


def test_a_worker_that_fails_again_and_again_is_not_waited_for(box: Box) -> None:
    box.report["workers"]["llm"] |= {"status": "starting", "restarts": 3}
    assert list(box.findings(limit_s=3600.0))[-1] == Finding(
        "workers", "the worker llm is not ready (starting)"
    )


def test_a_worker_that_was_never_heard_of(box: Box) -> None:
    box.report["workers"]["stt"]["last_pong_s"] = None
    assert box.problem() == ("workers", "the worker stt has not answered yet")


def test_a_ring_that_stands_still(box: Box) -> None:
    box.captures = False
    assert box.problem() == ("rings", "nothing is captured from the microphone")
    box.report["mute_switch"] = True
    assert box.problem() == ("voice", "")


def test_a_damaged_model(box: Box) -> None:
    box.damaged = ["the model x is damaged"]
    assert box.problem() == ("models", "the model x is damaged")


def test_luna_does_not_understand_herself(box: Box) -> None:
    box.understood = "Something else was said by somebody."
    check, problem = box.problem()
    assert check == "voice"
    assert "somebody" in problem


def test_how_alike_sentences_are() -> None:
    assert alike(SENTENCE, SENTENCE.upper() + "!!") == 100
    assert alike(SENTENCE, "the quick test has finished, and everything's working well") > 80
    assert alike(SENTENCE, "What is the capital of France?") < 55
    assert alike(SENTENCE, "") == 0
