"""A reminder as the page, the command line and events show it."""

from __future__ import annotations

from typing import Any

from appliance.reminders.records import Reminder
from appliance.reminders.schedule import due_at, instant_of, is_missed, zone_of
from appliance.reminders.sentences import when
from appliance.reminders.wall_clock import Now


def row(reminder: Reminder, now: Now) -> dict[str, Any]:
    """Return what people and scripts see of a reminder: JSON values."""
    due = due_at(reminder, now)
    running = reminder.countdown if reminder.open and not reminder.missed else None
    return {
        "id": reminder.id,
        "kind": reminder.kind,
        "text": reminder.text,
        "language": reminder.language,
        "state": state_of(reminder),
        "due": due.astimezone(zone_of(reminder.zone)).isoformat() if due else None,
        "when": when(reminder, now, reminder.language) if reminder.open else "",
        "zone": reminder.zone,
        "rule": reminder.rule,
        "left_s": round((due - now.wall).total_seconds(), 1) if due and running else None,
        "waits_for_clock": bool(reminder.open and reminder.due and not now.trusted),
        "missed": reminder.missed,
        "missed_until": missed_at(reminder) or None,
        "announced": reminder.ring.said if reminder.ring else 0,
        "always": reminder.always,
        "created": reminder.created,
        "changed": reminder.changed,
    }


def state_of(reminder: Reminder) -> str:
    """Return the stored state, or ``missed`` or ``snoozed``."""
    if is_missed(reminder):
        return "missed"
    return "snoozed" if reminder.ring and reminder.ring.snoozed else reminder.state


def missed_at(reminder: Reminder) -> str:
    """Return when the last missed occurrence was due (ISO 8601, UTC); empty when unknown."""
    if not reminder.missed:
        return ""
    if reminder.missed_until:
        return instant_of(reminder, reminder.missed_until).isoformat()
    return reminder.countdown.wall_due if reminder.countdown else ""
