"""Lengths of time in words, by the vocabulary of a language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from appliance.reminders.spoken_time.pieces import Span

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_DAY = 86_400
_MONTH_DAYS = 30
"""Of a part of a month only ("a month and a half")."""
_NUMBER = r"\d{1,9}(?:[.,]\d{1,3})?"


@dataclass(frozen=True)
class SpanGrammar:
    """How a language says a length of time: ``two hours and a half and 10 seconds``."""

    amounts: Mapping[str, Fraction]
    """Amounts that are not digits: "half an", "a couple of"; the longer before the shorter."""
    halves: Mapping[str, Fraction]
    """What may follow an amount or a unit: "and a half"."""
    units: Mapping[str, str]
    """From a regular expression to the unit."""
    joined: str
    """What may stand between two parts, as a regular expression."""
    whole: Mapping[str, Fraction]
    """Amounts of hours that need no unit: "hora e meia"."""

    @property
    def _item(self) -> str:
        halves, units = "|".join(self.halves), "|".join(self.units)
        amount = f"(?:{'|'.join(self.amounts)}|{_NUMBER})(?: (?:{halves}))?"
        whole = "".join(f"{one}|" for one in self.whole)
        return rf"(?:{whole}\d{{1,2}}h\d{{2}}|\d{{1,2}}h|{amount} (?:{units})(?: (?:{halves}))?)\b"

    @property
    def pattern(self) -> str:
        """A regular expression, without groups, for a length."""
        bare = rf"(?:(?:{self.joined})\d{{1,2}}(?![^ ])(?! (?:{'|'.join(self.units)})))?"
        return f"(?:{self._item}(?:(?:{self.joined}){self._item})*{bare})"

    @cached_property
    def _parts(self) -> re.Pattern[str]:
        halves, units = "|".join(self.halves), "|".join(self.units)
        whole = "|".join(self.whole) or "(?!)"
        return re.compile(
            rf"\b(?:(?P<whole>{whole})|(?P<h>\d{{1,2}})h(?P<min>\d{{2}})?"
            rf"|(?:(?P<word>{'|'.join(self.amounts)})|(?P<amount>{_NUMBER}))"
            rf"(?: (?P<more>{halves}))?(?: (?P<unit>{units})(?: (?P<tail>{halves}))?)?)(?![^ ])"
        )

    def read(self, text: str) -> Span:
        """Return the length that *text*, which :attr:`pattern` matched, says."""
        total, last = Span(), ""
        for match in self._parts.finditer(text):
            if match["whole"]:
                total += _span(self.whole[match["whole"]], "hour")
            elif match["h"]:
                total += Span(seconds=int(match["h"]) * 3600 + int(match["min"] or 0) * 60)
                last = "hour"
            else:
                if not match["unit"] and not match["amount"]:
                    continue  # an article
                amount = self.amounts[match["word"]] if match["word"] else _number(match["amount"])
                amount += self.halves.get(match["more"] or match["tail"] or "", Fraction(0))
                last = self._unit(match["unit"]) if match["unit"] else _smaller(last)
                total += _span(amount, last)
        return total

    def _unit(self, written: str) -> str:
        return next(name for unit, name in self.units.items() if re.fullmatch(unit, written))


def _number(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "."))


def _smaller(unit: str) -> str:
    """Return the unit left out in "two hours and fifteen"."""
    return {"minute": "second"}.get(unit, "minute")


def _span(amount: Fraction, unit: str) -> Span:
    if unit in ("month", "year"):
        months = amount * (12 if unit == "year" else 1)
        return Span(months=int(months), days=round(months % 1 * _MONTH_DAYS))
    seconds = round(amount * _SECONDS[unit])
    if unit in ("day", "week"):
        return Span(days=seconds // _DAY, seconds=seconds % _DAY)
    return Span(seconds=seconds)
