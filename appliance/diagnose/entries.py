"""Lines of the log, in each form in which they may come.

- one JSON object a line, as Luna writes it to standard error;
- the journal's own JSON (``journalctl -o json``), whose ``MESSAGE`` may again be such an object;
- the journal's text (``journalctl -u luna``), where such an object follows date and host;
- the lines of the page (``/api/v1/logs``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MAX_LINE = 100_000
"""Characters; what is longer is no line of Luna's."""
_PRIORITIES = {"0": "error", "1": "error", "2": "error", "3": "error", "4": "warning", "7": "debug"}
_OWN = ("time", "level", "message", "text", "event", "worker", "turn_id", "turn", "fields", "n")


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    time: datetime
    level: str
    text: str
    event: str = ""
    worker: str = ""
    turn_id: int = 0
    fields: dict[str, Any] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """Return a field as a number; 0 where it is missing or none."""
        try:
            value = float(self.fields.get(name, 0.0))
        except (TypeError, ValueError, OverflowError):
            return 0.0
        return value if math.isfinite(value) else 0.0

    def word(self, name: str) -> str:
        """Return a field as text; empty where it is missing."""
        return str(self.fields.get(name, ""))


@dataclass
class Parsed:
    """A log, as far as it was understood."""

    entries: list[Entry] = field(default_factory=list)
    skipped: int = 0
    """Lines that were not."""


def parse(lines: Iterable[str]) -> Parsed:
    """Return the entries of *lines*, in the order of time."""
    parsed = Parsed()
    for line in lines:
        if not line.strip():
            continue
        found = parse_line(line)
        if found is None:
            parsed.skipped += 1
        else:
            parsed.entries.append(found)
    parsed.entries.sort(key=lambda entry: entry.time)
    return parsed


def parse_line(line: str) -> Entry | None:
    """Return the entry in *line*; None when it is none of Luna's."""
    for values in _objects(line):
        if "MESSAGE" in values and (found := _from_journal(values)):
            return found
        if found := _from_values(values):
            return found
    return None


def _objects(line: str) -> Iterator[dict[str, Any]]:
    start = line.find("{")
    if start < 0 or len(line) > MAX_LINE:
        return
    try:
        values = json.loads(line[start:])
    except (ValueError, RecursionError):
        return
    if isinstance(values, dict):
        yield values


def _from_values(values: dict[str, Any]) -> Entry | None:
    """Return the entry of a line of Luna's own, or of the page's."""
    text = values.get("message", values.get("text"))
    time = _time(values.get("time"))
    if time is None or not isinstance(text, str):
        return None
    inner = values.get("fields")
    fields = {name: value for name, value in values.items() if name not in _OWN}
    if isinstance(inner, dict):
        fields |= inner
    return Entry(
        time,
        str(values.get("level", "info")),
        text,
        str(values.get("event", "")),
        str(values.get("worker", "")),
        _whole(values.get("turn_id", values.get("turn"))),
        fields,
    )


def _from_journal(values: dict[str, Any]) -> Entry | None:
    message = values["MESSAGE"]
    if not isinstance(message, str):
        return None  # the journal writes what is not text as a list of bytes
    for own in _objects(message) if message.startswith("{") else ():
        if found := _from_values(own):
            return found
    try:
        seconds = int(values["__REALTIME_TIMESTAMP"]) / 1_000_000
        time = datetime.fromtimestamp(seconds, UTC).astimezone()
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None
    fields = {
        name.removeprefix("LUNA_").lower(): value
        for name, value in values.items()
        if name.startswith("LUNA_")
    }
    return Entry(
        time,
        _PRIORITIES.get(str(values.get("PRIORITY")), "info"),
        message,
        str(fields.pop("event", "")),
        str(fields.pop("worker", "")),
        _whole(fields.pop("turn_id", 0)),
        fields,
    )


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return 0
