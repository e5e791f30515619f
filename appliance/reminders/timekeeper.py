"""Follows the clocks: what is known of time, and what became of it since it was last looked at."""

from __future__ import annotations

from dataclasses import replace

from appliance.events import ClockChanged
from appliance.reminders.store import Known
from appliance.reminders.wall_clock import Clock, Now, judge

JUMP_S = 2.0
"""The wall clock was set when it moved so much more or less than the boot clock."""
SAVE_EVERY_S = 900.0
"""How old what is stored of time may become: a write to flash each quarter of an hour."""


class Timekeeper:
    """Remembers the last known time, in memory at every look and in the store now and then."""

    def __init__(self, clock: Clock, known: Known | None, zone: str) -> None:
        self._clock = clock
        self._saved_at: float | None = None
        self.earlier = known
        """What the store knew at the start, perhaps from an earlier boot."""
        self.known = known
        self.zone = zone
        self.now = judge(clock.read(), known)
        self._learn()

    def look(self) -> ClockChanged | None:
        """Read the clocks; return an event when the wall clock was set, or is judged otherwise."""
        before = self.now
        self.now = now = judge(self._clock.read(), self.known, before.leapt_at)
        jump = (now.wall - before.wall).total_seconds() - (now.boot - before.boot)
        self._learn()
        if now.trusted == before.trusted and (abs(jump) < JUMP_S or not now.trusted):
            return None
        self._saved_at = None  # the store has to hear of it
        return ClockChanged(trusted=now.trusted, reason=now.reason, jump_s=round(jump, 3))

    def peek(self) -> Now:
        """Return the time of this moment without learning from it."""
        return judge(self._clock.read(), self.known, self.now.leapt_at)

    def to_save(self) -> Known | None:
        """Return what the store should know now; None while it knows enough."""
        fresh = self._saved_at is not None and self.now.boot - self._saved_at < SAVE_EVERY_S
        return None if fresh else self.known

    def saved(self) -> None:
        """Note that the store knows."""
        self._saved_at = self.now.boot

    def moved_to(self, zone: str) -> None:
        """Note that the box is in another zone."""
        self.zone = zone
        self._learn()
        self._saved_at = None

    def _learn(self) -> None:
        now, known = self.now, self.known
        if now.trusted:
            self.known = Known(now.wall.isoformat(), now.boot_id, now.boot, self.zone)
        elif known is None or known.boot_id != now.boot_id:
            wall = known.wall if known else now.wall.isoformat()
            self.known = Known(wall, now.boot_id, now.boot, self.zone, believed=False)
        elif not known.believed:
            self.known = replace(known, boot=now.boot, zone=self.zone)
