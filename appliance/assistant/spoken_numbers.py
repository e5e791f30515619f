"""Numbers in words: reads them as a language writes them, and spells them out.

The spelling follows the Unicode CLDR's rules for number formatting (``unicode_rbnf``).
"""

from __future__ import annotations

import functools
import itertools
import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unicode_rbnf import RbnfEngine

NUMBER = r"\d+(?:[.,]\d+)*"
"""How a number without a sign may be written, in any language."""
START = r"(?<![\w.,/:-])"
"""A number begins here: it is no part of a name, a version or a path."""
END = r"(?![\w/]|[.,:-]\d)"
MAX_DIGITS = 15
"""A longer number is read digit by digit."""
_POINT = {"en": "point", "pt": "vírgula"}
_MINUS = {"en": "minus", "pt": "menos"}
_GROUP = {"en": ",", "pt": "."}
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


@functools.cache
def _engine(language: str) -> RbnfEngine:
    from unicode_rbnf import RbnfEngine

    return RbnfEngine.for_language(language)


def parse(written: str, language: str) -> Decimal | None:
    """Return the number *written* in digits, or None where it is no number (``1.2.3``).

    Groups of thousands and the decimal mark are taken as *language* uses them; a mark that
    cannot be meant so is taken the other way (``12.50`` in Portuguese).
    """
    marks = re.sub(r"\d", "", written)
    group = _GROUP[language]
    if len(set(marks)) == len(marks) == 1 and not (marks == group and _grouped(written, group)):
        return Decimal(written.replace(marks, "."))
    if len(set(marks)) == 2:  # noqa: PLR2004 - grouped, and with decimals: the last mark is theirs
        whole, decimals = re.split(r"[.,](?=\d*$)", written)
        return Decimal(f"{re.sub('[.,]', '', whole)}.{decimals}") if _one(marks[:-1]) else None
    return (
        Decimal(re.sub("[.,]", "", written)) if not marks or _grouped(written, marks[0]) else None
    )


def _one(marks: str) -> bool:
    return len(set(marks)) == 1


def _grouped(written: str, mark: str) -> bool:
    return re.fullmatch(rf"[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+", written) is not None


def spell(number: Decimal, language: str, *, feminine: bool = False) -> str:
    """Return *number* in words; decimals digit by digit, in Portuguese two of them as a number."""
    sign = f"{_MINUS[language]} " if number < 0 else ""
    whole, _, decimals = f"{abs(number):f}".partition(".")
    words = sign + (
        digits(whole, language)
        if len(whole) > MAX_DIGITS
        else cardinal(int(whole), language, feminine=feminine)
    )
    if not decimals:
        return words
    if language == "pt" and len(decimals) <= 2 and decimals[0] != "0":  # noqa: PLR2004
        return f"{words} {_POINT[language]} {cardinal(int(decimals), language)}"
    return f"{words} {_POINT[language]} {digits(decimals, language)}"


def digits(text: str, language: str) -> str:
    """Return the digits of *text*, one by one."""
    return " ".join(cardinal(int(char), language) for char in text if char.isdigit())


def ordinal(number: int, language: str, *, feminine: bool = False) -> str:
    """Return ``third`` for 3."""
    from unicode_rbnf import FormatPurpose

    found = _engine(language).format_number(number, FormatPurpose.ORDINAL)
    by_gender = found.text_by_ruleset
    wanted = f"spellout-ordinal-{'feminine' if feminine else 'masculine'}"
    return by_gender.get(wanted, found.text)


def year(number: int, language: str) -> str:
    """Return ``nineteen ninety-eight`` for 1998."""
    from unicode_rbnf import FormatPurpose

    return _engine(language).format_number(number, FormatPurpose.YEAR).text


def roman(numeral: str) -> int:
    """Return the value of a Roman numeral, e.g. 21 for ``XXI``."""
    values = [_ROMAN[char] for char in numeral] + [0]
    return sum(-a if a < b else a for a, b in itertools.pairwise(values))


def cardinal(number: int, language: str, *, feminine: bool = False) -> str:
    """Return ``three`` for 3."""
    found = _engine(language).format_number(number)
    wanted = f"spellout-cardinal-{'feminine' if feminine else 'masculine'}"
    return found.text_by_ruleset.get(wanted, found.text)
