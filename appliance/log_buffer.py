"""The last lines of the log, in memory, for the page and `luna logs` where there is no journal."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

from appliance.log import LOGGERS

LINES = 2000
WAITING = 500
"""Lines that may wait for a subscriber before it is cut off."""
MAX_TEXT = 2000
MAX_FIELD = 500

Line = dict[str, Any]


class LogBuffer(logging.Handler):
    """A handler of the log that remembers. It shows what the log itself shows, and no more."""

    def __init__(self, lines: int = LINES) -> None:
        super().__init__()
        self._lines: deque[Line] = deque(maxlen=lines)
        self._numbers = itertools.count(1)
        self._loop = asyncio.get_running_loop()
        self._queues: set[asyncio.Queue[Line | None]] = set()

    def attach(self) -> None:
        """Begin to listen to the log."""
        for logger in LOGGERS:
            logger.addHandler(self)

    def detach(self) -> None:
        """Stop listening, and end all subscriptions."""
        for logger in LOGGERS:
            logger.removeHandler(self)
        for queue in list(self._queues):
            self._cut_off(queue)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; may be called in any thread."""
        fields = getattr(record, "fields", {})
        when = datetime.fromtimestamp(record.created, UTC).astimezone()
        known = ("event", "worker", "turn_id")
        line: Line = {
            "n": next(self._numbers),
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "worker": fields.get("worker", ""),
            "turn": fields.get("turn_id", 0),
            "event": fields.get("event", ""),
            "text": record.getMessage()[:MAX_TEXT],
            "fields": {k: _short(v) for k, v in fields.items() if k not in known},
        }
        self._lines.append(line)
        if self._queues:
            self._loop.call_soon_threadsafe(self._hand_out, line)

    def _hand_out(self, line: Line) -> None:
        for queue in list(self._queues):
            try:
                queue.put_nowait(line)
            except asyncio.QueueFull:
                self._cut_off(queue)

    def _cut_off(self, queue: asyncio.Queue[Line | None]) -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def last(self, limit: int, level: str = "debug", contains: str = "") -> list[Line]:
        """Return up to *limit* lines of at least this level, the oldest first.

        *contains* is looked for in text, worker and event, whether in small letters or capitals.
        """
        found = [line for line in list(self._lines) if self.matches(line, level, contains)]
        return found[-limit:] if limit > 0 else []

    @staticmethod
    def matches(line: Line, level: str, contains: str = "") -> bool:
        """Return whether *line* is at least of *level* and contains these words."""
        names = logging.getLevelNamesMapping()
        if names.get(line["level"].upper(), 0) < names[level.upper()]:
            return False
        wanted = contains.casefold()
        return not wanted or wanted in f"{line['text']} {line['worker']} {line['event']}".casefold()

    async def follow(self) -> AsyncGenerator[Line, None]:
        """Yield each new line; ends when the log ends, or the subscriber is too slow."""
        queue: asyncio.Queue[Line | None] = asyncio.Queue(WAITING)
        self._queues.add(queue)
        try:
            while (line := await queue.get()) is not None:
                yield line
        finally:
            self._queues.discard(queue)


def _short(value: Any) -> Any:
    if isinstance(value, int | float | bool) or value is None:
        return value
    return value[:MAX_FIELD] if isinstance(value, str) else str(value)[:MAX_FIELD]
