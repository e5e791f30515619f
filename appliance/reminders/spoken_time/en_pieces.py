"""English: from matched words to the pieces of a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, TypeAlias, cast

from appliance.reminders.spoken_time.pieces import (
    EVERY_DAY,
    WEEKEND,
    WORKING_DAYS,
    Ahead,
    BadClock,
    Clock,
    Every,
    Except,
    Frequency,
    InDays,
    Lasting,
    Lead,
    MonthDay,
    MonthEnd,
    NthDay,
    Part,
    Piece,
    Weekday,
    WeekEnd,
)
from appliance.reminders.spoken_time.scan import Context
from appliance.reminders.spoken_time.spans import SpanGrammar

Built: TypeAlias = tuple[Lead, Sequence[Piece]] | None

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
DAY = "(?:" + "|".join(f"{day}|{day[:4]}|{day[:3]}" for day in _DAYS) + "|thurs)"
MONTH = "(?:" + "|".join(f"{month}|{month[:3]}" for month in _MONTHS) + "|sept)"
ORDINAL = r"(?:\d{1,2}(?:st|nd|rd|th)|(?:20 |30 )?second)"
PART = "(?:early morning|morning|lunchtime|late afternoon|afternoon|evening|night)"
HOUR_MINUTE = (
    r"(?:(?P<h>\d{1,2})(?:(?:[:.]| (?:o |oh )?)(?P<m>\d{2})| (?:o|oh) (?P<m1>\d))"
    r"|(?P<hhmm>(?:1\d|2[0-3]|[1-9])[0-5]\d))"  # "705" is how Whisper writes "seven oh five"
)

SPANS = SpanGrammar(
    amounts={
        "half an": Fraction(1, 2), "half a": Fraction(1, 2), "a half": Fraction(1, 2),
        "3 quarters of an": Fraction(3, 4), "a quarter of an": Fraction(1, 4),
        "quarter of an": Fraction(1, 4), "a quarter": Fraction(1, 4),
        "a couple of": Fraction(2), "a couple": Fraction(2), "a few": Fraction(3),
        "another": Fraction(1), "an": Fraction(1), "a": Fraction(1),
    },
    halves={"and a half": Fraction(1, 2), "and a quarter": Fraction(1, 4),
            "and 3 quarters": Fraction(3, 4)},
    units={
        "seconds?|secs?": "second", "minutes?|mins?": "minute", "hours?|hrs?": "hour",
        "days?": "day", "weeks?": "week", "months?": "month", "years?": "year",
    },
    joined="(?: ,)?(?: and)? ",
    whole={},
)  # fmt: skip
ROUGHLY = "(?: about| around| roughly| approximately)?"
SPAN = f"(?P<span>{SPANS.pattern})"

HOLIDAYS = {
    "christmas eve": (24, 12), "christmas": (25, 12), "new year's eve": (31, 12),
    "new year's": (1, 1), "new years eve": (31, 12), "new years": (1, 1), "halloween": (31, 10),
    "valentine's": (14, 2),
}  # fmt: skip
"""Holidays that stay where they are: day and month."""
_LEADS: dict[str, Lead] = {
    "every": "every", "each": "every", "from": "from", "between": "from", "starting": "start",
    "beginning": "start", "to": "to", "through": "to", "until": "until", "till": "until",
    "and": "and", "or": "or", ",": "and",
}  # fmt: skip
_JOINING = ("to", "and", "or")


def _lead(context: Context, kind: type | tuple[type, ...]) -> Lead | None:
    """Return what the words before a piece make of it; None where they do not make sense.

    "to", "and" and "or" need a piece of the same *kind* before them.
    """
    words = context.lead.replace(", ", "").split()
    nothing: Lead = ""
    lead = next((_LEADS[word] for word in words if word in _LEADS), nothing)
    if lead in _JOINING and not (context.previous and isinstance(context.previous.piece, kind)):
        return None
    if lead == "until" and context.previous and context.previous.lead == "from":
        return "to" if isinstance(context.previous.piece, kind) else lead
    return lead


# --- times of the day -----------------------------------------------------------------------

AT = (
    # "Remind me that nine to ..." is how "at nine" is misheard.
    r"(?:(?P<lead>(?<=remind me )that(?= \d{1,2} (?:to|or|and))|at|by|from|between"
    r"|around|starting(?: at| from)?|beginning at|to|until|till|for"
    r"|and at|or at|, and|and|or|,) )?(?:about |around )?"
)


def read_clock(context: Context) -> Built:
    lead = _lead(context, Clock)
    if lead is None or (context.lead == "for" and not context.alarm):
        return None
    together = context["hhmm"]
    hours = context["h"] or together[:-2]
    hour, minute = int(hours), int(context["m"] or context["m1"] or together[-2:] or 0)
    if together and not context["half"] and context.lead not in ("at", "and at", "and", "until"):
        return None
    sure = bool(context["half"] or ":" in context.match[0] or context["oclock"])
    previous = context.previous
    if not (sure or context.lead or (previous and not isinstance(previous.piece, Ahead))):
        return None
    if not context.lead and not sure and minute and hour > 24:  # noqa: PLR2004
        return None
    half = cast(Literal["", "am", "pm", "exact"], context["half"])
    if half and hour > 12:  # noqa: PLR2004 - "19:30 p.m." is heard too
        half = "exact"
    if not half and len(hours) > 1 and hours[0] == "0":
        half = "exact"
    if hour == 24 and not minute:  # noqa: PLR2004
        return lead, [Clock(0, 0, "midnight")]
    if hour > 23 or minute > 59:  # noqa: PLR2004
        return (lead, [BadClock()]) if ":" in context.match[0] else None
    return lead, [Clock(hour, minute, half)]


def read_past_or_to(context: Context) -> Built:
    lead = _lead(context, Clock)
    hour = int(context["h"])
    words = {"quarter": 15, "half": 30}
    minutes = words.get(context["word"]) or int(context["m"] or 0)
    if lead is None or not 1 <= hour <= 24 or not 0 < minutes < 60:  # noqa: PLR2004
        return None
    half = cast(Literal["", "am", "pm"], context["half"])
    if context["way"] in ("to", "before", "til"):
        if lead == "from" or (not context.lead and not context["sure"] and not context.previous):
            return None  # "from nine to five"; "ten to five people"
        hour, minutes = (hour - 1 or 12), 60 - minutes
        half = {"am": "pm", "pm": "am", "": ""}[half] if hour == 11 else half  # type: ignore[assignment]  # noqa: PLR2004
    return lead, [Clock(hour, minutes, half)]


def read_named_clock(context: Context) -> Built:
    lead = _lead(context, Clock)
    if lead is None:
        return None
    noon = context["name"] in ("noon", "midday", "12 noon")
    return lead, [Clock(12, 0, "exact") if noon else Clock(0, 0, "midnight")]


def _part_of(name: str) -> Part:
    parts = {"early morning": "early", "lunchtime": "lunch", "late afternoon": "late"}
    return Part(parts.get(name, name))  # type: ignore[arg-type]


def read_part(context: Context) -> Built:
    if not context.lead and not context.previous:
        return None
    day: list[Piece] = [InDays(0)] if context.lead == "this" else []
    if context.lead in ("every", "each"):
        day = [Every("DAILY")]
    return "", [*day, _part_of(context["part"])]


def read_first_thing(context: Context) -> Built:
    day: list[Piece] = [InDays(1)] if "tomorrow" in context.match[0] else []
    return "", [*day, Part("morning")]


# --- days -------------------------------------------------------------------------------------


def _day_number(written: str) -> int:
    if "second" in written:
        return int(written.split(maxsplit=1)[0]) + 2 if " " in written else 2
    return int(re.sub(r"\D", "", written))


def _month(written: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, 1) if month.startswith(written[:3]))


def weekday_number(written: str) -> int:
    return next(n for n, day in enumerate(_DAYS) if day.startswith(written[:3]))


ON = (
    r"(?:(?P<lead>, and|and|or|,|every other|every second|every|each|on|by|this|next"
    r"|this coming|from"
    r"|starting(?: on| from| next)?|beginning on|to|through|until|till|between)"
    r"(?: next| on)? )?(?:the )?"
)


def read_weekday(context: Context) -> Built:
    lead = _lead(context, Weekday)
    if lead is None or (len(context["day"]) < 5 and not context.lead):  # noqa: PLR2004
        return None
    following = " next " in f" {context.match[0]} "
    piece = Weekday(weekday_number(context["day"]), "next" if following else "")
    if context.lead in ("every other", "every second"):
        return "every", [Every("WEEKLY", 2), piece]
    if context["plural"] and lead in ("", "and"):
        lead = "every"
    return lead, [piece]


def read_in_days(context: Context) -> Built:
    days = {"today": 0, "tomorrow": 1}.get(context["day"], 2)
    lead = _lead(context, InDays)
    return None if lead is None else (lead, [InDays(days)])


def read_date(context: Context) -> Built:
    lead = _lead(context, MonthDay)
    if lead is None:
        return None
    year = int(context["year"]) if context["year"] else None
    return lead, [MonthDay(_day_number(context["d"]), _month(context["month"]), year)]


def read_month_day(context: Context) -> Built:
    lead = _lead(context, MonthDay)
    if lead is None:
        return None
    of = context["of"]
    ahead = {"next": 1, "this": 0}.get(of.split()[0]) if of else None
    if of and ahead is None:
        lead = "every"
    return lead, [MonthDay(_day_number(context["d"]), months_ahead=ahead)]


def read_numeric_date(context: Context) -> Built:
    lead = _lead(context, MonthDay)
    if lead is None:
        return None
    if context["iso"]:
        year, month, day = map(int, context["iso"].split("-"))
        return lead, [MonthDay(day, month, year)]
    month, day, *years = map(int, re.split("[ /]", context["date"]))
    if month > 12:  # noqa: PLR2004 - 15/3 cannot be the American order
        month, day = day, month
    year_ = years[0] % 100 + 2000 if years else None
    return lead, [MonthDay(day, month, year_)]


def read_holiday(context: Context) -> Built:
    if not context.lead:
        return None  # "buy Christmas presents"
    lead = _lead(context, MonthDay)
    return None if lead is None else (lead, [MonthDay(*HOLIDAYS[context["name"]])])


def read_nth_day(context: Context) -> Built:
    places = {"1st": 1, "second": 2, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "last": -1}
    nth = places[context["nth"]]
    kind, of = context["kind"] or context["working"], context["of"] or "the month"
    month = _month(of) if re.fullmatch(MONTH, of) else None
    ahead = {"next": 1, "this": 0}.get(of.split()[0])
    one_off = (month or ahead is not None) and not context["every"]
    lead: Lead = "until" if context.lead in ("until", "till") else "" if one_off else "every"
    if kind == "day":
        piece: Piece = MonthEnd(month, ahead) if nth == -1 else MonthDay(nth, month, None, ahead)
    elif kind.startswith(("weekday", "working", "business", "work")):
        piece = NthDay(nth, WORKING_DAYS, month, ahead)
    else:
        piece = NthDay(nth, (weekday_number(kind),), month, ahead)
    return lead, [piece]


def read_end_of(context: Context) -> Built:
    unit = context["unit"]
    lead: Lead = "until" if context.lead else ""
    if unit in ("the week", "this week"):
        return lead, [WeekEnd()]
    if unit in ("the year", "this year"):
        return lead, [MonthEnd(12)]
    if unit in ("the month", "this month"):
        return lead, [MonthEnd(months_ahead=0)]
    if unit == "next month":
        return lead, [MonthEnd(months_ahead=1)]
    if unit in ("the day", "today"):
        return ("until", [InDays(0)]) if lead else ("", [InDays(0), Part("late")])
    return lead, [MonthEnd(_month(unit))]


# --- again and again ---------------------------------------------------------------------------

_FREQUENCIES: dict[str, Frequency] = {
    "second": "SECONDLY", "minute": "MINUTELY", "hour": "HOURLY", "day": "DAILY",
    "week": "WEEKLY", "month": "MONTHLY", "year": "YEARLY",
}  # fmt: skip
ADVERBS: dict[str, Every] = {
    "hourly": Every("HOURLY"), "daily": Every("DAILY"), "weekly": Every("WEEKLY"),
    "monthly": Every("MONTHLY"), "yearly": Every("YEARLY"), "annually": Every("YEARLY"),
    "fortnightly": Every("WEEKLY", 2), "biweekly": Every("WEEKLY", 2),
    "every fortnight": Every("WEEKLY", 2), "every half hour": Every("MINUTELY", 30),
    "every half an hour": Every("MINUTELY", 30), "half hourly": Every("MINUTELY", 30),
    "every quarter of an hour": Every("MINUTELY", 15),
    "every quarter hour": Every("MINUTELY", 15),
    "every hour and a half": Every("MINUTELY", 90),
}  # fmt: skip


def read_every(context: Context) -> Built:
    amount, unit = context["n"], context["unit"].rstrip("s")
    interval = 2 if amount in ("other", "second") else int(re.sub(r"\D", "", amount) or 1)
    if interval < 1:
        return None
    return "", [Every(_FREQUENCIES[unit], interval)]


def read_except(context: Context) -> Built:
    if context["days"] == "weekends":
        return "", [Except(WEEKEND)]
    return "", [Except(tuple(weekday_number(one) for one in re.findall(DAY, context["days"])))]


def read_every_days(context: Context) -> Built:
    kind = context["kind"]
    days = WEEKEND if "weekend" in kind else EVERY_DAY if kind == "day" else WORKING_DAYS
    return "", [Every("WEEKLY", 1, days)]


def read_lasting(context: Context) -> Built:
    return None if context.timer else ("", [Lasting(SPANS.read(context["span"]))])


def read_span_ahead(context: Context) -> Built:
    return "", [Ahead(SPANS.read(context["span"]))]


def read_timer_span(context: Context) -> Built:
    return ("", [Ahead(SPANS.read(context["span"]))]) if context.timer else None
