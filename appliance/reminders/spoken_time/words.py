"""A sentence as words, with the spelled-out numbers made digits and every place remembered."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from text_to_num import find_numbers

_WORD = re.compile(
    r"""
      \d{4}-\d{2}-\d{2}                 # 2026-03-15
    | \d{1,2}/\d{1,2}(?:/\d{2,4})?      # 15/3, 3/15/2026
    | \d{1,2}\s?h\s?\d{2}(?!\d)(?:\s?min\b)?   # 19h30
    | \d{1,2}\s?h(?:rs?|s)?\b           # 19h, 19 hs
    | \d{1,2}[:.]\d{2}(?!\d)            # 7:30, 7.30
    | \d+(?:st|nd|rd|th)\b
    | \d+[ºª°]
    | \d{1,3}(?:[.,]\d{3})+(?!\d)        # 5,000
    | \d+(?:[.,]\d+)?
    | \b[ap]\.?\s?m\b\.?                # a.m.
    | [^\W\d_]+(?:['\u2019][^\W\d_]+)*
    | [,;:.!?…]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PUNCTUATION = ",;:.!?…"

_NOT_NUMBERS = {
    # "segunda" is Monday far more often than second; "second" is a unit of time as well.
    "pt": re.compile(
        r"(?:primeir|segund|terceir|quart|quint|sext|setim|oitav|non|decim)[oa]s?|quart[oa]s?"
    ),
    "en": re.compile(r"seconds?"),
}


@dataclass(frozen=True)
class Word:
    """A word or number; ``source[start:end]`` is how it was written."""

    norm: str
    start: int
    end: int


class _Token:
    """A word as text2num wants it."""

    def __init__(self, norm: str, language: str) -> None:
        self._norm = norm
        self._language = language

    def text(self) -> str:
        return self._norm

    def nt_separated(self, _previous: object) -> bool:
        return False

    def not_a_number_part(self) -> bool:
        if not self._norm[0].isalpha():
            return True
        return _NOT_NUMBERS[self._language].fullmatch(self._norm) is not None


@dataclass(frozen=True)
class Sentence:
    """What was said: as it was written, and as words.

    In :attr:`norm` all is lower case, without accents (but "à" and "às" keep theirs: they
    announce a time), numbers are digits, one blank stands between two words, and every mark of
    punctuation is a comma, a word of its own.
    """

    source: str
    words: tuple[Word, ...]

    @cached_property
    def norm(self) -> str:
        return " ".join(word.norm for word in self.words)

    @cached_property
    def starts(self) -> Sequence[int]:
        """Where each word begins in :attr:`norm`."""
        places, at = [], 0
        for word in self.words:
            places.append(at)
            at += len(word.norm) + 1
        return places

    def index(self, position: int) -> int:
        """Return the number of the first word at or after *position* of :attr:`norm`."""
        return bisect_left(self.starts, position)

    def left(self, used: set[int]) -> str:
        """Return the source without the words whose numbers are in *used*."""
        runs: list[str] = []
        first: int | None = None
        last = 0
        for number, word in enumerate([*self.words, Word(",", 0, 0)]):
            if number in used or number == len(self.words):
                if first is not None:
                    runs.append(self.source[self.words[first].start : self.words[last].end])
                first = None
            elif word.norm != ",":
                first, last = number if first is None else first, number
        return " ".join(runs)


def fold(word: str) -> str:
    """Return *word* in lower case and without accents, except in "à" and "às"."""
    lower = word.casefold().replace("\u2019", "'")
    if lower in {"à", "às"}:
        return lower
    apart = unicodedata.normalize("NFKD", lower.replace("º", "o").replace("ª", "a"))
    return "".join(char for char in apart if not unicodedata.combining(char))


def read(source: str, language: str) -> Sentence:
    """Return *source* as a sentence of *language* (``en`` or ``pt``)."""
    words = [Word(_norm(m[0]), m.start(), m.end()) for m in _WORD.finditer(source)]
    tokens = [_Token(word.norm, language) for word in words]
    for number in reversed(find_numbers(tokens, language, threshold=0.0)):
        first, last = words[number.start], words[number.end - 1]
        words[number.start : number.end] = [Word(number.text, first.start, last.end)]
    return Sentence(source, tuple(words))


def _norm(written: str) -> str:
    if written in _PUNCTUATION:
        return ","
    lower = fold(written)
    if re.fullmatch(r"[ap]\.?\s?m\.?", lower):
        return lower[0] + "m"
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", lower):
        return re.sub(r"\D", "", lower)
    if lower[0].isdigit():
        return re.sub(r"(?<=h)rs?$|(?<=h)s$|min$|\s", "", lower).replace("°", "o")
    return lower
