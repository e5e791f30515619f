"""Given a log with a known problem, the right one is named; whatever a log is, nothing breaks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.diagnose.entries import MAX_LINE, Parsed, parse, parse_line
from appliance.diagnose.evidence import gather
from appliance.diagnose.report import Report, as_json, as_text, diagnose, percentile
from appliance.settings import ThresholdSettings
from tests.diagnose.faults import DATA, PROBLEMS

LIMITS = ThresholdSettings()
RIGHT = {
    "healthy": "",
    "blocking_playback": "blocking_playback",
    "late_consumer": "late_consumer",
    "full_queue": "full_queue",
    "slow_provider": "slow_provider",
    "provider_fallback": "provider_failed",
    "model_evicted": "model_evicted",
    "restarts": "restarts",
    "throttled": "slowed",
}


def report(name: str) -> Report:
    return diagnose(parse((DATA / f"{name}.jsonl").read_text().splitlines()), LIMITS)


def test_there_is_a_log_of_each_problem() -> None:
    assert set(PROBLEMS) == set(RIGHT) == {file.stem for file in DATA.glob("*.jsonl")}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_problem_is_named_and_no_other(name: str) -> None:
    found = report(name)
    assert [cause.name for cause in found.causes] == ([RIGHT[name]] if RIGHT[name] else [])
    assert found.skipped == 0


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("language", ["en", "pt"])
def test_the_report_fits_a_terminal_and_says_what_it_cannot_know(name: str, language: str) -> None:
    found = report(name)
    written = as_text(found, language)
    assert max(map(len, written.splitlines())) <= 80
    assert "{" not in written
    assert found.unknown
    assert json.loads(json.dumps(as_json(found, language)))["unknown"]


def test_what_the_causes_say() -> None:
    (lost,) = report("full_queue").causes
    assert lost.values["lost"] > 0
    (late,) = report("late_consumer").causes
    assert 7 < late.values["seconds"] < 12
    (slow,) = report("slow_provider").causes
    assert slow.values["provider"] == "groq"
    assert slow.values["seconds"] == pytest.approx(4.5, abs=0.5)
    (failed,) = report("provider_fallback").causes
    assert (failed.values["outcome"], failed.values["instead"]) == ("server", 4)
    (worker,) = report("restarts").causes
    assert (worker.values["worker"], worker.values["count"]) == ("stt", 4)
    assert "SIGKILL" in worker.values["reason"]
    (slowed,) = report("throttled").causes
    assert slowed.values["before"] > 2 * slowed.values["after"]
    assert not slowed.certain


def test_percentiles_against_the_limits() -> None:
    found = report("slow_provider")
    first = next(stage for stage in found.stages if stage.name == "first_token_s")
    assert (first.count, first.level, first.limits) == (4, "warning", (3.0, 8.0))
    assert first.p50 <= first.p95 <= first.longest
    generous = replace(LIMITS, first_token_s=(10.0, 20.0))
    parsed = parse((DATA / "slow_provider.jsonl").read_text().splitlines())
    assert not diagnose(parsed, generous).causes
    assert [percentile([1.0, 2.0, 3.0, 4.0], p) for p in (1, 50, 75, 95, 100)] == [1, 2, 3, 4, 4]


# --- problems that no machine here can be brought to ------------------------------------------


def line(second: int, event: str, **fields: Any) -> str:
    time = datetime(2026, 11, 21, 8, tzinfo=UTC) + timedelta(seconds=second)
    return json.dumps(
        {"time": time.isoformat(), "level": "info", "message": "x", "event": event} | fields
    )


def test_heat_that_the_box_speaks_of_is_certain() -> None:
    hot = line(
        9,
        "finding_changed",
        finding="throttled",
        verdict="critical",
        message="The processor is slowed down (throttled); check cooling and power supply.",
    )
    parsed = parse([*(DATA / "throttled.jsonl").read_text().splitlines(), hot])
    (cause,) = diagnose(parsed, LIMITS).causes
    assert (cause.name, cause.certain) == ("throttled", True)
    assert "check cooling" in as_text(diagnose(parsed, LIMITS), "en").replace("\n", " ")


def test_a_speaker_that_hangs_for_ever_is_blocking_playback_too() -> None:
    ended = line(
        5,
        "worker_changed",
        worker="audio",
        status="failed",
        message="audio: failed (its job made no progress for 9 s)",
    )
    (cause,) = diagnose(parse([ended]), LIMITS).causes
    assert cause.name == "blocking_playback"


def turn(second: int, **timings: float) -> str:
    return line(
        second, "turn_ended", source="wake", outcome="answered", provider="local", **timings
    )


def test_one_slow_step_is_not_the_processor() -> None:
    lines = [turn(n, stt_ms=2500, first_token_ms=900, synthesis_ms=90) for n in range(5)]
    (cause,) = diagnose(parse(lines), LIMITS).causes
    assert (cause.name, cause.certain) == ("stt_s", False)


def test_what_was_always_slow_is_not_said_to_have_become_slower() -> None:
    lines = [turn(n, stt_ms=2500, first_token_ms=5000, synthesis_ms=90) for n in range(5)]
    found = diagnose(parse(lines), LIMITS)
    assert [cause.name for cause in found.causes] == ["slow_processor"]
    assert "heat" in found.unknown


# --- forms of a log ----------------------------------------------------------------------------

OWN = line(1, "turn_ended", turn_id=7, stt_ms=812.5, level="warning", message="turn 7 answered")


def same(other: str) -> None:
    one, two = parse_line(OWN), parse_line(other)
    assert one is not None
    assert two is not None
    assert (two.time, two.level, two.event) == (one.time, one.level, one.event)
    assert (two.turn_id, two.text, two.number("stt_ms")) == (7, one.text, 812.5)


def test_the_same_line_in_each_form() -> None:
    seconds = int(datetime.fromisoformat(json.loads(OWN)["time"]).timestamp())
    journal = {
        "__REALTIME_TIMESTAMP": f"{seconds}000000",
        "MESSAGE": "turn 7 answered",
        "PRIORITY": "4",
        "LUNA_EVENT": "turn_ended",
        "LUNA_TURN_ID": "7",
        "LUNA_STT_MS": "812.5",
        "_PID": "1",
    }
    same(json.dumps(journal))
    same(json.dumps({"__REALTIME_TIMESTAMP": "1", "MESSAGE": OWN, "PRIORITY": "6"}))
    same(f"Nov 21 08:00:01 box luna[812]: {OWN}")
    page = {"n": 3, "level": "warning", "turn": 7, "event": "turn_ended", "worker": ""}
    page |= {"time": json.loads(OWN)["time"], "text": "turn 7 answered"}
    same(json.dumps({**page, "fields": {"stt_ms": 812.5}}))


@pytest.mark.parametrize(
    "bad",
    [
        "-- Logs begin at ...",
        "12:00:01 ! plain text of a terminal",
        "{",
        "[1]",
        '{"message": "no time"}',
        '{"time": "yesterday", "message": "x"}',
        '{"time": 5, "message": 5}',
        '{"MESSAGE": [1, 2], "__REALTIME_TIMESTAMP": "5"}',
        '{"MESSAGE": "x", "__REALTIME_TIMESTAMP": "99999999999999999999999"}',
        "[" * 50_000 + '{"time":',
        "{" + "x" * MAX_LINE,
    ],
)
def test_what_is_no_line_of_lunas_is_counted(bad: str) -> None:
    parsed = parse([OWN, bad, ""])
    assert (len(parsed.entries), parsed.skipped) == (1, 1)
    assert "lines" in diagnose(parsed, LIMITS).unknown


def test_an_empty_log_and_one_that_begins_in_the_middle() -> None:
    assert "journalctl" in as_text(diagnose(Parsed(), LIMITS), "en")
    found = diagnose(parse([OWN]), LIMITS)
    assert "before" in found.unknown
    assert gather([], LIMITS).begins is None


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
EVENTS = st.sampled_from(
    [
        "service_started",
        "turn_ended",
        "capture_dropped",
        "worker_changed",
        "model_loaded",
        "model_unloaded",
        "provider_used",
        "provider_chosen",
        "finding_changed",
        "microphone_changed",
    ]
)
NAMES = st.sampled_from(
    [
        *("status", "where", "blocks", "finding", "verdict", "value", "provider", "outcome"),
        *("reason", "skipped", "first_token_ms", "stt_ms", "playback_ms", "first_audio_ms"),
        *("tokens_per_second", "model", "load_ms", "cores", "worker", "turn_id", "level"),
    ]
)


@given(st.lists(st.tuples(EVENTS, st.dictionaries(NAMES, VALUES)), max_size=20))
def test_no_log_breaks_the_report(events: list[tuple[str, dict[str, Any]]]) -> None:
    lines = [line(at, event, **fields) for at, (event, fields) in enumerate(events)]
    for language in ("en", "pt"):
        found = diagnose(parse(lines), LIMITS)
        as_text(found, language)
        as_json(found, language)


def test_logs_of_the_data_hold_no_machine_of_anybodys(tmp_path: Path) -> None:
    for file in DATA.glob("*.jsonl"):
        text = file.read_text()
        assert "/home/" not in text
        assert "/root/" not in text
        assert "/tmp/" not in text
