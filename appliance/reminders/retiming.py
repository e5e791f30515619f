"""What "move it to ten" means: ten o'clock of the day on which the reminder is due."""

from __future__ import annotations

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

from appliance.reminders.changes import When
from appliance.reminders.commands import ChangeReminder, recognise
from appliance.reminders.records import Reminder
from appliance.reminders.schedule import due_at, zone_of
from appliance.reminders.spoken_time.local_time import instant
from appliance.reminders.spoken_time.result import Duration, Moment, Recurrence
from appliance.reminders.wall_clock import Now

_TODAY = re.compile(r"\b(?:today|tonight|hoje)\b", re.IGNORECASE)
_BEFORE = (timedelta(hours=6), timedelta(hours=18))
"""How long before its time a reminder is imagined to be moved."""


def retimed(one: Reminder, when: When, said: str, now: Now, zone: ZoneInfo, language: str) -> When:
    """Return *when*, on the day of the reminder if the sentence *said* named no day.

    The sentence is read again as if it were said some hours before the reminder is due: a time
    alone then falls on its day, and a day that was named does not, or is the same day.
    """
    due = due_at(one, now)
    if not isinstance(when, Moment) or due is None or not said or _TODAY.search(said):
        return when
    day = due.astimezone(zone_of(one.zone)).date()
    for before in _BEFORE:
        imagined = max(now.wall, due - before)
        command = recognise(said, imagined, zone, language)
        if not isinstance(command, ChangeReminder) or not isinstance(command.when, Moment):
            return when
        moment = command.when
        if moment.due.date() == day and instant(moment.due, zone) > now.wall:
            return moment
    return when


def seconds_until(when: When, now: Now) -> float:
    """Return how far away *when* is: of a rule, its first time."""
    match when:
        case Duration(seconds=seconds):
            return seconds
        case Moment(due=due, zone=zone) | Recurrence(first=due, zone=zone):
            return max(1.0, (instant(due, zone_of(zone)) - now.wall).total_seconds())
