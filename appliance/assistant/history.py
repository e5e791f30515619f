"""The conversation of this session, in memory only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_CHARACTERS = 60_000
"""Far more than any small model reads; the worker cuts by tokens (see :mod:`appliance.chat`)."""

CUT_OFF = "(Your answer was cut off here.)"
"""Begins the message after an answer that was interrupted. It stands with the user's words because
a small model imitates its own: with a mark at the end of the answer, be it a dash, dots or a
remark, Qwen2.5 0.5B broke off 3 to 5 of the next 16 answers in the same way, with this none."""
TYPICAL_CHARS_PER_S = 15
"""Of a voice, where nothing else is known of its speed."""


@dataclass(frozen=True)
class _Exchange:
    question: str
    answer: str
    """What was said; of an answer that was interrupted, what was heard."""
    cut_off: bool = False

    def __len__(self) -> int:
        return len(self.question) + len(self.answer)


class History:
    """Questions and answers, oldest first, bounded in memory.

    A question stands here only once it is answered (or was cut off): what is asked on a
    speculation, and what failed, leaves no trace.
    """

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._max_characters = max_characters
        self._exchanges: list[_Exchange] = []

    def add(self, question: str, answer: str) -> None:
        """Add a question with its whole answer."""
        self._append(_Exchange(question, answer))

    def add_interrupted(self, question: str, heard: str) -> None:
        """Add a question whose answer was cut off when *heard* had been said."""
        self._append(_Exchange(question, heard.strip(), cut_off=True))

    def clear(self) -> None:
        """Forget the conversation."""
        self._exchanges.clear()

    def messages(self, system_prompt: str, question: str = "") -> tuple[dict[str, Any], ...]:
        """Return the conversation in OpenAI's form, with *question* as its last message."""
        messages = [{"role": "system", "content": system_prompt}]
        begun = ""
        for exchange in self._exchanges:
            begun += exchange.question
            if exchange.answer:
                messages.append({"role": "user", "content": begun})
                messages.append({"role": "assistant", "content": exchange.answer})
                begun = f"{CUT_OFF} " if exchange.cut_off else ""
            else:
                begun += "\n"  # nothing was heard: the next message goes on where this stopped
        if question:
            messages.append({"role": "user", "content": begun + question})
        return tuple(messages)

    def _append(self, exchange: _Exchange) -> None:
        self._exchanges.append(exchange)
        size = sum(map(len, self._exchanges))
        if size > self._max_characters:
            # Half at once, so that the beginning of the prompt, and with it the model's cache,
            # stays the same for many turns.
            while len(self._exchanges) > 1 and size > self._max_characters // 2:
                size -= len(self._exchanges.pop(0))


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
