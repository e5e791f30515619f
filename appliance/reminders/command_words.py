"""The words of the commands about reminders, in English and Portuguese.

All patterns are matched against a sentence without its fillers ("Luna, please ...") and without
punctuation at its ends. The group ``which`` names a reminder, ``kind`` is a noun for it, ``when``
is a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["reminder", "timer", "alarm", ""]
"""Empty: the sentence did not say."""


@dataclass(frozen=True)
class CommandWords:
    """What people say, by command; each pattern is searched as it is anchored."""

    never: Sequence[re.Pattern[str]]
    """Sounds like a command about reminders and is none."""
    cancel_all: Sequence[re.Pattern[str]]
    time_left: Sequence[re.Pattern[str]]
    list_: Sequence[re.Pattern[str]]
    extend: Sequence[re.Pattern[str]]
    snooze: Sequence[re.Pattern[str]]
    done: Sequence[re.Pattern[str]]
    change: Sequence[re.Pattern[str]]
    cancel: Sequence[re.Pattern[str]]
    add: Sequence[re.Pattern[str]]
    ringing_snooze: Sequence[re.Pattern[str]]
    """Means "later" only while something rings; likewise the next two."""
    ringing_done: Sequence[re.Pattern[str]]
    kinds: Mapping[str, Kind]
    """From a noun to the kind."""
    vague: Sequence[re.Pattern[str]]
    """Asks for a reminder only when a time is named: "remind me of the rules"."""
    at: str
    """What makes the end of "move it to ten" a time of its own."""
    goal: re.Pattern[str]
    """What opens the new time in "change it to ten minutes"."""
    later: str
    """What makes "ten minutes" a time of its own."""
    article: re.Pattern[str]


def patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    """Return *sources* compiled; a group's name may come again, then it gets a number."""
    return tuple(re.compile(_numbered(source), re.IGNORECASE) for source in sources)


def _numbered(pattern: str) -> str:
    counts: Counter[str] = Counter()

    def named(match: re.Match[str]) -> str:
        counts[match[1]] += 1
        return f"(?P<{match[1]}{counts[match[1]]}>"

    return re.sub(r"\(\?P<([a-z]+)>", named, pattern)


def group(match: re.Match[str], name: str) -> str:
    """Return what the group *name* matched, wherever in the pattern; empty when it did not."""
    groups = match.groupdict()
    return next((v for key, v in groups.items() if key.rstrip("0123456789") == name and v), "")
