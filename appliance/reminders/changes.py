"""What becomes of a record when something happens to it: pure functions from record to record."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from appliance.reminders.records import MAX_TEXT, Kind, Reminder, Ring
from appliance.reminders.schedule import (
    Announce,
    Miss,
    Policy,
    after,
    countdown_from,
    following,
    instant_of,
    pending,
    zone_of,
)
from appliance.reminders.spoken_time.local_time import existing
from appliance.reminders.spoken_time.result import Duration, Moment, Recurrence
from appliance.reminders.wall_clock import Now

When: TypeAlias = Moment | Duration | Recurrence
Change: TypeAlias = Callable[[Reminder], Reminder]


# --- what the owner does -----------------------------------------------------------------------


def new(
    kind: Kind, said: When, language: str, now: Now, zone: str, *, always: bool = False
) -> Reminder:
    """Return the record of what was asked for; it has no id before it is stored.

    *zone* is that of the box; a time of the day brings its own.
    """
    empty = Reminder(
        id=0,
        kind=kind,
        text=said.text[:MAX_TEXT],
        language=language,
        created=now.wall.isoformat(),
        zone=zone,
        always=always,
    )
    return _at(empty, said, now)


def _at(reminder: Reminder, said: When, now: Now) -> Reminder:
    fresh = replace(
        reminder,
        due=None,
        rule="",
        passed=0,
        start=None,
        spoken=(),
        seconds=0,
        countdown=None,
        missed=0,
        missed_until=None,
        skipped=0,
        ring=None,
        state="waiting",
        changed=now.wall.isoformat(),
    )
    match said:
        case Duration(seconds=seconds):
            return replace(fresh, seconds=seconds, countdown=countdown_from(now, seconds))
        case Moment(due=due, zone=zone):
            return replace(fresh, due=due, zone=zone)
        case Recurrence(rule=rule, first=first, zone=zone):
            return replace(fresh, due=first, start=first, zone=zone, rule=rule)


def moved(reminder: Reminder, said: When, now: Now) -> Reminder | None:
    """Return *reminder* at another time; None where one time cannot replace several a day.

    A rule keeps its days and gets the new time of the day.
    """
    if not (reminder.rule and isinstance(said, Moment)):
        return _at(reminder, said, now)
    before = reminder.due or reminder.missed_until
    rule = _at_hour(reminder.rule, said.due)
    if before is None or rule is None:
        return None
    first = before.replace(hour=said.due.hour, minute=said.due.minute, second=0)
    kept = _at(reminder, Recurrence("", rule, first, reminder.zone), now)
    kept = replace(kept, passed=reminder.passed)
    for due in following(rule, first, reminder.passed):
        if instant_of(kept, due) > now.wall:
            return replace(kept, due=due)
        kept = replace(kept, passed=kept.passed + 1)
    return None


def _at_hour(rule: str, due: datetime) -> str | None:
    parts = dict(part.split("=", 1) for part in rule.split(";"))
    several = any("," in parts.get(name, "") for name in ("BYHOUR", "BYMINUTE"))
    if several or parts["FREQ"] in ("HOURLY", "MINUTELY") or "BYSETPOS" in parts:
        return None
    rule = re.sub(r"BYHOUR=\d+", f"BYHOUR={due.hour}", rule)
    return re.sub(r"BYMINUTE=\d+", f"BYMINUTE={due.minute}", rule)


def extended(reminder: Reminder, seconds: int, now: Now) -> Reminder | None:
    """Return *reminder* so many seconds later; None as for :func:`moved`, or when it is over."""
    countdown = reminder.countdown
    if countdown is not None and reminder.ring is None:
        wall = countdown.wall_due and _later(countdown.wall_due, seconds)
        longer = replace(countdown, boot_due=countdown.boot_due + seconds, wall_due=wall)
        total = reminder.seconds + seconds
        return replace(reminder, countdown=longer, seconds=total, changed=now.wall.isoformat())
    if reminder.ring is not None:
        return snoozed(reminder, seconds, now)
    due = next(pending(reminder), None)
    if due is None:
        return None
    later = existing(due + timedelta(seconds=seconds), zone_of(reminder.zone))
    if reminder.rule and later.date() != due.date():
        return None
    return moved(reminder, Moment("", later, reminder.zone), now)


def _later(moment: str, seconds: float) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat()


def snoozed(reminder: Reminder, seconds: float, now: Now) -> Reminder:
    """Return *reminder* as it is when it shall be said again in *seconds*."""
    ring = reminder.ring or Ring(f"{reminder.id}@snoozed@{now.wall.isoformat()}", "")
    again = countdown_from(now, seconds)
    due = again.wall_due if not ring.due else ring.due
    ring = replace(ring, due=due, said=0, speaking=False, snoozed=True, again=again)
    ended = None if not reminder.rule else reminder.countdown
    changed = now.wall.isoformat()
    return replace(reminder, ring=ring, countdown=ended, state="ringing", changed=changed)


def finished(reminder: Reminder, now: Now) -> Reminder:
    """Return *reminder* as it is when the owner says that it is done, or was heard.

    A rule goes on: what rings or was missed is done, and otherwise its next occurrence.
    """
    changed = now.wall.isoformat()
    if not reminder.rule:
        return replace(reminder, ring=None, state="done", changed=changed)
    ring = reminder.ring
    kept = reminder
    if ring and ring.speaking and ring.local:
        kept = after(reminder, Announce(ring.occurrence, None, ring.local, ring.local_first))
    elif not ring and not reminder.missed:
        if (local := next(pending(reminder), None)) is None:
            return replace(reminder, state="done", changed=changed)
        kept = after(reminder, Announce("", None, local))
    kept = replace(kept, ring=None, missed=0, state="waiting", changed=changed)
    over = kept.due is None or next(pending(kept), None) is None
    return replace(kept, state="done") if over else kept


def cancelled(reminder: Reminder, now: Now) -> Reminder:
    """Return *reminder* as it is when the owner does not want it any more."""
    return replace(reminder, ring=None, state="cancelled", changed=now.wall.isoformat())


# --- what time does -----------------------------------------------------------------------------


def announcing(reminder: Reminder, announce: Announce) -> Reminder:
    """Return what is stored before an occurrence is spoken."""
    former = reminder.ring
    said = former.said if former and former.occurrence == announce.occurrence else 0
    ring = Ring(
        occurrence=announce.occurrence,
        due=announce.due.isoformat() if announce.due else "",
        said=said,
        speaking=True,
        count=announce.count,
        local=announce.local,
        local_first=announce.local_first,
        late=announce.late,
    )
    return replace(reminder, ring=ring, state="ringing")


def announced(reminder: Reminder, announce: Announce, now: Now, policy: Policy) -> Reminder:
    """Return what is stored once an occurrence was spoken."""
    ring = reminder.ring
    assert ring is not None
    again = countdown_from(now, policy.repeat_s)
    spoken = replace(ring, said=ring.said + 1, speaking=False, again=again)
    return after(replace(reminder, ring=spoken), announce)


def missed(reminder: Reminder, miss: Miss, now: Now) -> Reminder:
    """Return what is stored of occurrences that came too late to be announced."""
    return replace(
        reminder,
        missed=reminder.missed + miss.count,
        missed_until=miss.until,
        skipped=reminder.skipped + miss.count,
        ring=None,
        state="waiting",
        changed=now.wall.isoformat(),
    )


def given_up(reminder: Reminder, now: Now) -> Reminder:
    """Return what is stored when nobody answered as often as it was said."""
    goes_on = reminder.rule and next(pending(reminder), None) is not None
    state = "waiting" if goes_on else "unanswered"
    return replace(reminder, ring=None, state=state, changed=now.wall.isoformat())  # type: ignore[arg-type]


def in_zone(reminder: Reminder, old: str, zone: str) -> Reminder:
    """Return *reminder* where the box has moved from the zone *old* to *zone*.

    The time on the clock stays: an alarm at seven rings at seven there.
    """
    return replace(reminder, zone=zone) if reminder.open and reminder.zone == old else reminder
