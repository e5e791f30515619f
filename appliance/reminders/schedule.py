"""What is due when: pure functions of a record and the time.

Nothing here is remembered: an instant is computed from local time and zone whenever it is looked
at, so daylight saving, a moved zone and new time-zone data all count. A time in a gap comes at
its end, a time in a fold once (see ``spoken_time.local_time``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from appliance.reminders.records import Countdown, Reminder, Span
from appliance.reminders.spoken_time.local_time import instant
from appliance.reminders.wall_clock import Now
from appliance.settings import RemindersSettings

LATE_S = 60.0
"""From so many seconds on a reminder says that it is late."""
_SPANS = 4
"""Announcements that a rule remembers."""
_SLICE = 1500
"""Occurrences that are looked at in one go, after the box was off for very long."""


@dataclass(frozen=True)
class Policy:
    """How reminders are announced."""

    grace_s: float = 3600.0
    """Later than this a reminder is no longer announced, but listed as missed."""
    repeat_s: float = 300.0
    """Between two announcements that nobody answers."""
    repeat_limit: int = 3
    """Announcements of one occurrence at most."""
    snooze_s: int = 600
    quiet: tuple[time, time] | None = None
    """From and to, local time; over midnight if it is so."""
    quiet_except: tuple[str, ...] = ("alarm", "timer")
    """Kinds that are announced all the same."""

    @classmethod
    def of(cls, settings: RemindersSettings) -> Policy:
        """Return how reminders are announced, from the configuration."""
        start, end = settings.quiet_from, settings.quiet_to
        return cls(
            grace_s=settings.grace_minutes * 60.0,
            repeat_s=settings.repeat_minutes * 60.0,
            repeat_limit=settings.repeat_limit,
            snooze_s=settings.snooze_minutes * 60,
            quiet=(time.fromisoformat(start), time.fromisoformat(end)) if start and end else None,
            quiet_except=settings.quiet_except,
        )


@dataclass(frozen=True)
class Announce:
    """Say it now."""

    occurrence: str
    due: datetime | None
    """The instant, UTC; None when no clock was set."""
    local: datetime | None = None
    local_first: datetime | None = None
    """Of several that came together, the first; *local* is the last."""
    count: int = 1
    late: bool = False
    again: bool = False
    """It was announced before (or maybe was)."""


@dataclass(frozen=True)
class Miss:
    """Too late for it: list it."""

    until: datetime | None
    """The last occurrence that is over, as local time; None for a length of time."""
    count: int


@dataclass(frozen=True)
class GiveUp:
    """Nobody answered often enough."""


Verdict: TypeAlias = Announce | Miss | GiveUp


# --- occurrences -----------------------------------------------------------------------------


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """Return the zone *name*; UTC where this machine does not know it (any more)."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def instant_of(reminder: Reminder, local: datetime) -> datetime:
    """Return the instant (UTC) of an occurrence."""
    return instant(local, zone_of(reminder.zone))


_COUNT = re.compile(r"COUNT=(\d+)")


def following(rule: str, anchor: datetime, passed: int = 0) -> Iterator[datetime]:
    """Yield the occurrences of *rule* from *anchor* (itself one of them) on, as local times.

    Beginning anew at any occurrence keeps the phase of INTERVAL and the days that the rule takes
    from its ``DTSTART``; only a COUNT has to know how many *passed* before.
    """
    if not rule:
        yield anchor
        return
    if found := _COUNT.search(rule):
        left = int(found[1]) - passed
        if left <= 0:
            return
        rule = _COUNT.sub(f"COUNT={left}", rule)
    yield from _parsed(rule, anchor)


@lru_cache(maxsize=4096)
def _parsed(rule: str, anchor: datetime) -> Iterable[datetime]:
    return rrulestr(rule, dtstart=anchor)


def pending(reminder: Reminder) -> Iterator[datetime]:
    """Yield the occurrences that are neither announced nor missed, as local times."""
    due = reminder.due
    if due is None or not reminder.open or (reminder.state == "ringing" and not reminder.rule):
        return
    coming = _unseen(reminder) if reminder.skipped else _from_due(reminder)
    yield from (local for local in coming if not _was_spoken(reminder, local))


def _was_spoken(reminder: Reminder, local: datetime) -> bool:
    return any(span.first <= local <= span.last for span in reminder.spoken)


def _from_due(reminder: Reminder) -> Iterator[datetime]:
    assert reminder.due is not None
    return following(reminder.rule, reminder.due, reminder.passed)


def _unseen(reminder: Reminder) -> Iterator[datetime]:
    """Return the occurrences behind those that were missed."""
    assert reminder.missed_until is not None
    before = reminder.passed + reminder.skipped - 1
    return islice(following(reminder.rule, reminder.missed_until, before), 1, None)


