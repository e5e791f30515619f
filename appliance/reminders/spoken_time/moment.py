"""From a reading to the one moment that is meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

from appliance.reminders.spoken_time.local_time import existing, instant
from appliance.reminders.spoken_time.pieces import (
    Clock,
    Day,
    InDays,
    MonthDay,
    NthDay,
    Part,
    Weekday,
)
from appliance.reminders.spoken_time.reading import Reading
from appliance.reminders.spoken_time.result import Duration, Moment, Question

PART_TIMES: Final = {
    "en": {"dawn": 4, "early": 7, "morning": 9, "lunch": 12, "after_lunch": 14, "afternoon": 15,
           "late": 17, "evening": 19, "night": 20},
    "pt": {"dawn": 4, "early": 7, "morning": 9, "lunch": 12, "after_lunch": 14, "afternoon": 15,
           "late": 17, "evening": 19, "night": 20},
}  # fmt: skip
"""The hour meant by a part of the day alone."""
_PART_ENDS: Final = {
    "dawn": 6, "early": 9, "morning": 12, "lunch": 14, "after_lunch": 15, "afternoon": 18,
    "late": 19, "evening": 23, "night": 24,
}  # fmt: skip
_LONGEST = timedelta(days=366 * 100)
_NOON = 12
_LAST_NIGHT_HOUR = 5
"""Hours up to this one belong to the night (or, without it, to the afternoon)."""
HALF_DAY = 12


@dataclass(frozen=True)
class Now:
    """When and where it was said."""

    at: datetime
    """With its zone."""
    zone: ZoneInfo
    waking: bool = False
    """Somebody wants to be woken: hours are in the morning unless it is said otherwise."""

    @property
    def local(self) -> datetime:
        """The wall clock, to the minute."""
        return self.at.astimezone(self.zone).replace(tzinfo=None, second=0, microsecond=0, fold=0)

    @property
    def today(self) -> date:
        return self.local.date()

    def ahead(self, local: datetime) -> bool:
        """Return whether the wall-clock time *local* is still to come."""
        return instant(local, self.zone) > self.at


@dataclass(frozen=True)
class HourOfDay:
    """An hour and minute, of the named day or (1) of the night after it."""

    at: time
    days: int = 0

    def on(self, day: date) -> datetime:
        return datetime.combine(day + timedelta(days=self.days), self.at)


def readings(clock: Clock, part: Part | None, waking: bool = False) -> list[HourOfDay]:
    """Return the times that *clock* may mean, the likeliest on a day that was named first."""
    hour, minute = clock.hour, clock.minute
    if clock.half == "midnight":
        return [HourOfDay(time(0, minute), 1)]
    if clock.half == "am":
        return [HourOfDay(time(hour % HALF_DAY, minute))]
    if clock.half == "pm":
        return [HourOfDay(time(hour % HALF_DAY + HALF_DAY, minute))]
    if clock.half == "exact" or hour == 0 or hour > HALF_DAY:
        return [HourOfDay(time(hour, minute))]
    morning = time(hour % HALF_DAY, minute)
    evening = time(hour % HALF_DAY + HALF_DAY, minute)
    if part is not None:
        return [_in_part(hour, morning, evening, part)]
    if hour == _NOON or (hour <= _LAST_NIGHT_HOUR and not waking):
        return [HourOfDay(evening), HourOfDay(morning)]
    return [HourOfDay(morning), HourOfDay(evening)]


def _in_part(hour: int, morning: time, evening: time, part: Part) -> HourOfDay:
    if part.name in ("dawn", "early", "morning"):
        # "Twelve in the morning" is said by who has just eaten lunch; nobody means midnight.
        return HourOfDay(evening if hour == _NOON and part.name == "morning" else morning)
    if part.name == "night" and (hour <= _LAST_NIGHT_HOUR or hour == _NOON):
        return HourOfDay(morning, 1)
    if part.name == "lunch" and hour == HALF_DAY - 1:
        return HourOfDay(morning)
    return HourOfDay(evening)


def question(key: str, text: str = "", **values: object) -> Question:
    return Question(key, text, MappingProxyType(values))


def resolve(reading: Reading, text: str, now: Now, language: str) -> Moment | Duration | Question:
    """Return the one time that *reading* means: the next that is still to come."""
    if asked := _unclear(reading):
        return question(asked, text)
    day = _day(reading, now)
    clock = _clock(reading)
    part = reading.parts[-1] if reading.parts else None
    if reading.ahead is not None:
        span = reading.ahead
        if span.seconds and not (span.days or span.months or day):
            if span.seconds > _LONGEST.total_seconds():
                return question("too_far", text)
            return Duration(text, span.seconds)
        try:
            later = now.local + span.delta
        except (OverflowError, ValueError):
            return question("too_far", text)
        if later - now.local > _LONGEST:
            return question("too_far", text)
        if clock is None and part is None:
            return _checked(later, text, now)
        day = InDays((later.date() - now.today).days)
    if day == "unclear":
        return question("which_day", text)
    if day is None:
        if reading.loose:
            return question("which_day", text)
        due = _next(clock, part, now, language)
        return _checked(due, text, now, reading) if due else question("when", text)
    try:
        return _on_day(_narrowed(day, reading, now), clock, part, reading, text, now, language)
    except (OverflowError, ValueError):
        return question("too_far", text)


def _unclear(reading: Reading) -> str:
    if reading.over:
        return "past"
    if reading.bad_clock:
        return "no_such_time"
    if reading.times_a_day:
        return "which_times"
    if reading.which_time or len(reading.clocks) > 1:
        return "which_time"
    if reading.which_day:
        return "which_day"
    return ""


def _clock(reading: Reading) -> Clock | None:
    """Return the time of day; of a range its beginning, in the half that its end says."""
    if reading.clocks:
        return reading.clocks[0]
    if reading.clock_range:
        return range_start(*reading.clock_range)
    return reading.start_clock or reading.until_clock


def _day(reading: Reading, now: Now) -> Day | Literal["unclear"] | None:
    """Return the one day that was named, "unclear" for two, or None.

    A day of the week and another may be the same: "Friday, March 20th", "tomorrow, Tuesday".
    """
    named = set(reading.days)
    if len(named) < 2:  # noqa: PLR2004
        return next(iter(named), None) or reading.start_day or reading.until_day
    weekday = next((day for day in named if isinstance(day, Weekday)), None)
    ahead = next((day for day in named if isinstance(day, InDays)), None)
    if weekday and ahead and len(named) == 2:  # noqa: PLR2004
        (said,) = ahead.dates(now.today)
        return ahead if said.weekday() == weekday.day else "unclear"
    date_ = next((day for day in named if isinstance(day, MonthDay)), None)
    if len(named) > 2 or weekday is None or date_ is None:  # noqa: PLR2004
        return "unclear"
    coming = [one for one in islice(date_.dates(now.today), 14) if one >= now.today]
    if date_.month is not None:
        coming = coming[:1]
    found = next((one for one in coming if one.weekday() == weekday.day), None)
    return "unclear" if found is None else MonthDay(found.day, found.month, found.year)


def range_start(start: Clock, end: Clock) -> Clock:
    """Return *start* with the half of the day that "from two to four pm" gives it."""
    if start.half or end.half not in ("am", "pm") or start.hour > HALF_DAY:
        return start
    same = start.hour % HALF_DAY <= end.hour % HALF_DAY
    half = end.half if same else ("am" if end.half == "pm" else "pm")
    return Clock(start.hour, start.minute, half)


def _narrowed(day: Day, reading: Reading, now: Now) -> Day:
    """Return *day*, moved by what "next week" or "next month" says of it."""
    unit = reading.loose.unit if reading.loose else ""
    match day:
        case Weekday(number) if unit == "week":
            return Weekday(number, "next_week")
        case MonthDay(number, None) if unit in ("month", "this_month"):
            return MonthDay(number, months_ahead=int(unit == "month"))
        case NthDay(nth, days, None) if unit == "month":
            return NthDay(nth, days, months_ahead=1)
        case MonthDay(number, month, None) if unit == "year":
            return MonthDay(number, month, now.today.year + 1)
    return day


def _on_day(
    day: Day,
    clock: Clock | None,
    part: Part | None,
    reading: Reading,
    text: str,
    now: Now,
    language: str,
) -> Moment | Question:
    found = list(islice(day.dates(now.today), 14))
    if not found:
        return question("no_such_date", text)
    if clock is None and part is None:
        coming = [one for one in found if one >= now.today]
        if not coming:
            return question("past", text)
        return question("at_what_time", text, day=coming[0])
    today_named = day == InDays(0)
    for one in found:
        for due in _times(one, clock, part, now, language, every_reading=today_named):
            moved = _checked(due, text, now, reading)
            if isinstance(moved, Moment):
                return moved
    if today_named and clock is None and part and now.local.hour < _PART_ENDS[part.name]:
        return question("at_what_time", text, day=now.today)
    return question("past", text)


def _times(
    day: date,
    clock: Clock | None,
    part: Part | None,
    now: Now,
    language: str,
    *,
    every_reading: bool,
) -> Iterator[datetime]:
    if clock is None:
        assert part is not None
        yield datetime.combine(day, time(PART_TIMES[language][part.name]))
        return
    possible = readings(clock, part, now.waking)
    if every_reading:
        yield from sorted(one.on(day) for one in possible)
    else:
        yield possible[0].on(day)


def _next(clock: Clock | None, part: Part | None, now: Now, language: str) -> datetime | None:
    """Return when it is next what *clock* or *part* says, whatever the day."""
    if clock is not None:
        possible = readings(clock, part, now.waking)
    elif part is not None:
        possible = [HourOfDay(time(PART_TIMES[language][part.name]))]
    else:
        return None
    days = [now.today + timedelta(days=number) for number in (-1, 0, 1, 2)]
    return min(due for day in days for one in possible if now.ahead(due := one.on(day)))


def _checked(
    due: datetime, text: str, now: Now, reading: Reading | None = None
) -> Moment | Question:
    """Return *due* as a moment that exists, unless it is over."""
    if reading is not None and reading.before is not None:
        due -= reading.before.delta
    due = existing(due, now.zone)
    if not now.ahead(due):
        return question("past", text)
    return Moment(text, due, now.zone.key)
