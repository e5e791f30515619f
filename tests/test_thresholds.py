"""Figures become verdicts by one table."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import config
from appliance.errors import ConfigError
from appliance.settings import ThresholdSettings
from appliance.texts import catalogue
from appliance.thresholds import (
    CHECKS,
    LEVELS,
    RECOVERY,
    TURN_CHECKS,
    Check,
    judge,
    judge_turn,
    level_of,
    limits_of,
    worst,
)

LIMITS = ThresholdSettings()
FIGURES = st.floats(0, 1e6, allow_nan=False)
RISING = st.tuples(FIGURES, FIGURES).map(lambda two: (min(two), max(two)))
MEASURED = st.dictionaries(st.sampled_from([*CHECKS]), FIGURES)


def test_the_limits_are_those_that_were_promised() -> None:
    assert LIMITS.stt_s == (1, 3)
    assert LIMITS.first_token_s == (3, 8)
    assert LIMITS.synthesis_s == (1, 3)
    assert LIMITS.end_to_end_s == (5, 10)
    assert LIMITS.capture_queue == (50, 100)
    assert LIMITS.capture_drops == (0, 10)


def test_table_settings_and_words_name_the_same() -> None:
    assert {f.name for f in fields(LIMITS)} == set(CHECKS)
    assert set(TURN_CHECKS.values()) < set(CHECKS)
    for language in ("en", "pt"):
        for name in CHECKS:
            assert catalogue(language)[f"check.{name}"]
            assert catalogue(language)[f"finding.{name}"]


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("stt_s", 1.0, "ok"),
        ("stt_s", 1.01, "warning"),
        ("stt_s", 3.0, "warning"),
        ("stt_s", 3.01, "critical"),
        ("capture_drops", 0, "ok"),
        ("capture_drops", 1, "warning"),
        ("capture_drops", 11, "critical"),
        ("capture_queue", 100, "warning"),
        ("workers_down", 1, "critical"),
        ("clock_doubted", 1, "warning"),
        ("memory_free_percent", 12.0, "ok"),
        ("memory_free_percent", 11.9, "warning"),
        ("disk_free_mb", 99.0, "critical"),
    ],
)
def test_levels(name: str, value: float, level: str) -> None:
    assert judge({name: value}, LIMITS)[name].level == level


@given(value=FIGURES, limits=RISING, falls=st.booleans())
def test_worse_figures_never_have_better_levels(
    value: float, limits: tuple[float, float], falls: bool
) -> None:
    check = Check("x", 1, falls=falls)
    ordered = limits[::-1] if falls else limits
    figures = sorted({value, *limits, 2 * value, value / 2, 0.0}, reverse=falls)
    levels = [LEVELS.index(level_of(check, figure, ordered)) for figure in figures]
    assert all(one <= other for one, other in pairwise(levels))


@given(value=FIGURES, limits=RISING, falls=st.booleans(), before=st.sampled_from(LEVELS))
def test_a_level_is_left_only_by_a_clear_margin(
    value: float, limits: tuple[float, float], falls: bool, before: Any
) -> None:
    check = Check("x", 1, falls=falls)
    ordered = limits[::-1] if falls else limits
    fresh = level_of(check, value, ordered)
    held = level_of(check, value, ordered, before)
    # The level so far holds a figure back, but never makes it worse than it was.
    assert LEVELS.index(fresh) <= LEVELS.index(held)
    assert LEVELS.index(held) <= max(LEVELS.index(fresh), LEVELS.index(before))
    assert level_of(check, value, ordered, held) == held  # looking again changes nothing
    clearly = value * (1 + 2 * RECOVERY) if falls else value * (1 - 2 * RECOVERY)
    if held != fresh:
        assert level_of(check, clearly, ordered, held) == level_of(check, clearly, ordered)


@given(MEASURED)
def test_only_what_was_measured_is_judged_in_the_tables_order(measured: dict[str, float]) -> None:
    verdicts = judge(measured, LIMITS)
    assert list(verdicts) == [name for name in CHECKS if name in measured]
    assert worst(verdicts) in LEVELS
    for name, verdict in verdicts.items():
        assert verdict.value == measured[name]
        assert verdict.limit in limits_of(name, LIMITS)
    assert worst({}) == "ok"


def test_what_did_not_happen_in_a_turn_is_not_judged() -> None:
    timings = {"stt_ms": 0.0, "first_token_ms": 9000.0, "playback_ms": 4000.0, "wake_ms": 1e9}
    verdicts = judge_turn(timings, LIMITS)
    assert {name: v.level for name, v in verdicts.items()} == {
        "first_token_s": "critical",
        "end_to_end_s": "ok",
    }


def test_limits_can_be_set_and_their_order_is_checked() -> None:
    settings = config.load(
        environ={"LUNA_THRESHOLDS__STT_S": "2,4"}, overrides=["thresholds.disk_free_mb=[300, 30]"]
    )
    assert settings.thresholds.stt_s == (2.0, 4.0)
    assert settings.thresholds.disk_free_mb == (300.0, 30.0)
    with pytest.raises(ConfigError, match=r"(?s)disk_free_mb.*stt_s|stt_s.*disk_free_mb"):
        config.load(
            environ={}, overrides=["thresholds.disk_free_mb=[30, 300]", "thresholds.stt_s=[3, 1]"]
        )
