"""Times, dates and ordinals as they are said; each language has its own way with them."""

from __future__ import annotations

import re
from collections.abc import Callable

from appliance.assistant import spoken_numbers as numbers
from appliance.assistant.spoken_words import en, pt

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
"""What is written, and how to say a place where it stands."""
_NOON = 12
_LEAST_YEAR = 1100
_MOST_YEAR = 2099


def english() -> tuple[Rule, ...]:
    """Return the rules for times, dates and ordinals in English."""
    months = "|".join(en.WORDS.months)

    def clock(match: re.Match[str]) -> str:
        hour, minute = int(match[1]), int(match[2])
        if hour > 23 or minute > 59:  # noqa: PLR2004 - a score or a ratio
            return f"{numbers.cardinal(hour, 'en')} {numbers.cardinal(minute, 'en')}"
        half = (match[3] or "").upper()
        if not half and (hour > _NOON or hour == 0):
            half = "PM" if hour else "AM"
        said = numbers.cardinal(hour % _NOON or _NOON, "en")
        if minute:
            said += f" {'oh ' if minute < 10 else ''}{numbers.cardinal(minute, 'en')}"  # noqa: PLR2004
        elif not half:
            said += " o'clock"
        return f"{said} {half}".rstrip()

    def date(month: int, day: int, year: str | None) -> str:
        said = f"{en.WORDS.months[month - 1]} {numbers.ordinal(day, 'en')}"
        return f"{said}, {numbers.year(int(year), 'en')}" if year else said

    def iso(match: re.Match[str]) -> str:
        return _if_date(match, match[2], match[3], lambda m, d: date(m, d, match[1]))

    def slashes(match: re.Match[str]) -> str:
        first, second = int(match[1]), int(match[2])
        month, day = (second, first) if first > _NOON else (first, second)
        return _if_date(match, month, day, lambda m, d: date(m, d, match[3]))

    def named(match: re.Match[str]) -> str:
        month = en.WORDS.months.index(match[1]) + 1
        return _if_date(match, month, match[2], lambda m, d: date(m, d, match[3]))

    return (
        (re.compile(rf"{numbers.START}(\d{{1,2}}):(\d\d)(?::\d\d)?(?:\s*([AaPp][Mm])\b)?"), clock),
        (re.compile(rf"{numbers.START}(\d{{1,2}})\s*([AaPp][Mm])\b"),
         lambda m: f"{numbers.cardinal(int(m[1]), 'en')} {m[2].upper()}"),
        (re.compile(rf"{numbers.START}(\d{{4}})-(\d\d)-(\d\d){numbers.END}"), iso),
        (re.compile(rf"{numbers.START}(\d{{1,2}})/(\d{{1,2}})/(\d{{4}}){numbers.END}"), slashes),
        (re.compile(rf"\b({months}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (\d{{4}})\b)?"), named),
        (re.compile(rf"{numbers.START}(\d{{1,6}})(?:st|nd|rd|th)\b"),
         lambda m: numbers.ordinal(int(m[1]), "en")),
        (re.compile(rf"{numbers.START}(\d{{3}}0)s\b"), _decade),
        (re.compile(r"\b((?i:in|since|year|from|until|by|of|before|after|around|between|and|to)) "
                    rf"(\d{{4}})(?=s?\b)(?!{numbers.END[3:-1]})(?! [a-z]+s\b)"), _english_year),
        (re.compile(r"\b(?:No\.|no\.|Nr\.|#) ?(?=\d)"), lambda _: "number "),
    )  # fmt: skip


def _english_year(match: re.Match[str]) -> str:
    value = int(match[2])
    if not _LEAST_YEAR <= value <= _MOST_YEAR:
        return match[0]
    return f"{match[1]} {numbers.year(value, 'en')}"


def _decade(match: re.Match[str]) -> str:
    said = numbers.year(int(match[1]), "en")
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"


def portuguese() -> tuple[Rule, ...]:
    """Return the rules for times, dates and ordinals in Portuguese (Brazil)."""
    months = "|".join(pt.WORDS.months)

    def clock(match: re.Match[str]) -> str:
        hour, minute = int(match[1]), int(match[2] or 0)
        if hour > 24 or minute > 59:  # noqa: PLR2004 - a score or a ratio
            return f"{numbers.cardinal(hour, 'pt')} {numbers.cardinal(minute, 'pt')}"
        if hour in (0, _NOON, 24) and not match[0].endswith("min"):
            said = "meio-dia" if hour == _NOON else "meia-noite"
            return f"{said} e {numbers.cardinal(minute, 'pt')}" if minute else said
        said = numbers.cardinal(hour, "pt", feminine=True)
        if match[0].endswith("min"):
            hours = "hora" if hour == 1 else "horas"
            return f"{said} {hours} e {numbers.cardinal(minute, 'pt')} minutos"
        if minute:
            return f"{said} e {numbers.cardinal(minute, 'pt')}"
        return f"{said} {'hora' if hour == 1 else 'horas'}"

    def date(day: int, month: int, year: str | None) -> str:
        first = "primeiro" if day == 1 else numbers.cardinal(day, "pt")
        said = f"{first} de {pt.WORDS.months[month - 1]}"
        return f"{said} de {numbers.year(int(year), 'pt')}" if year else said

    def iso(match: re.Match[str]) -> str:
        return _if_date(match, match[2], match[3], lambda m, d: date(d, m, match[1]))

    def slashes(match: re.Match[str]) -> str:
        return _if_date(match, match[2], match[1], lambda m, d: date(d, m, match[3]))

    def ordinal(match: re.Match[str]) -> str:
        return numbers.ordinal(int(match[1]), "pt", feminine=match[2] in "ªa")

    def century(match: re.Match[str]) -> str:
        value = numbers.roman(match[2])
        first = numbers.ordinal(value, "pt") if value <= 10 else numbers.cardinal(value, "pt")  # noqa: PLR2004
        return f"{match[1]} {first}"

    return (
        (re.compile(rf"{numbers.START}(\d{{1,2}}) ?h ?(\d\d)?(?: ?min)?{numbers.END}"), clock),
        (re.compile(rf"{numbers.START}(\d{{1,2}}):(\d\d)(?::\d\d)?(?: ?h)?{numbers.END}"), clock),
        (re.compile(r"\b[àÀ]s (?=meio-dia)"), lambda _: "ao "),
        (re.compile(r"\b[àÀ]s (?=meia-noite)"), lambda _: "à "),
        (re.compile(rf"{numbers.START}(\d{{4}})-(\d\d)-(\d\d){numbers.END}"), iso),
        (re.compile(rf"{numbers.START}(\d{{1,2}})/(\d{{1,2}})/(\d{{4}}){numbers.END}"), slashes),
        (re.compile(rf"{numbers.START}1[º°]? de (?={months})"), lambda _: "primeiro de "),
        (re.compile(r"\b[nN]\.?[º°] ?(?=\d)"), lambda _: "número "),
        (re.compile(rf"{numbers.START}(\d{{1,4}})\.?([ºª])(?![CF]\b)"), ordinal),
        (re.compile(r"\b([Ss]éculos?) ([IVX]+)\b"), century),
    )


def _if_date(
    match: re.Match[str], month: int | str, day: int | str, say: Callable[[int, int], str]
) -> str:
    month, day = int(month), int(day)
    return say(month, day) if 1 <= month <= 12 and 1 <= day <= 31 else match[0]  # noqa: PLR2004
