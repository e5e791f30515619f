"""The report of the day: what is due today, what was missed, and what others add to it."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.reminders.book import Book
from appliance.reminders.schedule import due_at
from appliance.reminders.sentences import listed, missed_text
from appliance.texts import text


def daily_report(book: Book, language: str, more: Sequence[str] = ()) -> str:
    """Return the report as one text; *more* are sentences about usage, limits and health."""
    now = book.time()
    today = now.wall.astimezone(book.zone).date()
    due = [
        (at, one)
        for one in book.records.values()
        if one.open and (at := due_at(one, now)) and at.astimezone(book.zone).date() == today
    ]
    due.sort(key=lambda pair: (pair[0], pair[1].id))
    missed = [one for one in book.records.values() if one.open and one.missed]
    parts = [text("report.title", language)]
    if due:
        items = listed([one for _, one in due], now, language)
        parts.append(text("report.today", language, items=items))
    else:
        parts.append(text("report.none", language))
    if missed:
        parts.append(missed_text(missed, now, language))
    return " ".join([*parts, *more])
