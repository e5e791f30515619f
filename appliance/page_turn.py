"""A turn that somebody speaks through a browser: what was sent of its reply, what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.clock import monotonic

if TYPE_CHECKING:
    from appliance.page_sound import PageSession

RATE = 24_000
"""Samples a second of what is sent to the browser; the ``tts`` worker resamples to it."""


@dataclass
class PageTurn:
    """A turn that somebody speaks through a browser."""

    id: int
    session: PageSession
    holding: bool = True
    said: int = 0
    """Samples captured."""
    sent: dict[int, int] = field(default_factory=dict)
    """Samples that went to the browser by clause, in this order."""
    first_sent_at: float = 0.0
    played: int = 0
    """Samples that the browser says it has played."""
    reported: bool = False
    started: bool = False
    ended: bool = False
    """All of the reply was sent."""
    cut: bool = False
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        """How many were sent."""
        return sum(self.sent.values())

    def lead_s(self) -> float:
        """Return how far the browser is ahead if it plays without a pause."""
        if not self.first_sent_at:
            return 0.0
        return self.samples / RATE - (monotonic() - self.first_sent_at)

    def left_s(self) -> float:
        """Return how long the browser still has to play, as far as can be told."""
        return (self.samples - self.played) / RATE if self.reported else max(0.0, self.lead_s())

    def place(self) -> tuple[int, int]:
        """Return the clause that was played last, and the samples of it that were."""
        left, place = self.played, (0, 0)
        for clause, samples in self.sent.items():
            if left <= 0:
                break
            place = clause, min(samples, left)
            left -= samples
        return place

    def after(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Do *what* later, in place of what was to be done under that name."""
        self.forget(name)
        self.timers[name] = asyncio.get_running_loop().call_later(seconds, what)

    def forget(self, *names: str) -> None:
        """Do it not at all."""
        for name in names:
            if timer := self.timers.pop(name, None):
                timer.cancel()
