"""The wall clock and daylight saving, in one place."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the one instant (in UTC) of the wall-clock time *local* (naive) in *zone*.

    A time that daylight saving repeats is its first; a time that it skips is the end of the gap:
    with PEP 495's ``fold=0`` the offset from before the gap places such a time *after* it, as
    far as it lies in it, so that much is taken back.
    """
    found = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    shown = found.astimezone(zone).replace(tzinfo=None)
    if shown == local.replace(fold=0):
        return found
    before = local.replace(tzinfo=zone, fold=0).utcoffset()
    after = local.replace(tzinfo=zone, fold=1).utcoffset()
    assert before is not None
    assert after is not None
    return _transition(found - (after - before), found, zone)


def _transition(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant in ``(low, high]`` with the offset of *high*."""
    offset = high.astimezone(zone).utcoffset()
    while (high - low).total_seconds() > 1:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def existing(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the wall-clock time at which *local* really comes: itself, or the end of its gap."""
    return instant(local, zone).astimezone(zone).replace(tzinfo=None, fold=0)
