"""Cuts the model's stream of text into clauses that can be spoken one after the other.

The first clause comes as early as sense allows, because speech starts with it; the later ones
grow, because longer pieces sound better and by then there is something to play meanwhile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class _Size:
    """When a clause may end."""

    soft_words: int
    """At a comma, colon, semicolon or dash: with so many words or more."""
    most_words: int
    """Without any punctuation: with so many words, before a word that begins a new part."""


_SIZES = (_Size(3, 9), _Size(5, 14), _Size(12, 25))
"""Of the first clause, the second, and all others."""
_MIN_WORDS = 3
_MIN_CHARS = 12
"""A clause shorter than both is merged with the next."""
_MIN_HEAD_WORDS = 4
"""A clause cut without punctuation has at least so many words."""
_MAX_CHARS = 300
"""A clause is cut here whatever stands there: a voice's memory grows with the text."""

_OPENERS = frozenset(
    """
    and but or because which that who where when while with for from in on at by if so than
    during including after before between through without until since although though unless

    e mas ou porque que quem onde quando enquanto com para por em na nos nas pois desde durante
    até entre sobre sem após depois antes pela pelo embora caso
    """.split()  # noqa: SIM905 - words are read more easily than a list of strings
)
"""Words that begin a part of a sentence (English, Portuguese): a voice may breathe before them."""

_ABBREVIATIONS = frozenset(
    """
    mr mrs ms dr prof st jr etc vs approx dept inc ltd co corp fig vol gen col lt sgt rev hon

    sr sra srta srs dra profa av tel núm nº pág eng exmo exma cia ltda séc aprox obs
    """.split()  # noqa: SIM905 - words are read more easily than a list of strings
)
_FENCE_LENGTH = 3
_CLOSERS = "\"'\u201d\u2019»)]*_`"
_PAUSES = ":;,\u2013\u2014"
_QUOTES = "\"'\u201c\u2018«([*_"
_WORD = re.compile(r"[^\W\d_]+(?:[-'\u2019][^\W\d_]+)*")
_DOTTED = re.compile(r"[^\W\d]\.")
"""A dot inside, after a letter: ``e.g``, ``U.S``, ``example.com``; but not ``3.14``."""
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*\d{1,3}\.$")


class ClauseSplitter:
    """Takes text as it comes and returns clauses as soon as they are whole.

    What comes out, joined, is what went in up to white space; and where it is cut does not
    depend on how the text came in pieces.
    """

    def __init__(self) -> None:
        self._text = ""
        self._clauses = 0
        self._cutter = _Cutter(_SIZES[0])

    def feed(self, text: str) -> list[str]:
        """Take the next piece; return the clauses that it completed."""
        clauses: list[str] = []
        self._text += text
        if self._cutter.at_start:
            self._text = self._text.lstrip()
        while (end := self._cutter.find(self._text)) is not None:
            clauses += self._cut(end)
        return clauses

    def flush(self) -> list[str]:
        """The text is whole: return what is left of it."""
        return self._cut(len(self._text))

    def _cut(self, end: int) -> list[str]:
        clause, self._text = self._text[:end].strip(), self._text[end:].lstrip()
        if clause:
            self._clauses += 1
        self._cutter = _Cutter(_SIZES[min(self._clauses, len(_SIZES) - 1)])
        return [clause] if clause else []


