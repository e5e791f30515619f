"""The conversation that Luna is in: in memory for the turn, and handed on to be kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from appliance.chat import ChatMessage, with_summary
from appliance.clock import monotonic

MAX_CHARACTERS = 60_000
"""Far more than any small model reads; the worker cuts by tokens (see :mod:`appliance.chat`)."""

CUT_OFF = "(Your answer was cut off here.)"
"""Begins the message after an answer that was interrupted. It stands with the user's words because
a small model imitates its own: with a mark at the end of the answer, be it a dash, dots or a
remark, Qwen2.5 0.5B broke off 3 to 5 of the next 16 answers in the same way, with this none."""
TYPICAL_CHARS_PER_S = 15
"""Of a voice, where nothing else is known of its speed."""


@dataclass(frozen=True)
class Exchange:
    """A question, what came of it, and its answer."""

    question: str
    answer: str
    """What was said; of an answer that was interrupted, what was heard."""
    cut_off: bool = False
    steps: tuple[ChatMessage, ...] = ()
    """Tool calls and their results between the two, in OpenAI's form."""

    def __len__(self) -> int:
        steps = sum(len(str(step)) for step in self.steps)
        return len(self.question) + len(self.answer) + steps


class Keeper(Protocol):
    """Keeps the conversation beyond this process. None of its methods waits for the disk."""

    def keep(self, exchange: Exchange) -> None:
        """Keep one more exchange of the current conversation."""

    def begin(self) -> None:
        """Begin a new conversation."""

    def compact(self, summary: str, remaining: int) -> None:
        """Keep a summary that stands for all exchanges but the newest *remaining*."""


class History:
    """Questions and answers, oldest first, bounded in memory.

    A question stands here only once it is answered (or was cut off): what is asked on a
    speculation, and what failed, leaves no trace.
    """

    def __init__(
        self,
        max_characters: int = MAX_CHARACTERS,
        keeper: Keeper | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """*keeper* is told of everything that changes; without one nothing is kept."""
        self._max_characters = max_characters
        self._keeper = keeper
        self._clock = clock
        self._used_at = clock()
        self._exchanges: list[Exchange] = []
        self._summary = ""
        self.beginning = 0
        """Another number whenever the oldest exchange is another one."""

    @property
    def summary(self) -> str:
        """What stands for the exchanges that are gone; empty where none are."""
        return self._summary

    def __len__(self) -> int:
        """Return the number of exchanges."""
        return len(self._exchanges)

    def keep_with(self, keeper: Keeper) -> None:
        """Tell *keeper* of everything that changes from now on."""
        self._keeper = keeper

    def add(self, question: str, answer: str, steps: Sequence[ChatMessage] = ()) -> None:
        """Add a question with its whole answer, and the tool calls in between."""
        self._append(Exchange(question, answer, steps=tuple(steps)))

    def add_interrupted(self, question: str, heard: str) -> None:
        """Add a question whose answer was cut off when *heard* had been said."""
        self._append(Exchange(question, heard.strip(), cut_off=True))

    def clear(self) -> None:
        """Begin a new conversation: nothing of this one goes into a prompt any more."""
        self.restore(())
        if self._keeper is not None:
            self._keeper.begin()

    def end_rested(self, after_s: float) -> bool:
        """Begin a new conversation if this one has rested for *after_s*; return whether it did."""
        rested = bool(self._exchanges) and self._clock() - self._used_at >= after_s
        if rested:
            self.clear()
        return rested

    def restore(
        self, exchanges: Sequence[Exchange], summary: str = "", rested_s: float = 0.0
    ) -> None:
        """Go on with a conversation that was kept, *rested_s* after its last exchange.

        The keeper is not told.
        """
        self._used_at = self._clock() - rested_s
        self._exchanges = list(exchanges)
        self._summary = summary
        self.beginning += 1
        self._bound()

    def compact(self, summary: str, messages: int, beginning: int) -> bool:
        """Let *summary* stand for the oldest *messages*; return whether it could.

        Args:
            summary: made from the former summary and these messages.
            messages: how many of those that ``messages`` returned, the system prompt not
                counted. An exchange that they end within stays.
            beginning: what ``beginning`` was then. If it has changed, the summary tells of
                another conversation and is dropped.
        """
        if beginning != self.beginning:
            return False
        gone = 0
        while gone < len(self._exchanges) and messages > 0:
            messages -= len(self._messages(self._exchanges[gone : gone + 1]))
            gone += messages >= 0
        self._summary = summary
        self._drop(gone)
        if self._keeper is not None:
            self._keeper.compact(summary, len(self._exchanges))
        return True

    def messages(self, system_prompt: str, question: str = "") -> tuple[dict[str, Any], ...]:
        """Return the conversation in OpenAI's form, with *question* as its last message.

        The summary of what went before stands at the end of the system prompt.
        """
        system = {"role": "system", "content": with_summary(system_prompt, self._summary)}
        return (system, *self._messages(self._exchanges, question))

    @staticmethod
    def _messages(exchanges: Sequence[Exchange], question: str = "") -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = []
        begun = ""
        for exchange in exchanges:
            begun += exchange.question
            if exchange.answer:
                messages.append({"role": "user", "content": begun})
                messages.extend(dict(step) for step in exchange.steps)
                messages.append({"role": "assistant", "content": exchange.answer})
                begun = f"{CUT_OFF} " if exchange.cut_off else ""
            else:
                begun += "\n"  # nothing was heard: the next message goes on where this stopped
        if question:
            messages.append({"role": "user", "content": begun + question})
        return messages

    def _append(self, exchange: Exchange) -> None:
        self._used_at = self._clock()
        self._exchanges.append(exchange)
        self._bound()
        if self._keeper is not None:
            self._keeper.keep(exchange)

    def _bound(self) -> None:
        sizes = list(map(len, self._exchanges))
        if sum(sizes) > self._max_characters:
            # Half at once, so that the beginning of the prompt, and with it the model's cache,
            # stays the same for many turns.
            gone = 0
            while gone < len(sizes) - 1 and sum(sizes[gone:]) > self._max_characters // 2:
                gone += 1
            self._drop(gone)

    def _drop(self, count: int) -> None:
        if count:
            del self._exchanges[:count]
            self.beginning += 1


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
