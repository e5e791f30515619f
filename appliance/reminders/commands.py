"""What a sentence wants of the reminders: nothing, or a command. Pure, in both languages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from appliance.reminders.command_words import CommandWords, Kind, group
from appliance.reminders.command_words_en import EN
from appliance.reminders.command_words_pt import PT
from appliance.reminders.spoken_time import (
    MAX_LENGTH,
    Duration,
    Moment,
    Parsed,
    Question,
    Recurrence,
    parse,
    without_fillers,
)


@dataclass(frozen=True)
class Which:
    """Which reminders are meant; both empty: the one just spoken of, or the only one."""

    text: str = ""
    """A few words of its text, to be matched loosely."""
    kind: Kind = ""
    last: bool = False
    """The one that was added last."""


@dataclass(frozen=True)
class AddReminder:
    """Add a reminder, timer or alarm."""

    kind: Kind
    parsed: Parsed
    """May be a question; beyond those of ``parse``: ``about_what`` (a reminder without text)."""


@dataclass(frozen=True)
class ListReminders:
    """Say what there is."""

    kind: Kind = ""
    day: date | None = None


@dataclass(frozen=True)
class ChangeReminder:
    """Move to another time.

    A question ``at_what_time`` with a ``day`` in its values means: that day, at the time it had.
    """

    which: Which
    when: Parsed


@dataclass(frozen=True)
class ExtendReminder:
    """Move by so many seconds."""

    which: Which
    seconds: int


@dataclass(frozen=True)
class SnoozeReminder:
    """Say it again later; *when* is None for the usual length."""

    which: Which
    when: Parsed | None = None


@dataclass(frozen=True)
class FinishReminder:
    """It is done, or was heard."""

    which: Which


@dataclass(frozen=True)
class CancelReminder:
    """Take one away."""

    which: Which


@dataclass(frozen=True)
class CancelAllReminders:
    """Take all of a kind away; has to be confirmed."""

    kind: Kind = ""


@dataclass(frozen=True)
class TimeLeft:
    """Say how long it still is.

    Where ``which.kind`` is empty and nothing stored fits its text, the sentence was no business
    of the reminders ("how long until Christmas?").
    """

    which: Which


ReminderCommand: TypeAlias = (
    AddReminder | ListReminders | ChangeReminder | ExtendReminder | SnoozeReminder
    | FinishReminder | CancelReminder | CancelAllReminders | TimeLeft
)  # fmt: skip


_WORDS = {"en": EN, "pt": PT}


def recognise(
    text: str, now: datetime, zone: ZoneInfo, language: str, *, ringing: bool = False
) -> ReminderCommand | None:
    """Return what *text* wants of the reminders, or None when it is about something else.

    Args:
        text: a sentence as it was transcribed.
        now: when it was said, with a zone.
        zone: the zone of the times in it.
        language: ``en`` or ``pt``; others are read as English.
        ringing: a reminder is being announced: "done", "stop" and "ten more minutes" are for it.
    """
    if len(text) > MAX_LENGTH:
        return None
    language = language if language in _WORDS else "en"
    return _Recogniser(_WORDS[language], now, zone, language).read(text, ringing)


class _Recogniser:
    def __init__(self, words: CommandWords, now: datetime, zone: ZoneInfo, language: str) -> None:
        self._words = words
        self._now = now
        self._zone = zone
        self._language = language

    def read(self, text: str, ringing: bool) -> ReminderCommand | None:
        words = self._words
        said = _THANKS.sub("", without_fillers(text, self._language))
        if _first(words.never, said):
            return None
        if ringing and (command := self._while_ringing(said)):
            return command
        if match := _first(words.cancel_all, said):
            return CancelAllReminders(self._kind(match))
        if match := _first(words.time_left, said):
            return TimeLeft(self._which(match))
        if match := _first(words.list_, said):
            return ListReminders(self._kind(match), self._day(group(match, "when")))
        if (match := _first(words.extend, said)) and (command := self._extend(match)):
            return command
        if match := _first(words.snooze, said):
            return self._snooze(match)
        if match := _first(words.done, said):
            return FinishReminder(self._which(match))
        if match := _first(words.cancel, said):
            return CancelReminder(self._which(match))
        if (match := _first(words.change, said)) and (command := self._change(match)):
            return command
        if match := _first(words.add, said):
            return self._add(match, said, text)
        return None

    def _while_ringing(self, said: str) -> ReminderCommand | None:
        if match := _first(self._words.ringing_done, said):
            return FinishReminder(self._which(match))
        if match := _first(self._words.ringing_snooze, said):
            snooze = self._snooze(match)
            named = group(match, "when") or group(match, "length")
            only_time = isinstance(snooze.when, Moment | Duration) and not snooze.when.text
            if not named or only_time:
                return snooze
        return None

    def _snooze(self, match: re.Match[str]) -> SnoozeReminder:
        which = self._which(match)
        if length := group(match, "length").replace(" more ", " "):
            return SnoozeReminder(which, self._parse(self._words.later + length))
        when = group(match, "when")
        if until := re.match("(?:until|till|to) ", when):
            when = "at " + when[until.end() :]
        return SnoozeReminder(which, self._parse(when) if when else None)

    def _extend(self, match: re.Match[str]) -> ExtendReminder | None:
        length = group(match, "length").replace(" more ", " ")
        parsed = self._parse(self._words.later + length)
        match parsed:
            case Duration(seconds=seconds):
                return ExtendReminder(self._which(match), seconds)
            case Moment(due=due):
                here = self._now.astimezone(self._zone).replace(tzinfo=None)
                seconds = round((due - here).total_seconds() / 86_400) * 86_400
                return ExtendReminder(self._which(match), seconds)
        return None

    def _change(self, match: re.Match[str]) -> ChangeReminder | None:
        when = group(match, "when")
        parsed = self._parse(self._words.at + when)
        if parsed == Question("when", parsed.text):  # "to 15 minutes": a length of time
            parsed = self._parse(self._words.later + self._words.goal.sub("", when))
        if isinstance(parsed, Question) and parsed.key == "when":
            return None
        return ChangeReminder(self._which(match), parsed)

    def _add(self, match: re.Match[str], said: str, text: str) -> AddReminder | None:
        words = self._words
        parsed = self._parse(text)
        kind = self._kind(match) or "reminder"
        if group(match, "wake"):
            kind = "alarm"
        if isinstance(parsed, Question) and parsed.key == "when" and _first(words.vague, said):
            return None
        nothing = not isinstance(parsed, Question) and not parsed.text
        if kind == "reminder" and nothing:
            parsed = Question("about_what")
        return AddReminder(kind, parsed)

    def _parse(self, text: str) -> Parsed:
        return parse(text, self._now, self._zone, self._language)

    def _day(self, text: str) -> date | None:
        if not text.strip():
            return None
        match self._parse(text):
            case Moment(due=due):
                return due.date()
            case Recurrence(first=first):
                return first.date()
            case Question(values=values) if isinstance(day := values.get("day"), date):
                return day
        return None

    def _which(self, match: re.Match[str]) -> Which:
        text = self._words.article.sub("", group(match, "which").strip())
        return Which(text, self._kind(match), bool(group(match, "last")))

    def _kind(self, match: re.Match[str]) -> Kind:
        noun = group(match, "kind").lower().replace("ô", "o")
        return next((k for start, k in self._words.kinds.items() if noun.startswith(start)), "")


_THANKS = re.compile(r"[ ,]+(?:please|thanks|thank you|por favor|obrigad[oa]|luna)$", re.IGNORECASE)


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> re.Match[str] | None:
    return next((match for one in patterns if (match := one.search(text))), None)