class _Cutter:
    """Looks for the end of one clause, going on where it stopped for want of text."""

    def __init__(self, size: _Size) -> None:
        self._size = size
        self._at = 0
        self._word_starts: list[int] = []
        """Where each word of the clause begins; a word is what stands between white space."""
        self._split = 0
        """The last place that would do without punctuation."""
        self._backticks = 0
        self._in_code = False

    @property
    def at_start(self) -> bool:
        return self._at == 0

    def find(self, text: str) -> int | None:
        """Return where the clause ends in *text*, or None while that is open.

        Every decision needs the character after the place at most, and is taken from left to
        right: that is why the pieces in which the text came make no difference.
        """
        while self._at < len(text) - 1:
            self._follow_code(text[self._at])
            end = None if self._in_code else self._decide(text, self._at)
            self._at += 1
            if end is not None:
                return end
        # The last character decides only where what follows cannot matter.
        if self._at < len(text) and not self._in_code and self._ends_at_once(text, self._at):
            return self._at + 1
        return None

    def _follow_code(self, char: str) -> None:
        """Note where a code fence begins and ends: it is left whole, to be left out whole."""
        self._backticks = self._backticks + 1 if char == "`" else 0
        if self._backticks == _FENCE_LENGTH:
            self._in_code = not self._in_code

    def _decide(self, text: str, at: int) -> int | None:
        """Return the end of the clause if the character *at* and the next one tell it."""
        char, after = text[at], text[at + 1]
        if self._ends_at_once(text, at):
            return at + 1
        if after.isspace() and not char.isspace():
            end = at + 1
            if self._long_enough(text, end) and self._is_sentence_end(text, end):
                return end
            if char in _PAUSES and self._soft(text, end):
                return end
            return self._split_long(text, end)
        return None if at + 1 < _MAX_CHARS else self._hard_cut()

    def _ends_at_once(self, text: str, at: int) -> bool:
        """Return whether the clause ends after the character *at* whatever follows."""
        char, end = text[at], at + 1
        if char == "\n":
            return self._long_enough(text, end)
        if char in ",;" and self._soft(text, end):
            return _WORD.fullmatch(_last_word(text, at)) is not None
        return char == "—" and not text[at - 1 : at].isdigit() and self._soft(text, end)

    def _is_sentence_end(self, text: str, end: int) -> bool:
        bare = text[:end].rstrip(_CLOSERS)
        if not bare or bare[-1] not in ".!?":
            return False
        if bare[-1] in "!?":
            return True
        if bare.endswith(".."):
            return False
        word = _last_word(bare, len(bare) - 1).lstrip(_QUOTES).rstrip(".")
        if word.lower() in _ABBREVIATIONS or _DOTTED.search(word):
            return False
        if len(word) == 1 and word.isalpha() and word.isupper():
            return False
        return _LIST_NUMBER.search(bare) is None

    def _soft(self, text: str, end: int) -> bool:
        return self._long_enough(text, end) and (
            len(text[:end].split()) >= self._size.soft_words
            or (self._size.soft_words <= _MIN_WORDS and len(text[:end].strip()) >= _MIN_CHARS)
        )

    def _long_enough(self, text: str, end: int) -> bool:
        clause = text[:end].strip()
        return len(clause) >= _MIN_CHARS or len(clause.split()) >= _MIN_WORDS

    def _split_long(self, text: str, end: int) -> int | None:
        """A word has ended at *end*: cut a clause that has grown too long before an opener."""
        start = end - len(_last_word(text, end))
        if text[start:end].lower() in _OPENERS and len(self._word_starts) >= _MIN_HEAD_WORDS:
            self._split = start
        self._word_starts.append(start)
        too_long = len(self._word_starts) > self._size.most_words
        return self._split if too_long and self._split else None

    def _hard_cut(self) -> int:
        return self._split or (self._word_starts[-1] if len(self._word_starts) > 1 else _MAX_CHARS)


def _last_word(text: str, end: int) -> str:
    """Return what stands between the last white space before *end* and *end*."""
    start = end
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    return text[start:end]


_FENCE = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}\s+|[-*+•]\s+|>\s+|\|)", re.MULTILINE)
_EMPHASIS = re.compile(r"[*`~|]+|(?<!\w)_+|_+(?!\w)")
_PICTURES = re.compile(
    "[\U0001f000-\U0001faff\U00002190-\U000021ff\U00002300-\U000027bf\U00002900-\U00002bff"
    "\U0000fe00-\U0000fe0f\U0000200d\U000020e3\U000e0000-\U000e007f]"
)
_LINE_END = re.compile(r"([^\s.!?:;,])?[ \t]*\n\s*")


def for_speech(text: str) -> str:
    """Return *text* as a voice can say it: no markdown, no code, no pictures; may be empty."""
    text = _FENCE.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    text = _LINE_MARK.sub("", text)
    text = _PICTURES.sub("", _EMPHASIS.sub("", text))
    text = _LINE_END.sub(lambda end: f"{end[1]}. " if end[1] else " ", text.strip())
    text = " ".join(text.split())
    return text if any(char.isalnum() for char in text) else ""
