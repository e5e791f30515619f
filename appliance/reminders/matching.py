"""Which reminder is meant by a few words: loosely, for speech recognition mishears names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from rapidfuzz import fuzz

from appliance.reminders.commands import Which
from appliance.reminders.reading_back import number_word
from appliance.reminders.records import Reminder
from appliance.reminders.sentences import item, name_of
from appliance.reminders.wall_clock import Now

ENOUGH = 78.0
"""Likeness (0 to 100) from which a reminder can be meant."""
MARGIN = 12.0
"""Others that are so much less alike than the best are not meant."""
_SHORT = 4
"""Words shorter than this are like too much."""
_SAID_AS_WORDS = 60


def chosen(
    which: Which, pool: Sequence[Reminder], now: Now, language: str, recent: int = 0
) -> list[Reminder]:
    """Return those of *pool* that *which* can mean: none, the one, or several to ask about.

    *recent* is the id of the one that was just spoken of.
    """
    if which.kind:
        pool = [one for one in pool if one.kind == which.kind]
    if which.last:
        return [max(pool, key=lambda one: one.id)] if pool else []
    if which.text:
        return alike(which.text, pool, now, language)
    return [one for one in pool if one.id == recent] or list(pool)


def alike(said: str, pool: Sequence[Reminder], now: Now, language: str) -> list[Reminder]:
    """Return those of *pool* whose text or time is like *said*, the most alike first."""
    words = plain(said, language)
    scores = {one.id: _score(words, one, now, language) for one in pool}
    best = max(scores.values(), default=0.0)
    if best < ENOUGH:
        return []
    meant = [one for one in pool if scores[one.id] >= max(ENOUGH, best - MARGIN)]
    return sorted(meant, key=lambda one: -scores[one.id])


def _score(words: str, one: Reminder, now: Now, language: str) -> float:
    names = {plain(one.text, language), plain(name_of(one, language), language)} - {""}
    whole = plain(item(one, now, language), language)
    score = max((fuzz.token_set_ratio(words, name) for name in names), default=0.0)
    # Words of the time ("the nine o'clock one") count as well, a little less than the name.
    score = max(score, fuzz.token_set_ratio(words, whole) - 5.0)
    if len(words) >= _SHORT:
        score = max(score, *(fuzz.partial_ratio(words, name) for name in names), 0.0)
    return score


def plain(text: str, language: str) -> str:
    """Return *text* in small letters without accents and marks, small numbers as words."""
    split = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(mark for mark in split if not unicodedata.combining(mark))

    def spelled(match: re.Match[str]) -> str:
        number = int(match[0])
        return number_word(number, language) if number < _SAID_AS_WORDS else match[0]

    worded = re.sub(r"\b\d{1,3}\b", spelled, bare)
    return " ".join(re.findall(r"\w+", worded))
