"""The log: JSON lines, timings of each turn, and no private words at the usual level."""

from __future__ import annotations

import json
import logging

import pytest

from appliance import log
from appliance.events import Heard, Logged, Pong, TurnEnded, WorkerChanged


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]):
    def read(level: str, *events: object) -> list[dict[str, object]]:
        log.configure(level)
        for event in events:
            log.log_event(event)  # type: ignore[arg-type]
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield read
    log.logger.handlers = []
    log.logger.setLevel(logging.NOTSET)


ENDED = TurnEnded(
    turn_id=3,
    source="wake",
    outcome="answered",
    question="My secret?",
    answer="None.",
    timings={"stt_ms": 300.0, "first_audio_ms": 900.0},
)


def test_turn_with_timings_and_without_words(lines) -> None:
    (line,) = lines("info", ENDED, Heard(turn_id=3, text="My secret?", language="en"), Pong(n=1))
    assert line["turn_id"] == 3
    assert line["stt_ms"] == 300.0
    assert line["event"] == "turn_ended"
    assert "secret" not in json.dumps(line)
    assert str(line["time"])[10] == "T"


def test_words_at_debug_level(lines) -> None:
    assert any("My secret?" in json.dumps(line) for line in lines("debug", ENDED))


def test_levels(lines) -> None:
    failed = WorkerChanged(worker="stt", status="failed", detail="it was ended by SIGKILL")
    found = lines(
        "warning", failed, Logged(level="info", text="x"), Logged(level="error", text="y")
    )
    assert [line["level"] for line in found] == ["warning", "error"]
    assert found[0]["worker"] == "stt"
