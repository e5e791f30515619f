"""From pieces in a row to a reading: what each of them says about the whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.reminders.spoken_time.pieces import (
    Ahead,
    BadClock,
    Before,
    Clock,
    Day,
    Every,
    Except,
    Lasting,
    Lead,
    Loose,
    Over,
    Part,
    Piece,
    Span,
    Times,
    TimesADay,
    Weekday,
)
from appliance.reminders.spoken_time.scan import Found


@dataclass
class Reading:
    """Everything that was said about the time."""

    days: list[Day] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    every: Every | None = None
    ahead: Span | None = None
    before: Span | None = None
    loose: Loose | None = None
    spared: tuple[int, ...] = ()
    until_day: Day | None = None
    until_clock: Clock | None = None
    start_day: Day | None = None
    start_clock: Clock | None = None
    clock_range: tuple[Clock, Clock] | None = None
    lasting: Span | None = None
    times: int | None = None
    times_a_day: int | None = None
    which_time: bool = False
    """Two times were offered ("at seven or eight")."""
    which_day: bool = False
    over: bool = False
    bad_clock: bool = False
    recurrent: bool = False
    """A day was said to be one of many ("every Monday", "on Mondays")."""

    @property
    def recurs(self) -> bool:
        """Whether this is a rule and not one moment."""
        return self.every is not None or self.recurrent

    @property
    def empty(self) -> bool:
        """Whether nothing was said that a moment could be reckoned from."""
        return not (
            self.days or self.clocks or self.parts or self.recurs or self.loose or self.over
            or self.ahead or self.bad_clock or self.times_a_day or self.which_time
            or self.clock_range or self.start_day or self.start_clock
            or self.until_day or self.until_clock
        )  # fmt: skip


def combine(found: list[Found]) -> Reading:
    """Return what *found*, in the order of the sentence, says."""
    reading = Reading()
    mode: Lead = ""
    rest = list(found)
    previous: Found | None = None
    while rest:
        one = rest.pop(0)
        if one.lead and not (mode == "every" and one.lead == "and"):
            mode = one.lead
        elif previous is not None and previous.end != one.first:
            mode = ""
        previous = one
        if rest and _is_range(one, rest[0]):
            previous = rest.pop(0)
            _add_range(reading, one.piece, previous.piece)
            mode = ""
        elif isinstance(one.piece, Clock):
            reading.which_time |= one.lead == "or"
            _add_clock(reading, one.piece, one.lead or mode)
        elif isinstance(one.piece, Day):
            reading.which_day |= one.lead == "or"
            _add_day(reading, one.piece, mode)
        else:
            _add(reading, one.piece, mode)
    return reading


def _is_range(one: Found, following: Found) -> bool:
    """Return whether two pieces are "nine to five", or "between two and four"."""
    kind = Clock if isinstance(one.piece, Clock) else Weekday
    if not (isinstance(one.piece, kind) and isinstance(following.piece, kind)):
        return False
    return following.lead == "to" or (one.lead == "from" and following.lead == "and")


def _add_range(reading: Reading, start: Piece, end: Piece) -> None:
    if isinstance(start, Clock) and isinstance(end, Clock):
        reading.clock_range = (start, end)
    elif isinstance(start, Weekday) and isinstance(end, Weekday):
        reading.recurrent = True
        for number in range((end.day - start.day) % 7 + 1):
            reading.days.append(Weekday((start.day + number) % 7))


def _add(reading: Reading, piece: Piece, mode: Lead) -> None:
    match piece:
        case Every():
            reading.every = piece
        case Part() if mode not in ("until", "start"):
            reading.parts.append(piece)
        case Ahead(span):
            reading.ahead = span if reading.ahead is None else reading.ahead + span
        case Before(span):
            reading.before = span
        case Lasting(span):
            reading.lasting = span
        case Times(count):
            reading.times = count
        case TimesADay(count):
            reading.times_a_day = count
        case Loose():
            reading.loose = piece
        case Except(days):
            reading.spared += days
        case Over():
            reading.over = True
        case BadClock():
            reading.bad_clock = True


def _add_clock(reading: Reading, clock: Clock, mode: Lead) -> None:
    if mode == "until":
        reading.until_clock = clock
    elif mode in ("start", "from"):
        reading.start_clock = clock
    else:
        reading.clocks.append(clock)


def _add_day(reading: Reading, day: Day, mode: Lead) -> None:
    if mode == "until":
        reading.until_day = day
    elif mode in ("start", "from"):
        reading.start_day = day
    else:
        reading.recurrent |= mode == "every"
        reading.days.append(day)
