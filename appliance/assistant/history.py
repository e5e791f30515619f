"""The conversation of this session, in memory only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MAX_CHARACTERS = 60_000
"""Far more than any small model reads; the worker cuts by tokens (see :mod:`appliance.chat`)."""

CUT_OFF = "—"
"""Stands where an answer was cut off."""
TYPICAL_CHARS_PER_S = 15
"""Of a voice, where nothing else is known of its speed."""


class History:
    """Questions and answers, oldest first, bounded in memory.

    A question stands here only once it is answered (or was cut off): what is asked on a
    speculation, and what failed, leaves no trace.
    """

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._max_characters = max_characters
        self._exchanges: list[tuple[str, str]] = []

    def add(self, question: str, answer: str) -> None:
        """Add a question with its whole answer."""
        self._append(question, answer)

    def add_interrupted(self, question: str, heard: str) -> None:
        """Add a question whose answer was cut off when *heard* had been said."""
        heard = heard.strip()
        self._append(question, f"{heard} {CUT_OFF}" if heard else CUT_OFF)

    def clear(self) -> None:
        """Forget the conversation."""
        self._exchanges.clear()

    def messages(self, system_prompt: str, question: str = "") -> tuple[dict[str, Any], ...]:
        """Return the conversation in OpenAI's form, with *question* as its last message."""
        messages = [{"role": "system", "content": system_prompt}]
        for asked, answered in self._exchanges:
            messages.append({"role": "user", "content": asked})
            messages.append({"role": "assistant", "content": answered})
        if question:
            messages.append({"role": "user", "content": question})
        return tuple(messages)

    def _append(self, question: str, answer: str) -> None:
        self._exchanges.append((question, answer))
        size = sum(len(asked) + len(answered) for asked, answered in self._exchanges)
        if size > self._max_characters:
            # Half at once, so that the beginning of the prompt, and with it the model's cache,
            # stays the same for many turns.
            while len(self._exchanges) > 1 and size > self._max_characters // 2:
                asked, answered = self._exchanges.pop(0)
                size -= len(asked) + len(answered)


def heard_text(
    clauses: Sequence[tuple[str, int]], clause: int, clause_samples: int, rate: int = 0
) -> str:
    """Return the words that were played before a reply was cut off.

    *clauses* are the texts with their lengths in samples (0: not known yet); *clause*, counting
    from 1, is the last of which something was played, and *clause_samples* how much of it, at
    *rate* per second. Within a clause time is taken as proportional to characters, and a word
    that was not played to its end does not count.
    """
    whole = [text for text, _ in clauses[: max(clause - 1, 0)]]
    if not 1 <= clause <= len(clauses):
        return _join(whole)
    text, samples = clauses[clause - 1]
    samples = samples or _estimated_samples(text, clauses, rate)
    if samples <= 0:
        return _join(whole)
    return _join([*whole, _whole_words(text, len(text) * clause_samples // samples)])


def _estimated_samples(text: str, clauses: Sequence[tuple[str, int]], rate: int) -> int:
    """Return how long *text* takes, from the other clauses or from a typical voice."""
    known = [(len(other), samples) for other, samples in clauses if other and samples]
    if known:
        characters = sum(length for length, _ in known)
        return len(text) * sum(samples for _, samples in known) // characters
    return int(len(text) * rate / TYPICAL_CHARS_PER_S)


def _whole_words(text: str, characters: int) -> str:
    if characters >= len(text):
        return text
    head = text[: max(characters, 0)]
    if text[characters].isspace():
        return head
    words = head.split()
    return " ".join(words[:-1]) if head and not head[-1].isspace() else head


def _join(parts: Sequence[str]) -> str:
    return " ".join(stripped for part in parts if (stripped := part.strip()))
