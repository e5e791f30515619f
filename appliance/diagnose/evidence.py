"""Sorts the lines of a log into what conclusions are drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from appliance.diagnose.entries import Entry
from appliance.settings import ThresholdSettings
from appliance.thresholds import TURN_CHECKS, Level, Verdict, judge_turn

LOCAL = "local"
SLOWDOWN = 2.0
"""The same model, so many times slower than before: no question or prompt makes that."""


@dataclass(frozen=True)
class Turn:
    """A turn that is over."""

    turn_id: int
    source: str
    outcome: str
    provider: str
    model: str
    timings: dict[str, float]
    verdicts: dict[str, Verdict]

    def level(self, check: str) -> Level:
        """Return the level of a latency of this turn; well, where it was not measured."""
        found = self.verdicts.get(check)
        return found.level if found else "ok"

    @property
    def waited_for_speaker_s(self) -> float:
        """Seconds for which sound was there and did not reach the speaker."""
        first, played = self.timings["first_audio_ms"], self.timings["playback_ms"]
        return max(0.0, played - first) / 1000 if first and played else 0.0


@dataclass
class Evidence:
    """What a log holds."""

    begins: datetime | None = None
    ends: datetime | None = None
    version: str = ""
    board: str = ""
    cores: int = 0
    starts: int = 0
    turns: list[Turn] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """Captured blocks that were lost, by place."""
    failed: list[Entry] = field(default_factory=list)
    """Workers that died or hung."""
    deaf_s: list[float] = field(default_factory=list)
    """At each start the seconds for which the microphone was open and nobody listened yet."""
    loaded: list[Entry] = field(default_factory=list)
    """Models that were loaded while a turn waited."""
    unloaded: list[Entry] = field(default_factory=list)
    provider_failed: list[Entry] = field(default_factory=list)
    provider_late: list[Entry] = field(default_factory=list)
    """Those chosen whose first word came late."""
    fallbacks: list[Entry] = field(default_factory=list)
    """Answers by somebody else than who was asked first."""
    findings: dict[str, list[Entry]] = field(default_factory=dict)
    """What was not well, by check."""
    errors: list[Entry] = field(default_factory=list)
    microphone_lost: list[Entry] = field(default_factory=list)

    def slowdown(self) -> tuple[float, float] | None:
        """Return tokens/s before and after the box became much slower; None if it did not.

        Two turns in a row count, of the same local model: a single one may be chance.
        """
        speeds: dict[str, list[float]] = {}
        for turn in self.turns:
            speed = turn.timings["tokens_per_second"]
            if turn.provider == LOCAL and speed > 0:
                speeds.setdefault(turn.model, []).append(speed)
        for values in speeds.values():
            pairs = [(one + other) / 2 for one, other in pairwise(values)]
            for at, after in enumerate(pairs):
                before = max(pairs[:at], default=0.0)
                if before >= SLOWDOWN * after:
                    return before, min(pairs[at:])
        return None

    def was_found(self, *checks: str) -> list[Entry]:
        """Return what the watcher said of these checks."""
        return [entry for check in checks for entry in self.findings.get(check, [])]


class _Start:
    """One start of the service: when the microphone opened, and who listened."""

    def __init__(self) -> None:
        self.opened: datetime | None = None
        self.listening: datetime | None = None


def gather(entries: Iterable[Entry], settings: ThresholdSettings) -> Evidence:
    """Return the evidence in *entries*, which are in the order of time."""
    found = Evidence()
    start = _Start()
    for entry in entries:
        found.begins = found.begins or entry.time
        found.ends = entry.time
        if entry.event == "service_started":
            start = _Start()
        _sort(entry, found, settings)
        _follow_start(entry, start, found)
    return found


def _sort(entry: Entry, found: Evidence, settings: ThresholdSettings) -> None:  # noqa: PLR0912 - a list
    match entry.event:
        case "service_started":
            found.starts += 1
            found.version, found.board = entry.word("version"), entry.word("board")
            found.cores = int(entry.number("cores"))
        case "turn_ended":
            found.turns.append(_turn(entry, settings))
        case "capture_dropped":
            found.dropped[entry.word("where")] += int(entry.number("blocks"))
        case "worker_changed" if entry.word("status") == "failed":
            found.failed.append(entry)
        case "model_loaded" if entry.turn_id:
            found.loaded.append(entry)
        case "model_unloaded":
            found.unloaded.append(entry)
        case "provider_used" if entry.word("outcome") not in ("finished", "cancelled"):
            found.provider_failed.append(entry)
        case "provider_chosen":
            late = entry.number("first_token_ms") / 1000 > settings.first_token_s[0]
            if late and entry.word("provider") != LOCAL:
                found.provider_late.append(entry)
            if entry.word("reason") in ("next", "hedge"):
                found.fallbacks.append(entry)
        case "finding_changed" if entry.word("verdict") != "ok":
            found.findings.setdefault(entry.word("finding"), []).append(entry)
        case "microphone_changed" if entry.word("status") in ("missing", "lost", "deaf"):
            found.microphone_lost.append(entry)
        case _ if entry.level == "error":
            found.errors.append(entry)


def _turn(entry: Entry, settings: ThresholdSettings) -> Turn:
    names = {*TURN_CHECKS, "first_audio_ms", "total_ms", "endpoint_ms", "tokens_per_second"}
    timings = {name: entry.number(name) for name in names}
    return Turn(
        entry.turn_id,
        entry.word("source"),
        entry.word("outcome"),
        entry.word("provider"),
        entry.word("model"),
        timings,
        judge_turn(timings, settings),
    )


def _follow_start(entry: Entry, start: _Start, found: Evidence) -> None:
    """Note for how long the microphone was open before anybody listened, once a start."""
    if start.listening is not None:
        return
    if entry.event == "microphone_changed" and entry.word("status") == "open":
        start.opened = start.opened or entry.time
    elif entry.event == "worker_changed" and entry.worker == "listen":
        if entry.word("status") == "ready":
            start.listening = entry.time
            if start.opened is not None:
                found.deaf_s.append((entry.time - start.opened).total_seconds())
        elif entry.word("status") == "failed":
            start.listening = entry.time  # why it failed is what matters