def is_missed(reminder: Reminder) -> bool:
    """Return whether *reminder* was due, was not announced, and is not due again."""
    if not reminder.missed or not reminder.open or reminder.ring:
        return False
    return next(pending(reminder), None) is None


def after(reminder: Reminder, announced: Announce) -> Reminder:
    """Return *reminder* with its next occurrence behind the one that was announced."""
    if not reminder.rule or announced.local is None or reminder.due is None:
        return reminder
    until = reminder.missed_until
    passed, coming = reminder.passed, _from_due(reminder)
    if reminder.skipped and until and until <= announced.local:
        passed, coming = passed + reminder.skipped, _unseen(reminder)
    span = Span(announced.local_first or announced.local, announced.local)
    spoken = (*reminder.spoken[1 - _SPANS :], span)
    for local in coming:
        if local > announced.local and not _was_spoken(reminder, local):
            return replace(reminder, due=local, passed=passed, skipped=0, spoken=spoken)
        passed += 1
    return replace(reminder, due=None, passed=passed, skipped=0, spoken=spoken)


def rewound(reminder: Reminder, now: Now) -> Reminder:
    """Return *reminder* as it must be when the clock had been too far ahead and went back.

    What was announced meanwhile is not announced again; all the rest comes at its time.
    """
    until = reminder.missed_until
    if reminder.skipped and until and instant_of(reminder, until) > now.wall:
        missed = max(0, reminder.missed - reminder.skipped)
        reminder = replace(reminder, skipped=0, missed=missed)
    last = max((span.last for span in reminder.spoken), default=None)
    if last is None or reminder.start is None or reminder.state in ("done", "cancelled"):
        return reminder
    if instant_of(reminder, last) <= now.wall or (reminder.due and reminder.due <= last):
        return reminder
    for passed, local in enumerate(following(reminder.rule, reminder.start)):
        if instant_of(reminder, local) > now.wall and not _was_spoken(reminder, local):
            state = reminder.state if reminder.open else "waiting"
            return replace(reminder, due=local, passed=passed, skipped=0, state=state)
    return reminder


# --- quiet hours ---------------------------------------------------------------------------------


def quiet_until(
    reminder: Reminder, moment: datetime, policy: Policy, zone: ZoneInfo
) -> datetime | None:
    """Return when the quiet hours around *moment* (UTC) end; None when it may be said."""
    if policy.quiet is None or reminder.always or reminder.kind in policy.quiet_except:
        return None
    start, end = policy.quiet
    local = moment.astimezone(zone)
    at = local.time()
    inside = start <= at < end if start <= end else at >= start or at < end
    if not inside:
        return None
    day = local.date() + timedelta(days=int(start > end and at >= start))
    ends = instant(datetime.combine(day, end), zone)
    return ends if ends > moment else None


# --- what is to be done now -----------------------------------------------------------------------


def judge(reminder: Reminder, now: Now, policy: Policy, zone: ZoneInfo) -> Verdict | None:
    """Return what is to be done about *reminder* now; *zone* is that of the quiet hours."""
    if not reminder.open:
        return None
    quiet = now.trusted and quiet_until(reminder, now.wall, policy, zone) is not None
    ring = reminder.ring
    fresh = _fresh(reminder, now, policy, zone) if now.trusted else None
    if fresh is None and _counting(reminder):
        fresh = _ended(reminder, now, policy)
    if isinstance(fresh, Miss):
        return fresh
    if fresh is not None:
        return None if quiet else fresh
    if ring is None or not (ring.speaking or (ring.again and reached(ring.again, now))):
        return None
    if ring.said >= policy.repeat_limit and not ring.speaking:
        return GiveUp()
    due = datetime.fromisoformat(ring.due) if ring.due else None
    late = ring.late
    if ring.speaking and due and now.trusted:
        late = (now.wall - due).total_seconds() > LATE_S
    again = Announce(
        ring.occurrence, due, ring.local, ring.local_first, ring.count, late, again=True
    )
    return None if quiet else again


def _fresh(reminder: Reminder, now: Now, policy: Policy, zone: ZoneInfo) -> Announce | Miss | None:
    """Return what has become due on the wall clock since the last announcement."""
    missed = count = 0
    until = first = last = None
    late = 0.0
    for number, local in enumerate(pending(reminder)):
        due = instant_of(reminder, local)
        if due > now.wall or number == _SLICE:
            break
        allowed = quiet_until(reminder, due, policy, zone) or due
        late = (now.wall - allowed).total_seconds()
        if late > policy.grace_s:
            missed, until = missed + 1, local
        else:
            count, first, last = count + 1, first or local, local
    if missed:
        return Miss(until, missed)
    if last is None:
        return None
    name = f"{reminder.id}@{last.isoformat(timespec='minutes')}"
    return Announce(name, instant_of(reminder, last), last, first, count, late > LATE_S)


