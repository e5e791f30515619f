"""Names and numbers replaced by placeholders on the way out, and restored on the way back.

``Call Ana at 11 91234-5678`` leaves as ``Call [NAME_1] at [PHONE_1]``. Replaced are: what the
owner lists (case, accents and kinds of blanks ignored, whole words), e-mail addresses, payment
cards (by their check digit), Brazilian taxpayer numbers and phone numbers. Pictures leave as
they are. The table lives as long as one request and is kept nowhere.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from appliance.chat import ChatMessage

_CARD = r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])"  # ISO/IEC 7812: at most 19 digits
_EMAIL = r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
_TAX_ID = r"(?<![0-9])[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}(?![0-9])"  # CPF
_PHONE = "|".join(
    (
        r"\+[0-9](?:[ ().-]{0,3}[0-9]){7,14}(?![0-9])",  # international, E.164: 15 digits
        r"\([0-9]{2,4}\) ?[0-9]{3,5}[ .-]?[0-9]{4}(?![0-9])",
        r"(?<![0-9])[0-9]{2,4}[ .-][0-9]{3,5}[ .-][0-9]{4}(?![0-9])",
        r"(?<![0-9])[0-9]{3,5}-[0-9]{4}(?![0-9])",
        r"(?<![0-9])[0-9]{10,15}(?![0-9])",  # without separators: area code and number
    )
)
_YEARS = re.compile(r"(1[0-9]|20)[0-9]{2}-(1[0-9]|20)[0-9]{2}")
_BETWEEN_DIGITS = r"[ ./()-]{0,3}"
_BLANKS = r"\s+"


def luhn(digits: str) -> bool:
    """Return whether the check digit of *digits* is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value  # noqa: PLR2004
    return total % 10 == 0


def _is_card(text: str) -> bool:
    digits = re.sub("[ -]", "", text)
    return luhn(digits) and len(set(digits)) > 1


def _is_phone(text: str) -> bool:
    return not _YEARS.fullmatch(text)


class Redactor:
    """Hides what the owner lists and what looks like private numbers."""

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._rules: list[tuple[str, re.Pattern[str], Callable[[str], bool]]] = [
            ("EMAIL", re.compile(_EMAIL), bool),
            ("CARD", re.compile(_CARD), _is_card),
            ("ID", re.compile(_TAX_ID), bool),
            ("PHONE", re.compile(_PHONE), _is_phone),
        ]
        # The longest first: "Ana Maria" before "Ana".
        words = sorted({word.strip() for word in listed if word.strip()}, key=len, reverse=True)
        if words:
            pattern = re.compile("|".join(map(_listed_pattern, words)), re.IGNORECASE)
            # First, but after e-mail addresses: a name may be a part of one.
            self._rules.insert(1, ("NAME", pattern, bool))

    def hide(self, messages: Sequence[ChatMessage]) -> Redacted:
        """Return *messages* with placeholders, and the way back."""
        return Redacted(self._rules, messages)


