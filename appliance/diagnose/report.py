"""Writes down what was found: latencies against the limits, causes, and what nobody can know."""

from __future__ import annotations

import math
import textwrap
from dataclasses import asdict, dataclass, field
from typing import Any

from appliance.diagnose.causes import COMPUTED, Cause, find
from appliance.diagnose.entries import Parsed
from appliance.diagnose.evidence import Evidence, gather
from appliance.settings import ThresholdSettings
from appliance.texts import text
from appliance.thresholds import TURN_CHECKS, Level, judge, limits_of

WIDTH = 80
_MARK = {"ok": "  ", "warning": "! ", "critical": "!!"}


@dataclass(frozen=True)
class Stage:
    """A latency over all turns, in seconds."""

    name: str
    count: int
    p50: float
    p95: float
    longest: float
    level: Level
    """Of the median."""
    limits: tuple[float, float]


@dataclass
class Report:
    """What a log says."""

    evidence: Evidence
    entries: int
    skipped: int
    stages: list[Stage] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Keys of what cannot be known from this log: ``diagnose.unknown.KEY``."""


def diagnose(parsed: Parsed, settings: ThresholdSettings) -> Report:
    """Return what the log says, judged by *settings*."""
    evidence = gather(parsed.entries, settings)
    report = Report(evidence, len(parsed.entries), parsed.skipped)
    for check in TURN_CHECKS.values():
        values = sorted(t.verdicts[check].value for t in evidence.turns if check in t.verdicts)
        if values:
            middle = percentile(values, 50)
            report.stages.append(
                Stage(
                    check,
                    len(values),
                    round(middle, 2),
                    round(percentile(values, 95), 2),
                    round(values[-1], 2),
                    judge({check: middle}, settings)[check].level,
                    limits_of(check, settings),
                )
            )
    report.causes = find(evidence, settings)
    report.unknown = list(_unknown(report))
    return report


def percentile(ordered: list[float], percent: float) -> float:
    """Return the *percent* percentile of *ordered* values by the nearest rank."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _unknown(report: Report) -> list[str]:
    evidence = report.evidence
    measured = {stage.name for stage in report.stages}
    names = {cause.name for cause in report.causes}
    keys = {
        "before": evidence.begins is not None and not evidence.starts,
        "lines": report.skipped > 0,
        "turns": not evidence.turns,
        "stages": bool(evidence.turns) and not measured >= COMPUTED,
        "heat": bool({"slow_processor", "slowed"} & names),
        "provider": bool({"slow_provider", "provider_failed"} & names),
        "speaker": bool({"blocking_playback", "device_overflow"} & names),
        "words": True,
    }
    return [key for key, holds in keys.items() if holds]


def as_json(report: Report, language: str) -> dict[str, Any]:
    """Return the report for programs."""
    evidence = report.evidence
    return {
        "log": {
            "begins": evidence.begins.isoformat() if evidence.begins else "",
            "ends": evidence.ends.isoformat() if evidence.ends else "",
            "lines": report.entries,
            "skipped": report.skipped,
            "version": evidence.version,
            "board": evidence.board,
            "turns": len(evidence.turns),
            "starts": evidence.starts,
        },
        "stages": [asdict(stage) for stage in report.stages],
        "causes": [
            {
                "name": cause.name,
                "level": cause.level,
                "certain": cause.certain,
                "values": cause.values,
                "text": sentence(cause, language),
                "next": next_step(cause, language),
            }
            for cause in report.causes
        ],
        "unknown": [text(f"diagnose.unknown.{key}", language) for key in report.unknown],
    }


def sentence(cause: Cause, language: str) -> str:
    """Return what went wrong, for a person."""
    return cause.sentence or text(f"diagnose.{cause.name}", language, **cause.values)


def next_step(cause: Cause, language: str) -> str:
    """Return what to do about it; empty where the sentence says that already."""
    if cause.sentence:
        return ""
    return text(f"diagnose.{cause.name}.next", language, **cause.values)


def as_text(report: Report, language: str) -> str:
    """Return the report for a person, in lines of at most 80 columns."""
    evidence = report.evidence
    if evidence.begins is None or evidence.ends is None:
        return text("diagnose.empty", language)
    lines = [
        text(
            "diagnose.log",
            language,
            begins=f"{evidence.begins:%Y-%m-%d %H:%M}",
            ends=f"{evidence.ends:%Y-%m-%d %H:%M}",
            lines=report.entries,
            turns=len(evidence.turns),
        )
    ]
    if about := ", ".join(filter(None, (evidence.version, evidence.board))):
        lines.append(f"Luna {about}")
    if report.stages:
        lines += ["", f"   {'':26}{'N':>4}{'P50':>8}{'P95':>8}{'MAX':>8}   {'LIMITS'}"]
        for stage in report.stages:
            name = text(f"check.{stage.name}", language)
            low, high = stage.limits
            figures = f"{stage.count:>4}{stage.p50:>8.2f}{stage.p95:>8.2f}{stage.longest:>8.2f}"
            lines.append(f"{_MARK[stage.level]} {name:26}{figures}   {low:g} / {high:g} s")
    lines.append("")
    if not report.causes:
        lines.append(text("diagnose.well", language))
    for number, cause in enumerate(report.causes, 1):
        likely = "" if cause.certain else f"{text('diagnose.likely', language)} "
        mark = f"{_MARK[cause.level]} {number}. "
        lines += _wrapped(f"{likely}{sentence(cause, language)}", mark)
        if step := next_step(cause, language):
            lines += _wrapped(step, " " * len(mark) + "→ ")
    lines += ["", text("diagnose.unknown", language)]
    for key in report.unknown:
        lines += _wrapped(text(f"diagnose.unknown.{key}", language), " - ")
    return "\n".join(lines)


def _wrapped(words: str, head: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
