"""What is left of a sentence when the time is taken out: the reminder's text."""

from __future__ import annotations

import re

EDGES = " \t\n,.;:!?…\"'“”-"


def cleaned(
    text: str,
    filler: re.Pattern[str],
    named: re.Pattern[str] | None,
    request: re.Pattern[str],
    closing: re.Pattern[str],
    article: re.Pattern[str] | None,
) -> str:
    """Return *text* without what only asks for a reminder.

    *filler* may come several times before the *request*, which comes once ("remind me to set an
    alarm" is about an alarm); *named* has a ``name`` ("a pasta timer"); *closing* ends the
    sentence; *article* is taken off a name.
    """
    text = without(text.strip(EDGES), filler)
    if named is not None and (match := named.match(text)):
        text = match["name"]
    else:
        text = without(request.sub("", text, count=1).strip(EDGES), closing)
    return article.sub("", text) if article is not None else text


def without(text: str, pattern: re.Pattern[str]) -> str:
    """Return *text* with *pattern* and marks at its ends taken off as often as they are there."""
    before = None
    while before != text:
        before = text
        text = pattern.sub("", text).strip(EDGES)
    return text
