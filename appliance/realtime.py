"""Real-time priority for the threads that must not miss a block."""

from __future__ import annotations

import contextlib
import os

PRIORITY = 10
"""Low among the real-time ones: above all ordinary work, below the kernel's own threads."""


def hurry() -> None:
    """Give the calling thread real-time priority, where that is permitted."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
