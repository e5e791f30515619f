"""When a measured figure is well, a warning, or critical: one table for page, LEDs, log, metrics.

Everything here is pure: measurements and limits in, verdicts out. The limits are the section
``[thresholds]`` of the configuration; what is measured, and over which time, is in
:mod:`appliance.watcher`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from appliance.settings import ThresholdSettings

Level = Literal["ok", "warning", "critical"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "critical")
"""From well to bad; the index is what ``/metrics`` shows."""

RECOVERY = 0.05
"""A figure is better again once it is so much of its limit away from it. Without that, one that
trembles around the limit would change its verdict with every look."""


@dataclass(frozen=True)
class Check:
    """One figure that is judged. What it means for people is the text ``finding.NAME``."""

    name: str
    """The same in settings, events, log and metrics."""
    step: float
    """What changes by less than this is not worth telling."""
    falls: bool = False
    """The less, the worse (free memory); else the more, the worse."""
    places: int = 0
    """Decimals that a person wants to see."""


CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check("stt_s", 0.1, places=1),
        Check("first_token_s", 0.1, places=1),
        Check("synthesis_s", 0.1, places=1),
        Check("end_to_end_s", 0.1, places=1),
        Check("capture_queue", 25),
        Check("capture_drops", 1),
        Check("playback_gaps", 1),
        Check("workers_down", 1),
        Check("restarts", 1),
        Check("models_missing", 1),
        Check("microphone_down", 1),
        Check("speaker_down", 1),
        Check("temperature_c", 2),
        Check("throttled", 1),
        Check("cpu_wait_percent", 10),
        Check("memory_free_percent", 2, falls=True),
        Check("disk_free_mb", 50, falls=True),
        Check("data_unwritable", 1),
        Check("clock_doubted", 1),
        Check("network_down", 1),
        Check("setup_problems", 1),
    )
}
"""In the order in which a person wants to read them."""

TURN_CHECKS = {
    "stt_ms": "stt_s",
    "first_token_ms": "first_token_s",
    "synthesis_ms": "synthesis_s",
    "playback_ms": "end_to_end_s",
}
"""Which timing of a turn (see ``docs/events.md``) is judged by which check."""


@dataclass(frozen=True)
class Verdict:
    """A figure and what is to be thought of it."""

    name: str
    value: float
    level: Level
    limit: float
    """The limit that was passed; of a figure that is well the one that comes first."""


def limits_of(name: str, settings: ThresholdSettings) -> tuple[float, float]:
    """Return the limits of the check *name*: from where it is a warning, and critical."""
    limits: tuple[float, float] = getattr(settings, name)
    return limits


def level_of(
    check: Check, value: float, limits: tuple[float, float], before: Level = "ok"
) -> Level:
    """Return the level of *value*.

    A value on the limit itself is still well: ``(0, 10)`` means that one is a warning and eleven
    are critical. *before* is the level so far, see :data:`RECOVERY`.
    """
    level: Level = "ok"
    for limit, name in zip(limits, LEVELS[1:], strict=True):
        held = LEVELS.index(before) >= LEVELS.index(name)
        if check.falls:
            passed = value < limit * (1 + RECOVERY if held else 1)
        else:
            passed = value > limit * (1 - RECOVERY if held else 1)
        if passed:
            level = name
    return level


def judge(
    measured: Mapping[str, float],
    settings: ThresholdSettings,
    before: Mapping[str, Level] | None = None,
) -> dict[str, Verdict]:
    """Return the verdict on each of the *measured* figures, by name, in the table's order.

    *before* holds the levels so far. What is not in *measured* is not judged: a board without a
    thermometer is not too hot.
    """
    verdicts = {}
    for name, check in CHECKS.items():
        if name not in measured:
            continue
        limits = limits_of(name, settings)
        level = level_of(check, measured[name], limits, (before or {}).get(name, "ok"))
        limit = limits[1] if level == "critical" else limits[0]
        verdicts[name] = Verdict(name, measured[name], level, limit)
    return verdicts


def judge_turn(timings: Mapping[str, float], settings: ThresholdSettings) -> dict[str, Verdict]:
    """Return the verdicts on a turn's timings (milliseconds); 0 means that it did not happen."""
    return judge(turn_figures(timings), settings)


def turn_figures(timings: Mapping[str, float]) -> dict[str, float]:
    """Return what is judged of a turn's timings, in seconds."""
    return {
        name: timings[key] / 1000 for key, name in TURN_CHECKS.items() if timings.get(key, 0.0) > 0
    }


def worst(verdicts: Mapping[str, Verdict]) -> Level:
    """Return the worst level of all."""
    return max((v.level for v in verdicts.values()), key=LEVELS.index, default="ok")


def noticeable(name: str, one: float, other: float) -> bool:
    """Return whether a person would want to hear of the difference of two values of *name*."""
    return abs(one - other) >= CHECKS[name].step