def _counting(reminder: Reminder) -> bool:
    return reminder.countdown is not None and reminder.ring is None


def _ended(reminder: Reminder, now: Now, policy: Policy) -> Announce | Miss | None:
    """Return what the end of a length of time means now."""
    countdown = reminder.countdown
    assert countdown is not None
    if not reached(countdown, now):
        return None
    due = datetime.fromisoformat(countdown.wall_due) if countdown.wall_due else None
    late = now.boot - countdown.boot_due
    if countdown.carried and due is not None and now.trusted:
        late = max(late, (now.wall - due).total_seconds())
    if late > policy.grace_s and not reminder.missed:
        return Miss(None, 1)
    if reminder.missed:
        return None
    return Announce(f"{reminder.id}@{reminder.created}", due, late=late > LATE_S)


def reached(countdown: Countdown, now: Now) -> bool:
    """Return whether *countdown* (of this boot, see :func:`carried`) has come to its end."""
    if countdown.boot_id != now.boot_id:
        return False
    if now.boot >= countdown.boot_due:
        return True
    if not (countdown.carried and countdown.wall_due and now.trusted):
        return False
    return now.wall >= datetime.fromisoformat(countdown.wall_due)


def countdown_from(now: Now, seconds: float) -> Countdown:
    """Return the moment *seconds* from now."""
    wall = (now.wall + timedelta(seconds=seconds)).isoformat() if now.trusted else ""
    return Countdown(now.boot_id, now.boot + seconds, wall)


def carried(
    reminder: Reminder, now: Now, boot_id: str, boot: float, again_s: float = 3600.0
) -> Reminder:
    """Return *reminder* with its lengths of time on the clock of this boot.

    *boot* is the last known second of the earlier boot *boot_id*. At least what was left then is
    still left on this clock; the time for which the box was off, only the wall clock knows. What
    is said again comes after *again_s* at the latest.
    """

    def moved(countdown: Countdown | None, longest: float) -> Countdown | None:
        if countdown is None or countdown.boot_id == now.boot_id:
            return countdown
        left = countdown.boot_due - boot if countdown.boot_id == boot_id else longest
        left = min(left, longest)
        return Countdown(now.boot_id, now.boot + max(0.0, left), countdown.wall_due, True)

    ring = reminder.ring
    if ring is not None:
        ring = replace(ring, again=moved(ring.again, again_s))
    return replace(reminder, countdown=moved(reminder.countdown, reminder.seconds), ring=ring)


# --- when to look next -----------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """When a record has to be looked at again: on one of the clocks, or on both."""

    wall: datetime | None = None
    boot: float | None = None


def next_look(reminder: Reminder, now: Now, policy: Policy, zone: ZoneInfo) -> Look:
    """Return when something is to be done about *reminder*; a moment that is over means now."""
    if not reminder.open:
        return Look()
    walls: list[datetime] = []
    boot = None
    for local in pending(reminder):
        due = instant_of(reminder, local)
        walls.append(quiet_until(reminder, due, policy, zone) or due)
        break
    ring = reminder.ring
    countdown = ring.again if ring else reminder.countdown if not reminder.missed else None
    if ring and ring.speaking:
        boot = now.boot
    elif countdown:
        boot = countdown.boot_due
        if countdown.carried and countdown.wall_due:
            walls.append(datetime.fromisoformat(countdown.wall_due))
    quiet = quiet_until(reminder, now.wall, policy, zone) if now.trusted else None
    if quiet is not None:
        # Nothing is said before they end; what is over already must not be looked at till then.
        walls = [max(wall, quiet) for wall in walls]
        if boot is not None and boot <= now.boot + (quiet - now.wall).total_seconds():
            walls.append(quiet)
            boot = None
    return Look(min(walls, default=None), boot)


def due_at(reminder: Reminder, now: Now) -> datetime | None:
    """Return the instant (UTC) of what comes next, for lists; None when nothing comes."""
    ring = reminder.ring
    if ring and ring.snoozed and ring.again:
        return _at(ring.again, now)
    if ring:
        return datetime.fromisoformat(ring.due) if ring.due else None
    if reminder.open and reminder.countdown and not reminder.missed:
        return _at(reminder.countdown, now)
    local = next(pending(reminder), None)
    return instant_of(reminder, local) if local else None


def _at(countdown: Countdown, now: Now) -> datetime:
    return now.wall + timedelta(seconds=countdown.boot_due - now.boot)
