"""Time, in one place, so that tests can hold it still."""

from __future__ import annotations

import time


def monotonic() -> float:
    """Return seconds of ``CLOCK_MONOTONIC``: one clock for all processes of this boot."""
    return time.monotonic()


def milliseconds_since(start: float) -> float:
    """Return the milliseconds from *start* (seconds of :func:`monotonic`) until now."""
    return (time.monotonic() - start) * 1000.0
