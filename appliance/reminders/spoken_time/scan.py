"""Finding the pieces of a spoken time in a sentence, by the rules of a language."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from appliance.reminders.spoken_time.pieces import (
    DAY_SECONDS,
    Ahead,
    Clock,
    Day,
    Every,
    Lasting,
    Lead,
    Loose,
    Part,
    Piece,
    Times,
)
from appliance.reminders.spoken_time.words import Sentence


@dataclass(frozen=True)
class Found:
    """A piece, and the words ``[first, end)`` that say it."""

    piece: Piece
    lead: Lead
    first: int
    end: int


@dataclass(frozen=True)
class Context:
    """What a rule may look at besides its own words."""

    match: re.Match[str]
    previous: Found | None
    """The piece that ends where this one begins; there may be a comma between them."""
    timer: bool
    """The sentence is about a timer: a length of time in it is the timer's."""
    alarm: bool
    """It is about a timer, an alarm or a reminder by name: "for seven" is a time."""

    def __getitem__(self, group: str) -> str:
        """Return what *group* matched; empty when it did not, or is not in the pattern."""
        return self.match.groupdict().get(group) or ""

    def has(self, group: str) -> bool:
        """Return whether *group*, which may match nothing but a place, took part."""
        return self.match.groupdict().get(group) is not None

    @property
    def lead(self) -> str:
        return self["lead"]


Build: TypeAlias = Callable[[Context], tuple[Lead, Sequence[Piece]] | None]
"""Makes the pieces of a match, or None when it only looked like a time."""


@dataclass(frozen=True)
class Rule:
    """A regular expression over the words' norms, and what it means."""

    pattern: re.Pattern[str]
    build: Build


@dataclass(frozen=True)
class Grammar:
    """A language."""

    rules: Sequence[Rule]
    timer: re.Pattern[str]
    alarm: re.Pattern[str]
    head: re.Pattern[str]
    """The words that ask for a reminder: a time that follows them is the reminder's."""
    clean: Callable[[str, bool], str]
    """Makes what is left of a sentence the reminder's text; the flag says it is a timer's."""
    filler: re.Pattern[str]
    """What may open any sentence: "Luna, please"."""
    wake: re.Pattern[str]
    """Said by who wants to be woken: five is in the morning then."""


def rule(pattern: str, build: Build) -> Rule:
    """Return a rule that matches whole words only."""
    return Rule(re.compile(f"(?:{pattern})(?![^ ])"), build)


def scan(sentence: Sentence, grammar: Grammar) -> list[Found]:
    """Return the pieces in *sentence* from left to right: at each word the longest that fits."""
    norm = sentence.norm
    timer = grammar.timer.search(norm) is not None
    alarm = timer or grammar.alarm.search(norm) is not None
    found: list[Found] = []
    number = 0
    while number < len(sentence.words):
        previous = found[-1] if found and _touches(sentence, found[-1].end, number) else None
        best: tuple[int, Lead, Sequence[Piece]] | None = None
        for one in grammar.rules:
            match = one.pattern.match(norm, sentence.starts[number])
            if match is None or (best is not None and match.end() <= best[0]):
                continue
            built = one.build(Context(match, previous, timer, alarm))
            if built is not None:
                best = (match.end(), *built)
        if best is None:
            number += 1
            continue
        position, lead, pieces = best
        end = sentence.index(position)
        found.extend(Found(piece, lead, number, end) for piece in pieces)
        number = end
    return found


def _touches(sentence: Sentence, end: int, number: int) -> bool:
    return all(word.norm == "," for word in sentence.words[end:number])


def choose(found: list[Found], sentence: Sentence, grammar: Grammar) -> list[Found]:
    """Return *found* without what must belong to the text, where two times were named.

    "Remind me at two that the meeting is at three": the time beside the request is the
    reminder's, else one that opens the sentence, else the last.
    """
    clusters: list[list[Found]] = []
    for one in _without_idle(found):
        last = clusters[-1][-1] if clusters else None
        if last and (last.first == one.first or _touches(sentence, last.end, one.first)):
            clusters[-1].append(one)
        else:
            clusters.append([one])
    heads = [sentence.index(match.end()) for match in grammar.head.finditer(sentence.norm)]

    def rank(cluster: list[Found]) -> tuple[int, int]:
        if any(_after(sentence, head, cluster[0].first) for head in heads):
            return (2, cluster[0].first)
        return (1 if _after(sentence, 0, cluster[0].first) else 0, cluster[0].first)

    kept: list[list[Found]] = []
    taken: set[str] = set()
    for cluster in sorted(clusters, key=rank, reverse=True):
        kinds = {kind for one in cluster if (kind := _kind(one))}
        if not kinds & taken:
            kept.append(cluster)
            taken |= kinds
    return sorted((one for cluster in kept for one in cluster), key=lambda one: one.first)


def _without_idle(found: list[Found]) -> list[Found]:
    """Return *found* without lengths and counts that no recurrence can have.

    In "every day at seven, meditate for twenty minutes" they belong to the text.
    """
    every = [one.piece for one in found if isinstance(one.piece, Every)]
    recurs = bool(every) or any(one.lead == "every" for one in found)
    step = every[0].seconds if every else DAY_SECONDS

    def idle(piece: Piece) -> bool:
        if isinstance(piece, Lasting):
            return not recurs or piece.span.at_least < 2 * step
        return isinstance(piece, Times) and not recurs

    return [one for one in found if not idle(one.piece)]


def _after(sentence: Sentence, place: int, number: int) -> bool:
    """Return whether word *number* stands at *place*, or after a comma or a filler there."""
    fillers = {",", "please", "again", "por", "favor", "luna", "so", "to"}
    return place <= number and all(w.norm in fillers for w in sentence.words[place:number])


def _kind(found: Found) -> str:
    """Return what a sentence can have only one of."""
    if found.lead not in ("", "every"):
        return ""
    match found.piece:
        case Clock() | Ahead():
            return "clock"
        case Every():
            return "every"
        case Part():
            return "part"
        case Loose():
            return "loose"
    return "day" if isinstance(found.piece, Day) else ""
