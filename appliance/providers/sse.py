"""Server-sent events: lines of bytes, split anywhere, into the data of each event.

After https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
with the fields that chat completions use: ``data``, and comments, which are skipped.
"""

from __future__ import annotations

MAX_EVENT_BYTES = 262_144
"""One event carries one piece of an answer: some hundred bytes."""


class EventTooLarge(ValueError):  # noqa: N818
    """An event exceeds the limit."""


class EventStream:
    """Takes bytes as they come and gives the events that are complete."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._rest = bytearray()
        """The line that is not complete yet."""
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        """The last line ended with CR: a LF that follows belongs to it."""
        self._begun = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of all events that *chunk* completes.

        Raises:
            EventTooLarge: an event is larger than the limit, complete or not.
        """
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        events = []
        # splitlines() of bytes knows CR, LF and CRLF, and nothing else.
        for line in chunk.splitlines(keepends=True):
            self._rest += line
            if line.endswith((b"\r", b"\n")):
                events += self._line(bytes(self._rest).rstrip(b"\r\n"))
                self._rest.clear()
            if self._size + len(self._rest) > self._limit:
                raise EventTooLarge(f"an event of over {self._limit} bytes")
        return events

    def close(self) -> list[bytes]:
        """Return the last event, if the stream ended without the blank line after it."""
        events = self._line(bytes(self._rest))
        self._rest.clear()
        return events + self._line(b"")

    def _line(self, line: bytes) -> list[bytes]:
        if not self._begun:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self._begun = True
        if not line:
            event = b"\n".join(self._data)
            found = [event] if self._data else []
            self._data, self._size = [], 0
            return found
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value) + 1
        return []
