"""The last turns, in memory: what the page's chart and table show, and the report of the day."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from appliance.events import Event, JobFinished, TurnEnded
from appliance.settings import ThresholdSettings
from appliance.thresholds import judge_turn, worst

TURNS = 200
REPORT = "daily-report"


def _now() -> datetime:
    return datetime.now(UTC).astimezone()


class TurnLog:
    """Keeps turns that are over; they are gone when the service ends.

    Args:
        settings: the limits by which the timings are judged.
        now: the time of day.
        size: so many are kept.
    """

    def __init__(
        self,
        settings: ThresholdSettings,
        now: Callable[[], datetime] = _now,
        size: int = TURNS,
    ) -> None:
        self._settings = settings
        self._now = now
        self._turns: deque[dict[str, Any]] = deque(maxlen=size)
        self.report: dict[str, Any] = {}
        """The last report of the day: ``at`` and ``text``; empty before the first."""

    def handle(self, event: Event) -> None:
        """Take an event of the stream."""
        at = self._now().isoformat(timespec="milliseconds")
        if isinstance(event, TurnEnded):
            verdicts = judge_turn(event.timings, self._settings)
            self._turns.append(
                {
                    **asdict(event),
                    "at": at,
                    "verdicts": {name: v.level for name, v in verdicts.items()},
                    "level": worst(verdicts),
                }
            )
        elif isinstance(event, JobFinished) and event.name == REPORT and event.ok:
            self.report = {"at": at, "text": event.text}

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Return up to *limit* turns, the newest first: the fields of ``TurnEnded``,

        ``at`` as the time of day (ISO 8601), ``verdicts`` (level by check, see
        :data:`appliance.thresholds.TURN_CHECKS`) and the worst of them as ``level``.
        """
        return list(reversed(self._turns))[:limit]
