"""Draws conclusions: each rule looks for one cause, those that explain others come first.

What a cause is called for people is the text ``diagnose.NAME``, and what to do about it
``diagnose.NAME.next``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from appliance.diagnose.entries import Entry
from appliance.diagnose.evidence import LOCAL, Evidence, Turn
from appliance.settings import ThresholdSettings
from appliance.thresholds import LEVELS, Level, judge

LATE_S = 3.0
"""Workers that start beside each other are ready within less, also on a slow board."""
SPEAKER_S = 1.0
"""A speaker that was asleep is awake within less."""
OFTEN = 2
"""What happened once may be chance."""
COMPUTED = frozenset({"stt_s", "first_token_s", "synthesis_s"})
"""Latencies that the processor makes. One of them slow is its own; two are the processor."""
SLOWED = COMPUTED | {"end_to_end_s", "playback_gaps", "cpu_wait_percent", "slow_processor"}
"""What a slow processor explains."""


@dataclass(frozen=True)
class Cause:
    """What went wrong, probably."""

    name: str
    level: Level
    values: dict[str, Any] = field(default_factory=dict)
    """For the text's placeholders."""
    certain: bool = True
    """The log says so itself; else it is what fits best."""
    explains: frozenset[str] = frozenset()
    """Names of causes, and workers, that need no other cause."""
    sentence: str = ""
    """Instead of the catalogue's text: what the log itself says."""
    about: str = ""
    """The worker or check that it is about, if any."""


Rule = Callable[[Evidence, ThresholdSettings], Iterable[Cause]]


def find(evidence: Evidence, settings: ThresholdSettings) -> list[Cause]:
    """Return the causes, the most likely to matter first."""
    causes: list[Cause] = []
    for rule in RULES:
        explained = {what for cause in causes for what in cause.explains}
        found = rule(evidence, settings)
        causes += [cause for cause in found if (cause.about or cause.name) not in explained]
    causes.sort(key=lambda cause: -LEVELS.index(cause.level))  # stable: the rules' order stays
    return causes


def slow(evidence: Evidence, settings: ThresholdSettings, check: str) -> Level:
    """Return the level of the median of a latency over all turns that have it."""
    return typical(evidence.turns, settings, check)


def typical(turns: Iterable[Turn], settings: ThresholdSettings, check: str) -> Level:
    """Return the level of the median of a latency over those of *turns* that have it."""
    values = [turn.verdicts[check].value for turn in turns if check in turn.verdicts]
    return judge({check: median(values)}, settings)[check].level if values else "ok"


def _processor(evidence: Evidence, settings: ThresholdSettings) -> Iterable[Cause]:
    """Everything that is computed is slow: heat, low voltage, other programs, a small board."""
    local = [turn for turn in evidence.turns if turn.provider in (LOCAL, "")]
    levels = {check: typical(local, settings, check) for check in COMPUTED}
    bad = [level for level in levels.values() if level != "ok"]
    worst: Level = max(bad, key=LEVELS.index, default="warning")
    speeds = evidence.slowdown()
    slowed = len(bad) >= OFTEN or speeds is not None
    stages = ", ".join(sorted(name.removesuffix("_s") for name, lv in levels.items() if lv != "ok"))
    explains = SLOWED if slowed else frozenset[str]()
    if heat := evidence.was_found("throttled", "temperature_c"):
        grave = slowed or any(entry.word("verdict") == "critical" for entry in heat)
        level: Level = "critical" if grave else "warning"
        yield Cause("throttled", level, {"said": heat[-1].text}, explains=explains)
    elif evidence.was_found("cpu_wait_percent") and slowed:
        yield Cause("busy_processor", worst, {"stages": stages}, explains=explains)
    elif speeds is not None:
        values = dict(zip(("before", "after"), (round(s, 1) for s in speeds), strict=True))
        yield Cause("slowed", "critical", values, certain=False, explains=SLOWED)
    elif slowed:
        yield Cause("slow_processor", worst, {"stages": stages}, certain=False, explains=explains)


def _evicted(evidence: Evidence, _: ThresholdSettings) -> Iterable[Cause]:
    """Models take turns in memory that holds one of them."""
    if len(evidence.unloaded) < OFTEN or len(evidence.loaded) < OFTEN:
        return
    models = sorted({entry.word("model") for entry in evidence.unloaded})
    seconds = sum(entry.number("load_ms") for entry in evidence.loaded) / 1000
    often = 2 * len(evidence.loaded) >= len(evidence.turns)
    yield Cause(
        "model_evicted",
        "critical" if often else "warning",
        {
            "models": ", ".join(models),
            "count": len(evidence.loaded),
            "seconds": round(seconds),
            "turns": len(evidence.turns),
        },
        explains=frozenset({"first_token_s", "end_to_end_s"}),
    )


def _queue(evidence: Evidence, _: ThresholdSettings) -> Iterable[Cause]:
    """Who listens does not keep up with the sound."""
    lost = evidence.dropped["listen"]
    waited = evidence.was_found("capture_queue")
    if lost or waited:
        bad = lost or any(entry.word("verdict") == "critical" for entry in waited)
        longest = max((entry.number("value") for entry in waited), default=0)
        yield Cause(
            "full_queue",
            "critical" if bad else "warning",
            {"lost": lost, "seconds": round(lost * 0.02, 1), "waiting": round(longest)},
            # It is the work on what piled up that makes no progress.
            explains=frozenset({"stt_s", "end_to_end_s"}) | _stuck(evidence, "listen"),
        )
    if device := evidence.dropped["device"]:
        values = {"lost": device, "seconds": round(device * 0.02, 1)}
        yield Cause("device_overflow", "critical", values)


