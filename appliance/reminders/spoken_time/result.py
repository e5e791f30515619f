"""What a spoken time was understood to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias


@dataclass(frozen=True)
class Moment:
    """Once, at a time of the wall clock."""

    text: str
    """What it is about, in the owner's words; empty when nothing was said of it."""
    due: datetime
    """Local time without a zone, to the minute; always a time that exists and is to come."""
    zone: str
    """The name of the zone of *due*, such as ``America/Sao_Paulo``."""


@dataclass(frozen=True)
class Duration:
    """After a stretch of time, whatever the wall clock says."""

    text: str
    seconds: int


@dataclass(frozen=True)
class Recurrence:
    """Again and again, by a rule."""

    text: str
    rule: str
    """The value of an RRULE (RFC 5545, 3.3.10) without ``DTSTART``; ``UNTIL`` is local time."""
    first: datetime
    """The rule's ``DTSTART``: local time without a zone, to come, and an occurrence itself.

    Like every occurrence it is a time on the clock face: what to do with one that daylight
    saving skips or repeats is told by :func:`appliance.reminders.spoken_time.local_time.instant`.
    """
    zone: str


@dataclass(frozen=True)
class Question:
    """What has to be asked back before anything can be stored.

    The answer is appended to the sentence, and the whole is parsed again.
    """

    key: str
    """One of

    ``when`` (no time was named), ``at_what_time`` (the day is known: *values* has ``day``),
    ``which_day``, ``which_time`` (several were named), ``which_times`` ("three times a day"),
    ``past`` (it is over), ``no_such_date``, ``no_such_time``, ``too_often`` (more than once a
    minute), ``too_far`` (beyond the calendar, or no length at all), ``too_long`` (the sentence),
    ``ends_before`` (the last day lies before the first).
    """
    text: str = ""
    values: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """``day``, a :class:`datetime.date`, where it is known."""


Parsed: TypeAlias = Moment | Duration | Recurrence | Question
