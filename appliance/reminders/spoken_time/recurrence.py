"""From a reading to a rule of recurrence (RFC 5545, 3.3.10)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import islice, takewhile

from dateutil.rrule import rrulestr

from appliance.reminders.spoken_time.moment import (
    HALF_DAY,
    PART_TIMES,
    HourOfDay,
    Now,
    question,
    range_start,
    readings,
)
from appliance.reminders.spoken_time.pieces import (
    CODES,
    EVERY_DAY,
    Clock,
    Every,
    MonthDay,
    MonthEnd,
    NthDay,
    Part,
    Weekday,
)
from appliance.reminders.spoken_time.reading import Reading
from appliance.reminders.spoken_time.result import Question, Recurrence

_SECONDS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600}
_MOST_TIMES = 288
"""Times a day in one rule: every five minutes round the clock."""
_MOST_COUNTED = 10_000
_LAST = time(23, 59, 59)


def resolve(reading: Reading, text: str, now: Now, language: str) -> Recurrence | Question:
    """Return the rule that *reading* means, and its first time still to come."""
    every = _every(reading)
    if asked := _unclear(reading, every):
        return question(asked, text)
    shorter = every.frequency in _SECONDS
    if shorter and every.interval * _SECONDS[every.frequency] < _SECONDS["MINUTELY"]:
        return question("too_often", text)
    try:
        times = _times(reading, every, now, language)
        if shorter and not times:
            return _counted(reading, every, text, now)
        if isinstance(times, Question):
            return question(times.key, text)
        if not times:
            return question("at_what_time", text)
        return _on_days(reading, every, times, text, now)
    except (OverflowError, ValueError):
        return question("too_far", text)


def _unclear(reading: Reading, every: Every) -> str:
    if reading.over:
        return "past"
    if reading.bad_clock:
        return "no_such_time"
    if reading.times_a_day and len(reading.clocks) < reading.times_a_day:
        return "which_times"
    if reading.which_time:
        return "which_time"
    if reading.which_day or (every.frequency == "WEEKLY" and _needs_day(reading, every)):
        return "which_day"
    if every.frequency in ("MONTHLY", "YEARLY") and not reading.days:
        return "which_day"
    dated = [day for day in reading.days if isinstance(day, MonthDay)]
    if any(not list(islice(day.dates(date(2000, 1, 1)), 1)) for day in dated):
        return "no_such_date"
    return ""


def _needs_day(reading: Reading, every: Every) -> bool:
    return not (every.days or any(isinstance(day, Weekday) for day in reading.days))


def _every(reading: Reading) -> Every:
    """Return how often; from the days, where it was not said by itself."""
    every = reading.every
    weekdays = {day.day for day in reading.days if isinstance(day, Weekday)}
    if every is None:
        if weekdays:
            return Every("WEEKLY", days=tuple(sorted(weekdays)))
        dated = any(getattr(day, "month", None) is not None for day in reading.days)
        return Every("YEARLY" if dated else "MONTHLY")
    if reading.spared and every.frequency in ("DAILY", "WEEKLY"):
        kept = (weekdays | set(every.days) or set(EVERY_DAY)) - set(reading.spared)
        return Every("WEEKLY", 1, tuple(sorted(kept)))
    if weekdays and every.frequency in ("DAILY", "WEEKLY"):
        days = tuple(sorted(weekdays | set(every.days)))
        weeks = every.interval
        if every.frequency == "DAILY":  # "every 15 days on Wednesday" is every other week
            weeks = max(1, round(every.interval / 7))
        return Every("WEEKLY", weeks, days)
    if weekdays and every.frequency in _SECONDS:
        return Every(every.frequency, every.interval, tuple(sorted(weekdays | set(every.days))))
    return every


def _times(
    reading: Reading, every: Every, now: Now, language: str
) -> list[HourOfDay] | Question | None:
    """Return the times of a day, or None when there are none (which is right for "hourly")."""
    part = reading.parts[-1] if reading.parts else None
    if reading.clock_range and every.frequency in _SECONDS:
        step = every.interval * _SECONDS[every.frequency]
        return _spread(*reading.clock_range, part, step)
    clocks = list(reading.clocks)
    if reading.clock_range:
        clocks.append(range_start(*reading.clock_range))
    if every.frequency in _SECONDS:
        return None
    if not clocks and (clock := reading.start_clock or reading.until_clock):
        # "Every day until Friday at eight": that is the time of each day.
        clocks.append(clock)
        reading.until_clock = None
    if not clocks:
        parts = [HourOfDay(time(PART_TIMES[language][one.name])) for one in reading.parts]
        return sorted(set(parts), key=lambda one: one.at) or None
    found = [readings(clock, part, now.waking)[0] for clock in clocks]
    return sorted(set(found), key=lambda one: (one.days, one.at))


def _spread(start: Clock, end: Clock, part: Part | None, step: int) -> list[HourOfDay] | Question:
    """Return the times from *start* to *end*, *step* seconds apart: from nine to five."""
    first = readings(range_start(start, end), part)[0].at
    possible = [one.at for one in readings(end, part)]
    last = min((at for at in possible if at > first), default=first)
    if first.hour == 0 and start.hour == HALF_DAY:
        first = time(HALF_DAY, first.minute)
    begin, stop = (value.hour * 3600 + value.minute * 60 for value in (first, last))
    if stop <= begin:
        return question("which_time")
    found = range(begin, stop + 1, step)
    if len(found) > _MOST_TIMES:
        return question("too_often")
    return [HourOfDay(time(at // 3600, at // 60 % 60)) for at in found]


def _counted(reading: Reading, every: Every, text: str, now: Now) -> Recurrence | Question:
    """Return a rule that runs from now, or from a named time, round the clock."""
    step = timedelta(seconds=every.interval * _SECONDS[every.frequency])
    first = now.local + step
    start = reading.start_clock or (reading.clocks[0] if reading.clocks else None)
    if start is not None:
        days = _start_days(reading, now)
        possible = [one.on(day) for day in days for one in readings(start, None)]
        first = min((due for due in possible if now.ahead(due)), default=first)
    elif reading.start_day is not None:
        return question("at_what_time", text)
    while not now.ahead(first):  # the hour that daylight saving repeats
        first += step
    while every.days and first.weekday() not in every.days:
        first = datetime.combine(first.date() + timedelta(days=1), time())
    parts = [f"FREQ={every.frequency}"]
    if every.interval > 1:
        parts.append(f"INTERVAL={every.interval}")
    if every.days:
        parts.append(f"BYDAY={_codes(every.days)}")
    return _ended(parts, first, reading, text, now)


def _start_days(reading: Reading, now: Now) -> list[date]:
    if reading.start_day is not None:
        return list(islice(reading.start_day.dates(now.today), 2))
    return [now.today, now.today + timedelta(days=1)]


def _on_days(
    reading: Reading, every: Every, times: list[HourOfDay], text: str, now: Now
) -> Recurrence | Question:
    """Return a rule for certain times of certain days."""
    shift = times[0].days
    if any(one.days != shift for one in times):
        shift = 0
    days = tuple(sorted((day + shift) % 7 for day in every.days))
    several = len(times) > 1
    frequency = every.frequency
    if frequency in _SECONDS or (several and frequency == "WEEKLY" and every.interval == 1):
        frequency = "DAILY"
    parts = [f"FREQ={frequency}"]
    if every.interval > 1 and every.frequency not in _SECONDS:
        parts.append(f"INTERVAL={every.interval}")
    parts += _days_of(reading, every, days)
    if several:
        parts += _by_times(times)
        if frequency != "DAILY" and any(part.startswith("BYSETPOS") for part in parts):
            return question("which_time", text)  # it would count the times of a week or a month
    first = _first(parts, times, reading, now)
    if first is None:
        return question("no_such_date", text)
    return _ended(parts, first, reading, text, now)


def _days_of(reading: Reading, every: Every, days: tuple[int, ...]) -> list[str]:
    if every.frequency not in ("MONTHLY", "YEARLY"):
        return [f"BYDAY={_codes(days)}"] if days else []
    parts: list[str] = []
    months = {day.month for day in reading.days if isinstance(day, MonthDay | NthDay | MonthEnd)}
    if named := sorted(month for month in months if month):
        parts.append(f"BYMONTH={','.join(map(str, named))}")
    dates = sorted({day.day for day in reading.days if isinstance(day, MonthDay)})
    if any(isinstance(day, MonthEnd) for day in reading.days):
        dates.append(-1)
    if dates:
        parts.append(f"BYMONTHDAY={','.join(map(str, dates))}")
    for day in reading.days:
        if isinstance(day, NthDay) and len(day.days) == 1:
            parts.append(f"BYDAY={day.nth}{CODES[day.days[0]]}")
        elif isinstance(day, NthDay):
            parts += [f"BYDAY={_codes(day.days)}", f"BYSETPOS={day.nth}"]
    return parts


def _by_times(times: list[HourOfDay]) -> list[str]:
    """Return the parts for several times a day.

    BYHOUR and BYMINUTE mean every pair of an hour and a minute; where not every pair was meant,
    BYSETPOS picks those that were.
    """
    hours = sorted({one.at.hour for one in times})
    minutes = sorted({one.at.minute for one in times})
    parts = [f"BYHOUR={','.join(map(str, hours))}", f"BYMINUTE={','.join(map(str, minutes))}"]
    pairs = [time(hour, minute) for hour in hours for minute in minutes]
    meant = {one.at for one in times}
    if len(pairs) > len(meant):
        places = [str(n) for n, pair in enumerate(pairs, start=1) if pair in meant]
        parts.append(f"BYSETPOS={','.join(places)}")
    return parts


def _first(parts: list[str], times: list[HourOfDay], reading: Reading, now: Now) -> datetime | None:
    """Return the first occurrence that is to come; a rule with an interval starts with it."""
    start = now.today - timedelta(days=1)
    if reading.start_day is not None:
        start = next(iter(reading.start_day.dates(now.today)))
    rule = ";".join(part for part in parts if not part.startswith("INTERVAL"))
    begin = datetime.combine(start, times[0].at if len(times) == 1 else time())
    found = (due for due in rrulestr(rule, dtstart=begin) if now.ahead(due))
    return next(islice(found, 1), None)


def _ended(
    parts: list[str], first: datetime, reading: Reading, text: str, now: Now
) -> Recurrence | Question:
    """Return the rule with its end: a last day, a number of times, or a length."""
    if reading.times:
        parts.append(f"COUNT={reading.times}")
    elif reading.until_day is not None or reading.until_clock is not None:
        last = _last(reading, first, now)
        if last is None or last < first:
            return question("ends_before", text)
        parts.append(f"UNTIL={last:%Y%m%dT%H%M%S}")
    elif reading.lasting is not None:
        end = first + reading.lasting.delta
        occurrences = rrulestr(";".join(parts), dtstart=first)
        counted = islice(takewhile(lambda due: due < end, occurrences), _MOST_COUNTED)
        parts.append(f"COUNT={sum(1 for _ in counted)}")
    return Recurrence(text, ";".join(parts), first, now.zone.key)


def _last(reading: Reading, first: datetime, now: Now) -> datetime | None:
    """Return the end of the last day, or the time that ends it."""
    day: date | None = first.date()
    if reading.until_day is not None:
        coming = (one for one in reading.until_day.dates(now.today) if one >= first.date())
        day = next(coming, None)
    if day is None:
        return None
    if reading.until_clock is None:
        return datetime.combine(day, _LAST)
    possible = [one.on(day) for one in readings(reading.until_clock, None)]
    return min((one for one in possible if one >= first), default=None)


def _codes(days: tuple[int, ...]) -> str:
    return ",".join(CODES[day] for day in days)