def _late_consumer(evidence: Evidence, _: ThresholdSettings) -> Iterable[Cause]:
    """The microphone was open before anybody listened."""
    late = [seconds for seconds in evidence.deaf_s if seconds > LATE_S]
    if late:
        yield Cause("late_consumer", "critical", {"seconds": round(max(late), 1)})


def _playback(evidence: Evidence, _: ThresholdSettings) -> Iterable[Cause]:
    """Sound was there and did not reach the speaker."""
    waits = [turn.waited_for_speaker_s for turn in evidence.turns]
    late = [seconds for seconds in waits if seconds > SPEAKER_S]
    stuck = [entry for entry in evidence.failed if entry.worker == "audio" and _hung(entry)]
    if stuck or len(late) >= OFTEN or (late and len(evidence.turns) == 1):
        values = {"seconds": round(max(late, default=0.0), 1), "count": len(late) + len(stuck)}
        explains = frozenset({"end_to_end_s"}) | _stuck(evidence, "audio")
        yield Cause("blocking_playback", "critical", values, explains=explains)


def _providers(evidence: Evidence, settings: ThresholdSettings) -> Iterable[Cause]:
    late = Counter(entry.word("provider") for entry in evidence.provider_late)
    for provider, count in late.items():
        if count < OFTEN:
            continue
        seconds = median(
            entry.number("first_token_ms") / 1000
            for entry in evidence.provider_late
            if entry.word("provider") == provider
        )
        bad = seconds > settings.first_token_s[1]
        values = {"provider": provider, "count": count, "seconds": round(seconds, 1)}
        explains = frozenset({"first_token_s", "end_to_end_s", "playback_gaps"})
        yield Cause("slow_provider", "critical" if bad else "warning", values, explains=explains)
    failed = Counter(
        (entry.word("provider"), entry.word("outcome")) for entry in evidence.provider_failed
    )
    for (provider, outcome), count in failed.most_common():
        if provider == LOCAL:
            continue
        instead = sum(
            provider in str(entry.fields.get("skipped", "")) for entry in evidence.fallbacks
        )
        values = {"provider": provider, "outcome": outcome, "count": count, "instead": instead}
        yield Cause("provider_failed", "warning", values)


def _restarts(evidence: Evidence, _: ThresholdSettings) -> Iterable[Cause]:
    for worker, count in Counter(entry.worker for entry in evidence.failed).most_common():
        last = next(entry for entry in reversed(evidence.failed) if entry.worker == worker)
        reason = last.text.partition("(")[2].removesuffix(")")
        values = {"worker": worker, "count": count, "reason": reason or "?"}
        level: Level = "critical" if count >= OFTEN else "warning"
        yield Cause("restarts", level, values, about=worker)


def _hung(entry: Entry) -> bool:
    """Return whether the supervisor ended a worker because it did not get on."""
    return "no progress" in entry.text


def _stuck(evidence: Evidence, worker: str) -> frozenset[str]:
    """Return *worker* if it was never ended for another reason than that it did not get on."""
    reasons = [_hung(entry) for entry in evidence.failed if entry.worker == worker]
    return frozenset({worker}) if reasons and all(reasons) else frozenset()


def _microphone(evidence: Evidence, _: ThresholdSettings) -> Iterable[Cause]:
    # A single short silence that opening it again has ended is nothing to speak of.
    gone = [entry for entry in evidence.microphone_lost if entry.word("status") != "deaf"]
    if gone or len(evidence.microphone_lost) >= OFTEN:
        last = evidence.microphone_lost[-1]
        values = {"count": len(evidence.microphone_lost), "status": last.word("status")}
        yield Cause("microphone", "critical", values)


def _single_stage(evidence: Evidence, settings: ThresholdSettings) -> Iterable[Cause]:
    """One step alone is slow, and nothing above says why."""
    for check in ("stt_s", "first_token_s", "synthesis_s", "end_to_end_s"):
        level = slow(evidence, settings, check)
        if level != "ok":
            values = [t.verdicts[check].value for t in evidence.turns if check in t.verdicts]
            yield Cause(check, level, {"seconds": round(median(values), 1)}, certain=False)


_COVERED = COMPUTED | {
    *("end_to_end_s", "capture_queue", "capture_drops", "workers_down", "restarts"),
    *("temperature_c", "throttled", "microphone_down"),
}
"""Checks whose findings the rules above look at themselves."""


def _rest(evidence: Evidence, _: ThresholdSettings) -> Iterable[Cause]:
    """What the watcher and the log say themselves."""
    for check, entries in evidence.findings.items():
        if check not in _COVERED:
            worst = max(entries, key=lambda entry: LEVELS.index(_level(entry.word("verdict"))))
            level = _level(worst.word("verdict"))
            yield Cause("finding", level, {"check": check}, sentence=worst.text, about=check)
    for text, count in Counter(entry.text for entry in evidence.errors).most_common(3):
        yield Cause("errors", "warning", {"count": count, "text": text})


def _level(word: str) -> Level:
    return next((level for level in LEVELS if level == word), "warning")


RULES: tuple[Rule, ...] = (
    _processor,
    _evicted,
    _queue,
    _late_consumer,
    _playback,
    _providers,
    _restarts,
    _microphone,
    _single_stage,
    _rest,
)
