"""What Luna says about reminders: always built from stored records, never from a model's words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from appliance.reminders.reading_back import (
    number_word,
    say_clock,
    say_length,
    say_moment,
    say_rule,
    turned,
)
from appliance.reminders.records import Reminder
from appliance.reminders.schedule import Announce, due_at, is_missed, pending, zone_of
from appliance.reminders.wall_clock import Now
from appliance.texts import text

MOST_READ = 8
"""Reminders that are read out one by one at most."""


def name_of(reminder: Reminder, language: str) -> str:
    """Return how a reminder is called: "call your mother", "the pasta timer", "the alarm"."""
    said = turned(reminder.text, language)
    if reminder.kind == "reminder":
        return said
    key = f"reminder.name.{reminder.kind}"
    return text(f"{key}_named", language, text=said) if said else text(key, language)


def when(reminder: Reminder, now: Now, language: str) -> str:
    """Return when it comes: "tomorrow, Tuesday, at nine", "in ten minutes", "every day at ..."."""
    here = local_now(now, reminder)
    ring = reminder.ring
    if (ring and ring.snoozed) or (reminder.countdown and not ring and not reminder.missed):
        countdown = ring.again if ring else reminder.countdown
        left = countdown.boot_due - now.boot if countdown else 0.0
        return text("time.in", language, length=say_length(_rounded(left), language))
    if reminder.rule and (first := next(pending(reminder), None)):
        return say_rule(reminder.rule, first, here, language)
    due = due_at(reminder, now)
    local = due.astimezone(zone_of(reminder.zone)).replace(tzinfo=None) if due else None
    local = local or reminder.missed_until or reminder.due
    return say_moment(local, here, language) if local else text("reminder.some_time", language)


def _rounded(seconds: float) -> int:
    """Return *seconds* as they are said: beyond some minutes nobody counts them."""
    whole = max(0, round(seconds))
    return whole if whole < 300 else round(whole / 60) * 60  # noqa: PLR2004


def local_now(now: Now, reminder: Reminder) -> datetime:
    """Return the wall clock where *reminder* belongs."""
    return now.wall.astimezone(zone_of(reminder.zone)).replace(tzinfo=None)


def left_s(reminder: Reminder, now: Now) -> float | None:
    """Return the seconds until it comes; None when nothing comes."""
    due = due_at(reminder, now)
    return None if due is None else (due - now.wall) / timedelta(seconds=1)


def item(reminder: Reminder, now: Now, language: str) -> str:
    """Return one reminder of a list: what, and when."""
    name = name_of(reminder, language)
    if is_missed(reminder):
        said = text("reminder.item_missed", language, when=when(reminder, now, language))
    elif reminder.ring and not reminder.ring.snoozed:
        said = text("reminder.item_ringing", language)
    else:
        said = when(reminder, now, language)
    return f"{name}, {said}"


def listed(reminders: Sequence[Reminder], now: Now, language: str) -> str:
    """Return "call the doctor, tomorrow at nine; feed the cat, every day at seven"."""
    items = [item(one, now, language) for one in reminders[:MOST_READ]]
    if (more := len(reminders) - MOST_READ) > 0:
        items.append(text("reminder.more", language, count=number_word(more, language)))
    return "; ".join(items)


def names(reminders: Sequence[Reminder], language: str) -> str:
    """Return only how they are called."""
    return "; ".join(name_of(one, language) for one in reminders[:MOST_READ])


def receipt(change: str, reminder: Reminder, now: Now, language: str) -> str:
    """Return what is said once the store has acknowledged *change* of *reminder*.

    *change* is ``added``, ``changed``, ``snoozed``, ``done`` or ``cancelled``.
    """
    name, said = name_of(reminder, language), ""
    if change in ("added", "changed", "snoozed") or (change == "done" and reminder.open):
        said = when(reminder, now, language)
    key = f"reminder.{change}"
    if change == "added":
        key += f".{reminder.kind}"
    elif change == "done" and reminder.open:
        key += "_goes_on"
    return sentence(text(key, language, name=name, when=said))


def sentence(said: str) -> str:
    """Return *said* with a capital and an end."""
    said = said[:1].upper() + said[1:]
    return said if said.endswith((".", "?", "!")) else f"{said}."


# --- announcements ---------------------------------------------------------------------------


def announcement(due: Sequence[tuple[Reminder, Announce]], now: Now, language: str) -> str:
    """Return the one text in which all of *due* (the soonest first) are announced."""
    said = [sentence(_announced(reminder, announce, now, language)) for reminder, announce in due]
    late = [announce for _, announce in due if announce.late]
    if len(due) == 1:
        return said[0]
    key = "reminder.several_late" if len(late) == len(due) else "reminder.several"
    return " ".join((text(key, language, count=number_word(len(due), language)), *said))


def _announced(reminder: Reminder, announce: Announce, now: Now, language: str) -> str:
    name = name_of(reminder, language)
    local = announce.local
    if local is None and announce.due is not None:
        local = announce.due.astimezone(zone_of(reminder.zone)).replace(tzinfo=None)
    key = f"reminder.say.{reminder.kind}"
    if reminder.kind == "alarm" and local:
        named = "_named" if reminder.text else ""
        clock = say_clock(local.time(), language)
        said = text(f"{key}_at{named}", language, clock=clock, text=turned(reminder.text, language))
    else:
        said = text(key, language, name=name)
    if announce.late and local and reminder.zone:
        moment = say_moment(local, local_now(now, reminder), language)
        said = text("reminder.late", language, what=said, when=moment)
    elif announce.late:
        said = text("reminder.late_somehow", language, what=said)
    if announce.count > 1:
        count = number_word(announce.count, language, feminine=True)
        said = text("reminder.times", language, what=said, count=count)
    return said


def missed_text(reminders: Sequence[Reminder], now: Now, language: str) -> str:
    """Return what is said of reminders that came while they could not be announced."""
    items = []
    for one in reminders[:MOST_READ]:
        local = one.missed_until
        when_ = say_moment(local, local_now(now, one), language) if local else ""
        name = name_of(one, language)
        items.append(f"{name}, {when_}" if when_ else name)
    return sentence(text("reminder.missed", language, items="; ".join(items)))
