"""What is written, as it is said: numbers, times, dates, money, units and abbreviations in words.

:func:`for_the_ear` is the last step before synthesis. It takes a clause that
:func:`appliance.assistant.sentences.for_speech` has freed of markdown, code and pictures, and
keeps to that clause: one in, one out, so that what was heard can be told from its place. The
history keeps the clause as it was written.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal

from appliance.assistant import spoken_numbers as numbers
from appliance.assistant.spoken_dates import Rule, english, portuguese
from appliance.assistant.spoken_words import Words, en, pt

_WORDS: dict[str, Words] = {"en": en.WORDS, "pt": pt.WORDS}
_N = numbers.NUMBER
_MILLION = 1_000_000
_NOT_FEMININE = frozenset(
    """
    para pela pelas mas era eram cada contra cerca fora toda ainda agora nunca fica passa custa
    falta sobra nada vira desta nessa nesta dessa

    dias problemas temas sistemas programas mapas planetas poemas idiomas gramas quilogramas
    diplomas telegramas pijamas atletas motoristas artistas cinemas dia problema tema sistema
    programa mapa planeta poema idioma grama diploma cinema pijama
    """.split()  # noqa: SIM905 - words are read more easily than a list of strings
)
"""Portuguese words, and masculine nouns, whose ending looks feminine."""
_FEMININE = re.compile(r"\w*(?:as?|ções|ção|sões|são|dades?|gens?|vezes|vez|noites?|tardes?|mães?)")


def for_the_ear(text: str, language: str) -> str:
    """Return *text* as a voice shall read it, in ``en`` or ``pt`` (any other: unchanged)."""
    if language not in _WORDS:
        return text
    for pattern, say in _rules(language):
        text = pattern.sub(say, text)
    return " ".join(text.split())


@functools.cache
def _rules(language: str) -> tuple[Rule, ...]:
    """Return the rules of a language; each leaves words behind, which no later one touches."""
    words = _WORDS[language]
    own = english() if language == "en" else portuguese()
    return (*_addresses(words), *own, *_money(words, language), *_amounts(words, language),
            *_plain(words, language))  # fmt: skip


# --- addresses and abbreviations ----------------------------------------------------------------


def _addresses(words: Words) -> tuple[Rule, ...]:
    def email(match: re.Match[str]) -> str:
        return match[0].replace("@", f" {words.at} ").replace(".", f" {words.dot} ")

    return (
        (re.compile(r"(?:https?://|www\.)\S*[^\s.,;:!?)\"'»]"), lambda _: words.link),
        (re.compile(r"\b[\w+-]+(?:\.[\w+-]+)*@[\w-]+(?:\.[\w-]+)+"), email),
        _abbreviations(words),
        (re.compile(r"(?<=\w) & (?=\w)"), lambda _: " and " if words is en.WORDS else " e "),
    )


def _abbreviations(words: Words) -> Rule:
    longest = sorted(words.abbreviations, key=len, reverse=True)
    pattern = re.compile(
        rf"(?<![\w.])((?i:{'|'.join(map(re.escape, longest))}))\.(?=(\s+[A-ZÀ-Ý]|\s*$)?)"
    )
    by_lower = {short.lower(): long for short, long in words.abbreviations.items()}

    def say(match: re.Match[str]) -> str:
        short = match[1].lower()
        # Titles stand before a name; after the others a capital or the end ends the sentence.
        ends = bool(match[2] is not None) and short in _MAY_END
        return by_lower[short] + ("." if ends else "")

    return pattern, say


_MAY_END = frozenset({"etc", "jr", "a.m", "p.m", "a.c", "d.c"})


# --- amounts ------------------------------------------------------------------------------------


def _money(words: Words, language: str) -> tuple[Rule, ...]:
    signs = "|".join(re.escape(sign) for sign in words.currencies)
    scales = "|".join(words.scales)

    def say(match: re.Match[str]) -> str:
        sign, written, scale = match[1], match[2], match[3]
        value = numbers.parse(written, language)
        if value is None:
            return match[0]
        one, several = words.currencies[sign]
        feminine = sign in words.feminine_units
        if scale:
            of = words.of_currency if scale != "mil" else ""
            return " ".join(f"{numbers.spell(value, language)} {scale} {of} {several}".split())
        whole, cents = divmod(round(value * 100), 100)
        name = one if whole == 1 else several
        of = (
            f"{words.of_currency} " if whole and whole % _MILLION == 0 and words.of_currency else ""
        )
        said = f"{numbers.spell(Decimal(whole), language, feminine=feminine)} {of}{name}"
        if not cents:
            return said
        small = f"{numbers.cardinal(cents, language)} {words.cents[cents != 1]}"
        return f"{said} {words.and_cents} {small}" if whole else small

    return ((re.compile(rf"(?<!\w)({signs}) ?({_N})(?: ({scales})\b)?{numbers.END}"), say),)


def _amounts(words: Words, language: str) -> tuple[Rule, ...]:
    units = "|".join(re.escape(unit) for unit in sorted(words.units, key=len, reverse=True))

    def percent(match: re.Match[str]) -> str:
        value = numbers.parse(match[1], language)
        return match[0] if value is None else f"{numbers.spell(value, language)} {words.percent}"

    def unit(match: re.Match[str]) -> str:
        value = numbers.parse(match[1], language)
        if value is None:
            return match[0]
        singular = abs(value) == 1 if language == "en" else abs(value) < 2  # noqa: PLR2004
        return f"{numbers.spell(value, language)} {words.units[match[2]][0 if singular else 1]}"

    def span(match: re.Match[str]) -> str:
        if int(match[1]) >= int(match[2]):
            return match[0]
        return f"{match[1]} {words.to} {match[2]}"

    def phone(match: re.Match[str]) -> str:
        return ", ".join(numbers.digits(part, language) for part in re.findall(r"\d+", match[0]))

    fractions = "|".join(map(re.escape, words.fractions))
    signs = "".join(map(re.escape, words.signs))
    return (
        (
            re.compile(
                r"(?<![\w-])(?:\(?\d{2,3}\)? ?)?"
                rf"(?:\d{{4,5}}-\d{{4}}|\d{{3}}-\d{{3,4}}(?:-\d{{4}})?){numbers.END}"
            ),
            phone,
        ),
        (
            re.compile(
                rf"{numbers.START}(\d{{1,4}}) ?[-\u2013] ?(\d{{1,4}})(?=[\s%.,;!?)]|$){numbers.END}"
            ),
            span,
        ),
        (re.compile("(?<![\\w.,)-])[-\N{MINUS SIGN}](?=\\d)"), lambda _: f"{words.minus} "),
        (re.compile(rf"{numbers.START}({_N}) ?%(?!\w)"), percent),
        (re.compile(rf"{numbers.START}({_N}) ?({units})(?![\w/²³])"), unit),
        (re.compile(rf"(?<![\w/])({fractions})(?![\w/])"), lambda m: words.fractions[m[1]]),
        (re.compile(rf"(?<=[\w)]) ?([{signs}]) ?(?=[\w(])"), lambda m: f" {words.signs[m[1]]} "),
    )


# --- what is left: numbers by themselves ----------------------------------------------------------


def _plain(words: Words, language: str) -> tuple[Rule, ...]:
    def dotted(match: re.Match[str]) -> str:
        if numbers.parse(match[0], language) is not None:
            return match[0]  # groups of thousands
        parts = match[0].split(".")
        return f" {words.dot} ".join(numbers.cardinal(int(part), language) for part in parts)

    def plain(match: re.Match[str]) -> str:
        written = match[1]
        if written.isdigit() and (len(written) > numbers.MAX_DIGITS or _code_like(written)):
            return numbers.digits(written, language)
        value = numbers.parse(written, language)
        if value is None:
            return match[0]
        return numbers.spell(value, language, feminine=_feminine(match, language))

    return (
        (re.compile(rf"{numbers.START}\d{{1,3}}(?:\.\d{{1,3}}){{2,}}{numbers.END}"), dotted),
        (re.compile(rf"{numbers.START}({_N}){numbers.END}(?=( \w+)?)"), plain),
    )  # fmt: skip


def _code_like(written: str) -> bool:
    return len(written) > 1 and written[0] == "0"


def _feminine(match: re.Match[str], language: str) -> bool:
    """Return whether the noun behind a Portuguese number is feminine, by its ending."""
    noun = (match[2] or "").strip().lower()
    return (
        language == "pt"
        and noun not in _NOT_FEMININE
        and len(noun) > 2  # noqa: PLR2004 - articles and prepositions
        and _FEMININE.fullmatch(noun) is not None
    )
