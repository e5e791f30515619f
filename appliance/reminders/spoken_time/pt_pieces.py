"""Portuguese: from matched words to the pieces of a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

from appliance.reminders.spoken_time.pieces import (
    EVERY_DAY,
    WEEKEND,
    WORKING_DAYS,
    Ahead,
    BadClock,
    Before,
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
    PartName,
    Piece,
    Weekday,
    WeekEnd,
)
from appliance.reminders.spoken_time.scan import Context
from appliance.reminders.spoken_time.spans import SpanGrammar

Built: TypeAlias = tuple[Lead, Sequence[Piece]] | None

_DAYS = ("segunda", "terca", "quarta", "quinta", "sexta", "sabado", "domingo")
_MONTHS = (
    "janeiro", "fevereiro", "marco", "abril", "maio", "junho", "julho", "agosto", "setembro",
    "outubro", "novembro", "dezembro",
)  # fmt: skip
DAY = "(?:" + "|".join(_DAYS) + ")"
MONTH = "(?:" + "|".join(_MONTHS) + ")"
_NTHS = {"primeir": 1, "segund": 2, "terceir": 3, "quart": 4, "quint": 5, "sext": 6, "setim": 7,
         "oitav": 8, "non": 9, "decim": 10, "ultim": -1, "penultim": -2}  # fmt: skip
NTH = "(?:" + "|".join(_NTHS) + ")[oa]"
HOLIDAYS = {
    "vespera de natal": (24, 12), "natal": (25, 12), "vespera de ano novo": (31, 12),
    "ano novo": (1, 1), "reveillon": (31, 12), "dia dos namorados": (12, 6),
}  # fmt: skip
"""Holidays that stay where they are: day and month."""
THIS_MONTH = "(?:do|de cada|de todo|de todos os|deste|desse|do proximo) mes(?:es)?"
OF_MONTH = f"(?:do mes que vem|{THIS_MONTH}|(?:de|do mes de) {MONTH})"

SPANS = SpanGrammar(
    amounts={"uns": Fraction(3), "umas": Fraction(3), "mais": Fraction(1)},
    halves={"e meia": Fraction(1, 2), "e meio": Fraction(1, 2)},
    units={
        "segundos?|segundinhos?|segs?": "second", "minutos?|minutinhos?|mins?": "minute",
        "horas?|horinhas?": "hour", "dias?": "day", "semanas?": "week", "mes|meses": "month",
        "anos?": "year",
    },
    joined="(?: ,)?(?: e)? ",
    whole={
        "meia hora": Fraction(1, 2), "meia horinha": Fraction(1, 2), "hora e meia": Fraction(3, 2),
        "1 quarto de hora": Fraction(1, 4), "3 quartos de hora": Fraction(3, 4),
        "meio minuto": Fraction(1, 120),
    },
)  # fmt: skip
SPAN = f"(?P<span>{SPANS.pattern})"


def _lead(context: Context, kind: type) -> Lead | None:
    """Return what the words before a piece make of it; None where they do not make sense.

    "a", "e" and "ou" need a piece of the same *kind* before them.
    """
    words = context.lead
    after = context.previous if _is(context, kind) else None
    if words.startswith("a partir") or words.startswith("comecando"):
        return "start"
    if re.match(r"(?:tod[oa]s?|cada)\b", words):
        return "every"
    if words.startswith("ate"):
        return "to" if after and after.lead == "from" else "until"
    if re.match(r"(?:, )?e\b|,", words):
        return "and" if after else None
    if re.match(r"(?:, )?ou\b", words):
        return "or" if after else None
    if re.match(r"(?:d[aeo]s?|desde|entre)\b", words):
        return "from"
    if re.fullmatch(r"a|à|às|as|ao", words) and after and (kind is Weekday or after.lead == "from"):
        return "to"
    return None if words == "a" else ""


def _is(context: Context, kind: type) -> bool:
    return context.previous is not None and isinstance(context.previous.piece, kind)


# --- times of the day -----------------------------------------------------------------------

AT = (
    r"(?:(?P<lead>a partir d(?:as?|e|o)|comecando (?:às|as|à|a|ao)|(?:ate|entre) (?:às"
    r"|as|à|a|o|ao)|ate|entre"
    r"|(?:, )?(?:e|ou) (?:às|as|à|ao|a)|(?:, )?(?:e|ou)|, (?:às|as|à|ao)|,|para (?:às"
    r"|as|a|o)|pr[ao]s?"
    r"|por volta d(?:as?|o)|la pelas|pelas|pela|das|da|do|de|desde as|às|as|à|ao|a"
    r"|para|antes das) )?"
)
_AT_HOUR = re.compile(r"\b(?:às|à|as|das|pelas|para as|para às|para a|pras|pra|a partir d[ae]s?)$")
HOUR = r"(?P<h>\d{1,2})(?:[:.](?P<m>\d{2})|h(?P<m1>\d{2})|(?P<sure>h| horas?)?)"
CLOCK = (
    rf"{HOUR}"
    r"(?: e (?P<m2>1 quarto|\d{1,2}|meia)(?: minutos?)?(?! (?:horas?|\d))| "
    r"(?P<m3>[1-5]\d)(?= |$)(?! (?:horas?|minutos?|segundos?)))?"
    r"(?: em ponto| e pouc[oa]s?)?"
)


def read_clock(context: Context) -> Built:
    lead = _lead(context, Clock)
    if lead is None:
        return None
    hour, late = int(context["h"]), context["m2"]
    written = context["m"] or context["m1"]
    if written and late:
        return None
    if late and late != "meia" and context.lead.startswith((",", "entre")):
        return None  # "às 8, 14 e 20": a list; "entre duas e quatro": a range
    minute = {"meia": 30, "1 quarto": 15}.get(late) or int(written or late or context["m3"] or 0)
    sure = bool(written or context["sure"] == "h")
    announced = _AT_HOUR.search(context.lead) or lead in ("to", "and", "or", "start", "until")
    between = context.lead == "entre"
    if context.lead in ("as", "à") and not (sure or context["sure"] or late or hour):
        return None
    previous = context.previous
    if not (sure or announced or between):
        beside = previous is not None and not isinstance(previous.piece, Ahead | Before)
        if not beside or not (context["sure"] or not context.lead) or (minute and not late):
            return None
    if hour == 24 and not minute:  # noqa: PLR2004
        return lead, [Clock(0, 0, "midnight")]
    if hour > 23 or minute > 59:  # noqa: PLR2004
        return (lead, [BadClock()]) if sure or context["sure"] else None
    exact = len(context["h"]) > 1 and context["h"][0] == "0"
    return lead, [Clock(hour, minute, "exact" if exact else "")]


def read_minutes_to(context: Context) -> Built:
    """Read "quinze para as oito"."""
    lead = _lead(context, Clock)
    minutes = 15 if context["quarter"] else int(context["m"])
    if lead is None or not 0 < minutes < 60:  # noqa: PLR2004
        return None
    if context["name"]:
        hour = 11 if "dia" in context["name"] else 23
        return lead, [Clock(hour, 60 - minutes, "exact")]
    hour = int(context["h"])
    if not 1 <= hour <= 24:  # noqa: PLR2004
        return None
    hour = 12 if hour == 1 else hour - 1
    return lead, [Clock(hour, 60 - minutes)]


def read_named_clock(context: Context) -> Built:
    lead = _lead(context, Clock)
    if lead is None:
        return None
    late = context["m"]
    minute = 30 if late == "meia" else int(late or 0)
    if "dia" in context["name"]:
        return lead, [Clock(12, minute, "exact")]
    return lead, [Clock(0, minute, "midnight")]


PARTS: dict[str, PartName] = {
    "manha": "morning", "tarde": "afternoon", "noite": "night", "madrugada": "dawn",
    "manhazinha": "early", "tardinha": "late", "noitinha": "evening",
}  # fmt: skip
PART = "(?:" + "|".join(PARTS) + ")"


def read_part(context: Context) -> Built:
    """Read "da manhã", which needs a time or day before it, or "de manhã", which does not."""
    part = Part(PARTS[context["part"]])
    lead = context.lead
    if lead in ("da", "na", "") and not context.previous:
        return None
    if re.match(r"tod|cada", lead):
        return "", [Every("DAILY"), part]
    if re.match(r"n?es[ts]a", lead):
        return "", [InDays(0), part]
    return "", [part]


# --- days -------------------------------------------------------------------------------------


def _month(written: str) -> int:
    return next(n for n, month in enumerate(_MONTHS, 1) if month in written)


def weekday_number(written: str) -> int:
    return next(n for n, day in enumerate(_DAYS) if written.startswith(day))


ON = (
    r"(?:(?P<lead>tod[oa]s?(?: [ao]s?)?|cada|a partir d[aeo]|comecando n?[ao]|desde"
    r"|entre|ate(?: [aoà])?"
    r"|(?:, )?(?:e|ou)(?: n?[ao]s?| às| de)?|,|n?es[ts][ae]|em|n[ao]s?|aos?|às|à|a|as"
    r"|de|da|do|para(?: n?[ao])?|pr[ao]|o) )?"
)
AFTER_DAY = (
    r"(?= (?:às|as|à|a|ao|de (?:manha|tarde|noite|madrugada)|que vem|e|ou|ate|cedo|,|me"
    r"|lembr\w+|meio|meia|\d)\b|$| ,)"
)


def read_weekday(context: Context) -> Built:
    lead = _lead(context, Weekday)
    if lead is None:
        return None
    if lead == "from" and not context.has("range"):
        return None  # "a reunião de segunda"
    marked = context["feira"] or context["next"] or context["coming"] or context["plural"]
    weekend = context["day"] in ("sabado", "domingo")
    beside = context.previous is not None or context.has("after")
    if context.lead in ("", "a", "as", "o") and not (marked or weekend or beside):
        return None
    which = "next" if context["next"] or context["coming"] else ""
    if context["plural"] and lead in ("", "and") and context.lead:
        lead = "and" if lead == "and" else "every"
    return lead, [Weekday(weekday_number(context["day"]), which)]  # type: ignore[arg-type]


def read_in_days(context: Context) -> Built:
    lead = _lead(context, InDays)
    days = {"hoje": 0, "amanha": 1}.get(context["day"], 2)
    return None if lead is None else (lead if lead != "from" else "start", [InDays(days)])


def _day_number(written: str) -> int:
    return 1 if written.startswith("primeir") else int(re.sub(r"\D", "", written))


DATE = r"(?P<d>\d{1,2}o?|primeiro)"


def read_date(context: Context) -> Built:
    lead = _lead(context, MonthDay)
    if lead is None:
        return None
    year = int(context["year"]) if context["year"] else None
    piece = MonthDay(_day_number(context["d"]), _month(context["month"]), year)
    return ("" if lead == "from" else lead), [piece]


def read_month_day(context: Context) -> Built:
    lead = _lead(context, MonthDay)
    if lead is None:
        return None
    of = context["of"]
    ahead: int | None = None
    if of:
        if "vem" in of or "proximo" in of:
            ahead = 1
        elif "deste" in of or "desse" in of:
            ahead = 0
        else:
            lead = "every"
    return ("" if lead == "from" else lead), [
        MonthDay(_day_number(context["d"]), None, None, ahead)
    ]


def read_numeric_date(context: Context) -> Built:
    lead = _lead(context, MonthDay)
    if lead is None:
        return None
    if context["iso"]:
        year, month, day = map(int, context["iso"].split("-"))
        return lead, [MonthDay(day, month, year)]
    day, month, *years = map(int, context["date"].split("/"))
    if month > 12:  # noqa: PLR2004
        return None
    return ("" if lead == "from" else lead), [
        MonthDay(day, month, years[0] % 100 + 2000 if years else None)
    ]


def read_holiday(context: Context) -> Built:
    lead = _lead(context, MonthDay)
    if lead is None:
        return None
    return ("" if lead == "from" else lead), [MonthDay(*HOLIDAYS[context["name"]])]


def read_nth_day(context: Context) -> Built:
    nth = next(n for start, n in _NTHS.items() if context["nth"].startswith(start))
    kind, of = context["kind"] or context["working"], context["of"] or "do mes"
    month = _month(of) if re.search(MONTH, of) else None
    ahead = 1 if "vem" in of or "proximo" in of else 0 if re.search("des[ts]e", of) else None
    one_off = (month or ahead is not None) and not re.match("tod", context.lead)
    lead: Lead = "until" if context.lead.startswith("ate") else "" if one_off else "every"
    piece: Piece
    if kind.startswith(("dia util", "dia de semana")):
        piece = NthDay(nth, WORKING_DAYS, month, ahead)
    elif kind == "dia":
        piece = MonthEnd(month, ahead) if nth == -1 else MonthDay(nth, month, None, ahead)
    else:
        piece = NthDay(nth, (weekday_number(kind),), month, ahead)
    return lead, [piece]


def read_end_of(context: Context) -> Built:
    unit = context["unit"]
    lead: Lead = "until" if context.lead.startswith("ate") else ""
    if "semana" in unit:
        return lead, [WeekEnd()]
    if "ano" in unit:
        return lead, [MonthEnd(12)]
    if "mes que vem" in unit or "proximo" in unit:
        return lead, [MonthEnd(months_ahead=1)]
    if "mes" in unit:
        return lead, [MonthEnd(months_ahead=0)]
    if "dia" in unit or "hoje" in unit:
        return ("until", [InDays(0)]) if lead else ("", [InDays(0), Part("late")])
    return lead, [MonthEnd(_month(unit))]


# --- again and again ---------------------------------------------------------------------------

_FREQUENCIES: dict[str, Frequency] = {
    "segundo": "SECONDLY", "minuto": "MINUTELY", "hora": "HOURLY", "dia": "DAILY",
    "semana": "WEEKLY", "mes": "MONTHLY", "ano": "YEARLY",
}  # fmt: skip
UNIT = "(?:segundos?|minutos?|horas?|dias?|semanas?|mes(?:es)?|anos?)"
ADVERBS = {
    "diariamente": Every("DAILY"), "semanalmente": Every("WEEKLY"), "mensalmente": Every("MONTHLY"),
    "anualmente": Every("YEARLY"), "quinzenalmente": Every("WEEKLY", 2),
    "dia sim dia nao": Every("DAILY", 2), "dia sim , dia nao": Every("DAILY", 2),
    "semana sim semana nao": Every("WEEKLY", 2), "semana sim , semana nao": Every("WEEKLY", 2),
    "um dia sim , outro nao": Every("DAILY", 2),
    "de meia em meia hora": Every("MINUTELY", 30), "a cada meia hora": Every("MINUTELY", 30),
    "a cada hora e meia": Every("MINUTELY", 90), "cada meia hora": Every("MINUTELY", 30),
    "a cada 1 hora e meia": Every("MINUTELY", 90), "a cada quinzena": Every("WEEKLY", 2),
    "a cada 1 quarto de hora": Every("MINUTELY", 15), "de 15 em 15 dias": Every("WEEKLY", 2),
}  # fmt: skip


def read_every(context: Context) -> Built:
    unit = next(name for name in _FREQUENCIES if context["unit"].startswith(name))
    interval = int(context["n"] or 1)
    if interval < 1 or (context["again"] and context["again"] != context["n"]):
        return None
    return "", [Every(_FREQUENCIES[unit], interval)]


def read_except(context: Context) -> Built:
    if "semana" in context["days"]:
        return "", [Except(WEEKEND)]
    return "", [Except(tuple(weekday_number(one) for one in re.findall(DAY, context["days"])))]


def read_every_days(context: Context) -> Built:
    kind = context["kind"]
    weekend = kind.startswith(("fim", "fins", "final", "finais"))
    days = WEEKEND if weekend else EVERY_DAY if kind == "dia" else WORKING_DAYS
    return "", [Every("WEEKLY", 1, days)]


def read_lasting(context: Context) -> Built:
    return None if context.timer else ("", [Lasting(SPANS.read(context["span"]))])


def read_span_ahead(context: Context) -> Built:
    return "", [Ahead(SPANS.read(context["span"]))]


def read_timer_span(context: Context) -> Built:
    return ("", [Ahead(SPANS.read(context["span"]))]) if context.timer else None
