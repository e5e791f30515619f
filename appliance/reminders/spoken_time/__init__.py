"""Spoken times, in English and Portuguese: from a sentence to a time, a rule or a question.

    words.py       the sentence as words, its numbers as digits (text2num)
    en.py, pt.py   the rules of a language: which words are which piece of a time; what each
                   match means is told by en_pieces.py, pt_pieces.py and spans.py
    pieces.py      the pieces
    scan.py        finds the pieces, and leaves alone those that belong to the text
    leftover.py    what is left: the text
    reading.py     what the pieces say together
    moment.py      the next moment that is meant
    recurrence.py  the rule (RFC 5545) that is meant
    local_time.py  daylight saving

What is ambiguous is the next moment that is still to come: "at nine", said at ten in the morning,
is nine in the evening; "Monday at nine", said on a Monday at eleven, is in a week. On a day that
was named, six to eleven are in the morning and one to five in the afternoon.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from appliance.reminders.spoken_time import en, moment, pt, recurrence
from appliance.reminders.spoken_time.leftover import without
from appliance.reminders.spoken_time.local_time import existing, instant
from appliance.reminders.spoken_time.reading import combine
from appliance.reminders.spoken_time.result import Duration, Moment, Parsed, Question, Recurrence
from appliance.reminders.spoken_time.scan import choose, scan
from appliance.reminders.spoken_time.words import read

__all__ = [
    "MAX_LENGTH", "Duration", "Moment", "Parsed", "Question", "Recurrence", "existing", "instant",
    "parse", "without_fillers",
]  # fmt: skip

MAX_LENGTH = 500
"""Characters of a sentence: half a minute of speech."""
_GRAMMARS = {"en": en.GRAMMAR, "pt": pt.GRAMMAR}


def parse(text: str, now: datetime, zone: ZoneInfo, language: str) -> Parsed:
    """Return the time, rule or question in *text*, and what is left of it as its text.

    Args:
        text: a sentence as it was transcribed, with the words that ask for a reminder.
        now: when it was said; with a zone (any).
        zone: where it was said: times without a zone are this zone's.
        language: ``en`` or ``pt``; others are read as English.

    Every due time of the result is later than *now*.
    """
    if len(text) > MAX_LENGTH:
        return Question("too_long")
    if language not in _GRAMMARS:
        language = "en"
    grammar = _GRAMMARS[language]
    sentence = read(text, language)
    found = choose(scan(sentence, grammar), sentence, grammar)
    used = {number for one in found for number in range(one.first, one.end)}
    left = grammar.clean(sentence.left(used), grammar.timer.search(sentence.norm) is not None)
    reading = combine(found)
    if reading.empty:
        return Question("when", left)
    waking = grammar.wake.search(sentence.norm) is not None
    here = moment.Now(now, zone, waking)
    if reading.recurs:
        return recurrence.resolve(reading, left, here, language)
    return moment.resolve(reading, left, here, language)


def without_fillers(text: str, language: str) -> str:
    """Return *text* without what may open any sentence ("Luna, please") and marks at its ends."""
    return without(text.strip(), _GRAMMARS.get(language, en.GRAMMAR).filler)
