"""The built-in commands: what each one answers, in words that may be shown and spoken.

Pure functions of what is known (:class:`Facts`). Whoever calls :func:`run` carries out the rest:
sets the volume, opens or closes the microphone, forgets the conversation, repeats or stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from appliance.assistant.intent import Intent
from appliance.assistant.spoken_words import en, pt
from appliance.texts import text

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NOON = 12


@dataclass(frozen=True)
class Facts:
    """What the commands answer from."""

    now: datetime
    """In the owner's time zone."""
    volume: int
    """Percent."""
    languages: tuple[str, ...]
    """That are configured."""
    volume_step: int = 10
    """Percent by which louder and quieter change the volume."""
    volume_limit: int = 100
    """Percent; Luna is never louder."""
    last_answer: str = ""
    """What Luna said last in this conversation."""
    workers: Mapping[str, str] | None = None
    """Name -> status of each worker (``ready`` or anything else)."""
    awake_s: float = 0.0
    free_memory_percent: int | None = None


@dataclass(frozen=True)
class ToolAnswer:
    """What a command comes to."""

    text: str
    """What Luna says; empty: she is silent."""
    language: str
    """Of the text, and of the turns that follow."""
    volume: int | None = None
    """The volume to be set, in percent."""


def run(intent: Intent, facts: Facts, language: str) -> ToolAnswer:
    """Return the answer to a ``system`` intent in *language*.

    Raises:
        ValueError: the intent names no command (a mistake in the code).
    """
    match intent.command:
        case "time":
            return ToolAnswer(tell_time(facts.now, language), language)
        case "date":
            return ToolAnswer(tell_date(facts.now.date(), language), language)
        case "status":
            return ToolAnswer(tell_status(facts, language), language)
        case "volume_up" | "volume_down" | "volume_set":
            return _change_volume(intent, facts, language)
        case "language":
            if intent.value not in facts.languages:
                return ToolAnswer(text("tool.language_missing", language), language)
            wanted = str(intent.value)
            return ToolAnswer(text("tool.language", wanted), wanted)
        case "repeat":
            answer = facts.last_answer or text("tool.nothing_to_repeat", language)
            return ToolAnswer(answer, language)
        case "mute" | "unmute" | "new_conversation" | "pair":
            return ToolAnswer(text(f"tool.{intent.command}", language), language)
        case "stop":
            return ToolAnswer("", language)
    raise ValueError(f"no command {intent.command!r}")


def tell_time(now: datetime, language: str) -> str:
    """Return a sentence with the time of day: ``It is 7:30 PM.``, ``São 19h30.``"""
    if language == "pt":
        # A single hour, noon and midnight are singular: "é uma e quinze", "é meio-dia".
        key = "tool.time_one" if now.hour in (0, 1, _NOON) else "tool.time"
        minutes = f"{now.minute:02}" if now.minute else ""
        return text(key, language, time=f"{now.hour}h{minutes}")
    half = "AM" if now.hour < _NOON else "PM"
    return text("tool.time", language, time=f"{now.hour % _NOON or _NOON}:{now.minute:02} {half}")


def tell_date(today: date, language: str) -> str:
    """Return a sentence with weekday and date."""
    if language == "pt":
        day = "1º" if today.day == 1 else str(today.day)
        written = f"{day} de {pt.WORDS.months[today.month - 1]} de {today.year}"
        weekday = pt.WORDS.weekdays[today.weekday()]
    else:
        written = f"{en.WORDS.months[today.month - 1]} {today.day}, {today.year}"
        weekday = en.WORDS.weekdays[today.weekday()]
    return text("tool.date", language, weekday=weekday, date=written)


def tell_status(facts: Facts, language: str) -> str:
    """Return how Luna is: what is not ready, for how long she has been awake, the memory left."""
    waiting = [
        text(f"worker.{name}", language)
        for name, status in (facts.workers or {}).items()
        if status != "ready"
    ]
    sentences = [
        text("tool.status_not_ready", language, parts=", ".join(waiting))
        if waiting
        else text("tool.status_well", language)
    ]
    if facts.awake_s >= _MINUTE:
        awake = tell_duration(facts.awake_s, language)
        sentences.append(text("tool.status_awake", language, duration=awake))
    if facts.free_memory_percent is not None:
        free = facts.free_memory_percent
        sentences.append(text("tool.status_memory", language, percent=free))
    return " ".join(sentences)


def tell_duration(seconds: float, language: str) -> str:
    """Return a length of time in its two largest units: ``3 hours and 5 minutes``."""
    rest, parts = int(seconds), []
    for name, length in (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE)):
        count, rest = divmod(rest, length)
        if count:
            key = f"tool.{name}" if count == 1 else f"tool.{name}s"
            parts.append(text(key, language, count=count))
    match parts[:2]:
        case [first, second]:
            return text("tool.and", language, first=first, second=second)
        case [only]:
            return only
    return text("tool.minutes", language, count=0)


def _change_volume(intent: Intent, facts: Facts, language: str) -> ToolAnswer:
    match intent.command:
        case "volume_up":
            volume = facts.volume + facts.volume_step
        case "volume_down":
            # Quieter is not silent: what cannot be heard cannot be told to be louder again.
            volume = max(facts.volume - facts.volume_step, min(facts.volume, facts.volume_step))
        case _:
            volume = int(intent.value or 0)
    volume = min(volume, facts.volume_limit)
    if volume == 0:
        said = text("tool.volume_off", language)
    elif intent.command == "volume_up" and volume == facts.volume:
        said = text("tool.volume_most", language)
    else:
        said = text("tool.volume", language, percent=volume)
    return ToolAnswer(said, language, volume)
