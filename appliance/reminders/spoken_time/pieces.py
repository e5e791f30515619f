"""The pieces that a spoken time is made of; the languages find them, the rest reckons with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Literal, TypeAlias

from dateutil.relativedelta import relativedelta
from dateutil.rrule import MONTHLY, rrule, weekday

Frequency: TypeAlias = Literal[
    "SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"
]
PartName: TypeAlias = Literal[
    "early", "dawn", "morning", "lunch", "after_lunch", "afternoon", "late", "evening", "night"
]
CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DAY_SECONDS = 86_400
WORKING_DAYS = (0, 1, 2, 3, 4)
WEEKEND = (5, 6)
EVERY_DAY = tuple(range(7))
"""Days of the week count from Monday, 0, to Sunday, 6."""
_LONGEST_MONTH = 31
MONTHS_AHEAD = 12 * 8 + 1
"""How many months may pass until a day comes round: 29 February across a year like 1900."""


@dataclass(frozen=True)
class Span:
    """A length of time."""

    months: int = 0
    days: int = 0
    seconds: int = 0

    def __add__(self, other: Span) -> Span:
        return Span(
            self.months + other.months, self.days + other.days, self.seconds + other.seconds
        )

    @property
    def at_least(self) -> int:
        """Its seconds, with months of 28 days."""
        return (self.months * 28 + self.days) * DAY_SECONDS + self.seconds

    @property
    def delta(self) -> relativedelta:
        return relativedelta(months=self.months, days=self.days, seconds=self.seconds)


@dataclass(frozen=True)
class Ahead:
    """So long from now."""

    span: Span


@dataclass(frozen=True)
class Before:
    """So long before the time that is named next."""

    span: Span


@dataclass(frozen=True)
class Lasting:
    """The recurrence goes on for so long."""

    span: Span


@dataclass(frozen=True)
class Times:
    """The recurrence happens so often."""

    count: int


@dataclass(frozen=True)
class TimesADay:
    """So many times a day, at times that were not named."""

    count: int


@dataclass(frozen=True)
class Clock:
    """A time of the day."""

    hour: int
    minute: int = 0
    half: Literal["", "am", "pm", "exact", "midnight"] = ""
    """Empty: 9 may be 21 as well. ``midnight``: it ends the day that it is named with."""


@dataclass(frozen=True)
class BadClock:
    """A time that no clock shows."""


@dataclass(frozen=True)
class Part:
    """A part of the day."""

    name: PartName


@dataclass(frozen=True)
class InDays:
    """Today is 0, tomorrow 1."""

    days: int

    def dates(self, today: date) -> Iterator[date]:
        yield today + timedelta(days=self.days)


@dataclass(frozen=True)
class Weekday:
    """A day of the week."""

    day: int
    which: Literal["", "next", "next_week"] = ""
    """``next``: not today; ``next_week``: of the week that begins on the coming Monday."""

    def dates(self, today: date) -> Iterator[date]:
        if self.which == "next_week":
            yield today + timedelta(days=7 - today.weekday() + self.day)
            return
        ahead = (self.day - today.weekday()) % 7
        first = 7 if self.which and not ahead else ahead
        yield today + timedelta(days=first)
        yield today + timedelta(days=first + 7)


@dataclass(frozen=True)
class MonthDay:
    """A day of a month; of the next month that has it when no month is named."""

    day: int
    month: int | None = None
    year: int | None = None
    months_ahead: int | None = None
    """1 for "of next month"."""

    def dates(self, today: date) -> Iterator[date]:
        if not 1 <= self.day <= _LONGEST_MONTH:
            return
        first = today.replace(day=1)
        ahead = range(MONTHS_AHEAD) if self.months_ahead is None else [self.months_ahead]
        if self.year is not None:
            first, ahead = date(self.year, 1, 1), range(12)
        for months in ahead:
            try:
                found = (first + relativedelta(months=months)).replace(day=self.day)
            except ValueError:
                continue  # this month is too short
            if self.month in (None, found.month):
                yield found


@dataclass(frozen=True)
class NthDay:
    """The *nth* of certain days of the week in a month: the first Monday, the last working day."""

    nth: int
    days: tuple[int, ...]
    month: int | None = None
    months_ahead: int | None = None

    def dates(self, today: date) -> Iterator[date]:
        start = today.replace(day=1)
        if self.months_ahead is not None:
            start += relativedelta(months=self.months_ahead)
        found = rrule(
            MONTHLY,
            dtstart=start,
            byweekday=[weekday(day) for day in self.days],
            bysetpos=self.nth,
            bymonth=self.month,
            count=1 if self.months_ahead is not None else 13,
        )
        for moment in islice(found, 13):
            yield moment.date()


@dataclass(frozen=True)
class MonthEnd:
    """The last day of a month (of this one, when none is named), or of the year."""

    month: int | None = None
    months_ahead: int | None = None

    def dates(self, today: date) -> Iterator[date]:
        for ahead in range(13) if self.months_ahead is None else [self.months_ahead]:
            found = today + relativedelta(months=ahead, day=31)
            if self.month in (None, found.month):
                yield found


@dataclass(frozen=True)
class WeekEnd:
    """The Sunday that ends this week."""

    def dates(self, today: date) -> Iterator[date]:
        yield today + timedelta(days=6 - today.weekday())


@dataclass(frozen=True)
class Loose:
    """Next week, the weekend, next month, next year: not yet a day."""

    unit: Literal["week", "weekend", "month", "year", "this_month"]


@dataclass(frozen=True)
class Over:
    """Yesterday and the like."""


@dataclass(frozen=True)
class Every:
    """It comes again."""

    frequency: Frequency
    interval: int = 1
    days: tuple[int, ...] = ()

    @property
    def seconds(self) -> int:
        """How long it is from one time to the next at least; a day or less counts as it is."""
        lengths = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600}
        return self.interval * lengths.get(self.frequency, DAY_SECONDS)


@dataclass(frozen=True)
class Except:
    """The recurrence spares these days of the week."""

    days: tuple[int, ...]


Day: TypeAlias = InDays | Weekday | MonthDay | NthDay | MonthEnd | WeekEnd
Piece: TypeAlias = (
    Day
    | Clock
    | BadClock
    | Part
    | Ahead
    | Before
    | Lasting
    | Times
    | TimesADay
    | Loose
    | Except
    | Over
    | Every
)
Lead: TypeAlias = Literal["", "every", "from", "start", "to", "until", "and", "or"]
"""What a piece's preposition or conjunction says of it."""
