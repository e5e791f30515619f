"""What is stored of a reminder, a timer or an alarm; and how it looks in the store.

All three are the same thing, due once or again and again. A wall-clock time is kept as local time
with the name of its zone, and becomes an instant only when it is looked at; a length of time is
kept on the boot clock, which nobody sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal

from appliance.errors import StorageError

Kind = Literal["reminder", "timer", "alarm"]
State = Literal["waiting", "ringing", "done", "unanswered", "cancelled"]
OPEN: Final = ("waiting", "ringing")
"""The states in which a reminder still has something to say."""
MAX_TEXT = 500
"""Characters of a reminder at most."""


@dataclass(frozen=True)
class Countdown:
    """A moment on the boot clock (``CLOCK_BOOTTIME``: it counts while the machine sleeps)."""

    boot_id: str
    """The boot whose clock is meant."""
    boot_due: float
    """Seconds of that clock."""
    wall_due: str = ""
    """The same moment as the wall clock had it (ISO 8601, UTC); empty when it was not set."""
    carried: bool = False
    """It began in an earlier boot. What the machine was off is only known to the wall clock, so
    the earlier of the two moments counts; *boot_due* never comes too soon."""


@dataclass(frozen=True)
class Ring:
    """An occurrence that is being announced until somebody answers."""

    occurrence: str
    """Its id: the same before and after a restart."""
    due: str
    """When it was due (ISO 8601, UTC); empty when no clock was set."""
    said: int = 0
    """How often it was announced, as far as the store knows."""
    speaking: bool = False
    """It is being spoken now; after a restart: maybe it was, so it is said again."""
    count: int = 1
    """Occurrences of its rule that came together, after the box had been off."""
    local: datetime | None = None
    """The last of them on the clock face; None for a length of time."""
    local_first: datetime | None = None
    """The first of them."""
    late: bool = False
    snoozed: bool = False
    again: Countdown | None = None
    """When it is said again."""


@dataclass(frozen=True)
class Span:
    """Occurrences that were announced together, as local times."""

    first: datetime
    last: datetime


@dataclass(frozen=True)
class Reminder:
    """One reminder, timer or alarm, as it is stored."""

    id: int
    """The receipt: there is one only for what is on the disk. 0 before that."""
    kind: Kind
    text: str
    """In the owner's words; may be empty for timers and alarms."""
    language: str
    created: str
    """ISO 8601, UTC."""
    zone: str = ""
    """Name of the zone of *due*, such as ``America/Sao_Paulo``."""
    due: datetime | None = None
    """Local time without a zone: the first occurrence that was not announced yet."""
    rule: str = ""
    """An RRULE (RFC 5545, 3.3.10) whose ``DTSTART`` is *due*; empty: once."""
    passed: int = 0
    """Occurrences before *due*, for rules with a ``COUNT``."""
    start: datetime | None = None
    """The ``DTSTART`` that was asked for: all is found again from it when the clock goes back."""
    spoken: tuple[Span, ...] = ()
    """What was announced last: it is not announced again when the clock goes back."""
    seconds: int = 0
    """The whole length of a timer; then *countdown* says when it ends."""
    countdown: Countdown | None = None
    missed: int = 0
    """Occurrences that came while the box could not announce them, since the owner last saw it."""
    missed_until: datetime | None = None
    """The last of them, as local time."""
    skipped: int = 0
    """Occurrences from *due* to *missed_until*, all of them missed."""
    ring: Ring | None = None
    state: State = "waiting"
    always: bool = False
    """Is also said in quiet hours."""
    changed: str = ""
    """ISO 8601, UTC: when the owner, or time, last changed its state."""

    @property
    def open(self) -> bool:
        """Whether it still has something to say."""
        return self.state in OPEN


def to_document(reminder: Reminder) -> dict[str, Any]:
    """Return what is stored of *reminder*: all but its id, which is the document's own."""
    document: dict[str, Any] = _plain(reminder)
    del document["id"]
    return document


def from_document(number: int, document: Mapping[str, Any]) -> Reminder:
    """Return the reminder in a document; fields of a newer program are left alone.

    Raises:
        StorageError: it is none.
    """
    try:
        values = _known(Reminder, document)
        for name in ("due", "start", "missed_until"):
            values[name] = _read(values.get(name))
        values["spoken"] = tuple(
            Span(*map(datetime.fromisoformat, (one["first"], one["last"])))
            for one in values.get("spoken", ())
        )
        if countdown := values.get("countdown"):
            values["countdown"] = Countdown(**_known(Countdown, countdown))
        if ring := values.get("ring"):
            ring = _known(Ring, ring)
            for name in ("local", "local_first"):
                ring[name] = _read(ring.get(name))
            if again := ring.get("again"):
                ring["again"] = Countdown(**_known(Countdown, again))
            values["ring"] = Ring(**ring)
        values["id"] = number
        return Reminder(**values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(f"reminder {number} in the store cannot be read: {error}") from error


def _plain(value: Any) -> Any:
    """Return *value* as JSON knows it."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def _known(cls: type, document: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in document.items() if name in names}


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