class Redacted:
    """The messages of one request as they may leave, and what their placeholders stand for."""

    def __init__(
        self,
        rules: Sequence[tuple[str, re.Pattern[str], Callable[[str], bool]]],
        messages: Sequence[ChatMessage],
    ) -> None:
        self._rules = rules
        self._placeholders: dict[str, str] = {}
        """By what they replace."""
        self._originals: dict[str, str] = {}
        """By their placeholder."""
        self._counts: dict[str, int] = {}
        # A placeholder that somebody wrote himself is not ours to replace.
        self._taken = json.dumps([dict(m) for m in messages], ensure_ascii=False).upper()
        self.messages = [self._message(message) for message in messages]

    @property
    def hidden(self) -> bool:
        """Return whether anything was replaced."""
        return bool(self._originals)

    def text(self, text: str) -> str:
        """Return *text* with placeholders."""
        pieces = [(text, False)]
        for kind, pattern, holds in self._rules:
            pieces = [
                piece
                for plain, done in pieces
                for piece in ([(plain, done)] if done else self._split(plain, kind, pattern, holds))
            ]
        return "".join(piece for piece, _ in pieces)

    def restore(self, text: str) -> str:
        """Return *text* with the originals instead of the placeholders."""
        if not self._originals:
            return text
        return _PLACEHOLDER.sub(lambda m: self._originals.get(m.group().upper(), m.group()), text)

    def restore_json(self, text: str) -> str:
        """Do the same to the strings within JSON *text*, such as the arguments of a tool."""
        return json.dumps(self._restore_value(json.loads(text)), ensure_ascii=False)

    def could_begin(self, text: str) -> bool:
        """Return whether *text* is the beginning, not the whole, of a placeholder in use."""
        wanted = text.upper()
        return any(p.startswith(wanted) and p != wanted for p in self._originals)

    def _restore_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.restore(value)
        if isinstance(value, list):
            return [self._restore_value(item) for item in value]
        if isinstance(value, dict):
            return {key: self._restore_value(item) for key, item in value.items()}
        return value

    def _message(self, message: ChatMessage) -> ChatMessage:
        changed = dict(message)
        content = message.get("content")
        if isinstance(content, str):
            changed["content"] = self.text(content)
        elif isinstance(content, list):
            changed["content"] = [
                {**part, "text": self.text(part["text"])} if "text" in part else part
                for part in content
            ]
        if message.get("tool_calls"):
            changed["tool_calls"] = [self._call(call) for call in message["tool_calls"]]
        return changed

    def _call(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        function = call["function"]
        return {**call, "function": {**function, "arguments": self.text(function["arguments"])}}

    def _split(
        self, text: str, kind: str, pattern: re.Pattern[str], holds: Callable[[str], bool]
    ) -> list[tuple[str, bool]]:
        """Cut *text* at what *pattern* finds; the second value marks placeholders."""
        pieces, end = [], 0
        for match in pattern.finditer(text):
            if holds(match.group()):
                pieces += [
                    (text[end : match.start()], False),
                    (self._placeholder(kind, match.group()), True),
                ]
                end = match.end()
        return [*pieces, (text[end:], False)]

    def _placeholder(self, kind: str, original: str) -> str:
        if original not in self._placeholders:
            while True:
                self._counts[kind] = self._counts.get(kind, 0) + 1
                placeholder = f"[{kind}_{self._counts[kind]}]"
                if placeholder not in self._taken:
                    break
            self._placeholders[original] = placeholder
            self._originals[placeholder] = original
        return self._placeholders[original]


_PLACEHOLDER = re.compile(r"\[(?:EMAIL|CARD|ID|PHONE|NAME)_[0-9]{1,6}\]", re.IGNORECASE)
_LONGEST = len("[EMAIL_123456]")


class Restorer:
    """Restores a text that comes in pieces: a placeholder may be split anywhere."""

    def __init__(self, redacted: Redacted) -> None:
        self._redacted = redacted
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what can be said for certain so far."""
        text = self._held + piece
        cut = text.rfind("[", max(0, len(text) - _LONGEST))
        if cut < 0 or not self._redacted.could_begin(text[cut:]):
            cut = len(text)
        self._held = text[cut:]
        return self._redacted.restore(text[:cut])

    def close(self) -> str:
        """Return what was held back."""
        held, self._held = self._held, ""
        return held


def _listed_pattern(word: str) -> str:
    """Return a pattern for *word*: whole, without regard to accents, blanks or separators."""
    digits = re.sub(r"[^0-9]", "", word)
    if digits and not re.search(r"[^0-9+ ./()-]", word):
        return rf"(?<![0-9]){_BETWEEN_DIGITS.join(digits)}(?![0-9])"
    parts = ("".join(map(_letter_pattern, part)) for part in word.split())
    return rf"(?<!\w){_BLANKS.join(parts)}(?!\w)"


def _letter_pattern(letter: str) -> str:
    """Return a pattern for *letter* with any accent, written as one character or as two."""
    base = unicodedata.normalize("NFD", letter)[0].lower()
    if unicodedata.combining(base):
        return ""  # it belongs to the letter before
    if not base.isalpha():
        return re.escape(letter)
    return f"[{base}{_accented().get(base, '')}][\u0300-\u036f]*"


@cache
def _accented() -> dict[str, str]:
    """Return the accented Latin letters by their base letter."""
    found: dict[str, str] = {}
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        parts = unicodedata.normalize("NFD", chr(code))
        if len(parts) > 1:
            base = parts[0].lower()
            found[base] = found.get(base, "") + chr(code)
    return found
