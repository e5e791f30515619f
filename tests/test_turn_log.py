"""The last turns, with verdicts."""

from __future__ import annotations

from datetime import UTC, datetime

from appliance.events import JobFinished, StateChanged, TurnEnded
from appliance.settings import ThresholdSettings
from appliance.turn_log import TURNS, TurnLog

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


def turn(number: int, **timings: float) -> TurnEnded:
    return TurnEnded(turn_id=number, source="wake", outcome="answered", timings=timings)


def test_the_newest_first_and_no_more_than_so_many() -> None:
    log = TurnLog(ThresholdSettings(), lambda: NOW)
    for number in range(TURNS + 5):
        log.handle(turn(number))
        log.handle(StateChanged(state="idle"))
    assert [entry["turn_id"] for entry in log.newest(2)] == [TURNS + 4, TURNS + 3]
    assert len(log.newest(10_000)) == TURNS


def test_each_timing_has_its_verdict() -> None:
    log = TurnLog(ThresholdSettings(), lambda: NOW)
    log.handle(turn(1, stt_ms=1500.0, first_token_ms=100.0, playback_ms=11_000.0))
    (entry,) = log.newest(1)
    assert entry["at"] == "2026-11-21T08:00:00.000+00:00"
    assert entry["verdicts"] == {
        "stt_s": "warning",
        "first_token_s": "ok",
        "end_to_end_s": "critical",
    }
    assert entry["level"] == "critical"


def test_the_report_of_the_day_is_kept() -> None:
    log = TurnLog(ThresholdSettings(), lambda: NOW)
    assert log.report == {}
    log.handle(JobFinished(name="daily-report", ok=True, text="All is well."))
    log.handle(JobFinished(name="daily-report", ok=False, text="no"))
    log.handle(JobFinished(name="maintenance", ok=True, text="Done."))
    assert log.report == {"at": "2026-11-21T08:00:00.000+00:00", "text": "All is well."}
