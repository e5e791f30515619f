"""Which record has to be looked at next: a heap for each clock, whatever the number stored."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from datetime import datetime

from appliance.reminders.schedule import Look
from appliance.reminders.wall_clock import Now


class Agenda:
    """Remembers a :class:`Look` for each record. Peeking costs the same with ten and ten thousand.

    A changed record leaves its former entry in the heap; it is passed over when it comes up.
    """

    def __init__(self) -> None:
        self._looks: dict[int, Look] = {}
        self._wall: list[tuple[datetime, int]] = []
        self._boot: list[tuple[float, int]] = []

    def put(self, number: int, look: Look) -> None:
        """Note when record *number* is to be looked at, instead of what was noted before."""
        if look == self._looks.get(number):
            return
        self._looks[number] = look
        if look.wall is not None:
            heapq.heappush(self._wall, (look.wall, number))
        if look.boot is not None:
            heapq.heappush(self._boot, (look.boot, number))

    def rebuild(self, looks: Mapping[int, Look]) -> None:
        """Begin anew: the clock was set, or the zone is another."""
        self._looks = dict(looks)
        self._wall = [(look.wall, n) for n, look in looks.items() if look.wall is not None]
        self._boot = [(look.boot, n) for n, look in looks.items() if look.boot is not None]
        heapq.heapify(self._wall)
        heapq.heapify(self._boot)

    def wait_s(self, now: Now) -> float | None:
        """Return the seconds until the next look; None when nothing is to come."""
        waits = []
        if (wall := self._first_wall()) is not None and now.trusted:
            waits.append((wall - now.wall).total_seconds())
        if (boot := self._first_boot()) is not None:
            waits.append(boot - now.boot)
        return max(0.0, min(waits)) if waits else None

    def take(self, now: Now) -> list[int]:
        """Return the records to be looked at now, and forget their looks."""
        found: dict[int, None] = {}
        while now.trusted and (wall := self._first_wall()) is not None and wall <= now.wall:
            found[heapq.heappop(self._wall)[1]] = None
        while (boot := self._first_boot()) is not None and boot <= now.boot:
            found[heapq.heappop(self._boot)[1]] = None
        for number in found:
            self._looks.pop(number, None)
        return list(found)

    def _first_wall(self) -> datetime | None:
        while self._wall and self._look(self._wall[0][1]).wall != self._wall[0][0]:
            heapq.heappop(self._wall)
        return self._wall[0][0] if self._wall else None

    def _first_boot(self) -> float | None:
        while self._boot and self._look(self._boot[0][1]).boot != self._boot[0][0]:
            heapq.heappop(self._boot)
        return self._boot[0][0] if self._boot else None

    def _look(self, number: int) -> Look:
        return self._looks.get(number, Look())
