"""The form of a store's files: a header, then records with length and checksum, one a line.

    luna-store 1
    41 63 9f3c01ab {"reminders":{"7":{"text":"call the doctor", ...},"3":null}}
    |  |  |        +-- the change: by table and document; null where it was removed
    |  |  +----------- CRC-32 of all the rest of the line
    |  +-------------- bytes of the change
    +----------------- revision: counts acknowledged changes, over all files of the store

JSON has no line feed inside, so that after a damaged place the next line can be read again.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from appliance.errors import StorageError

FORMAT = 1
"""The form described above. A program that knows only this one leaves newer files alone."""
HEADER = b"luna-store %d\n" % FORMAT
MAX_RECORD = 64 * 1024 * 1024
"""Bytes of one change, or of one snapshot, at most."""
_HEADER = re.compile(rb"luna-store (\d{1,9})\n")
_RECORD = re.compile(rb"(\d{1,18}) (\d{1,9}) ([0-9a-f]{8}) ")


@dataclass(frozen=True)
class Record:
    """One record that was read and found whole."""

    revision: int
    text: bytes
    """JSON."""
    end: int
    """Where the next record begins, in bytes from the beginning of the file."""

    def body(self) -> dict[str, Any]:
        """Return what the record says.

        Raises:
            StorageError: it is no JSON object, although the checksum is right.
        """
        try:
            body = json.loads(self.text)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise StorageError(f"record {self.revision} of a store is not one that Luna wrote")
        return body


def encode(body: Any) -> bytes:
    """Return the JSON of a record.

    Raises:
        ValueError, TypeError: *body* has no JSON form, or is larger than ``MAX_RECORD``.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > MAX_RECORD:
        raise ValueError(f"larger than {MAX_RECORD} bytes")
    return text


def line(revision: int, text: bytes) -> bytes:
    """Return the line of a record whose JSON is *text*."""
    return b"%d %d %08x %b\n" % (revision, len(text), _checksum(revision, text), text)


def records(data: bytes) -> Iterator[Record]:
    """Yield the whole records of a file; what is damaged or incomplete is left out."""
    begin = 0
    while (end := data.find(b"\n", begin)) >= 0:
        # Only a digit can begin a record: the expression stops at once at anything else.
        if head := _RECORD.match(data, begin, end):
            revision, length, checksum = int(head[1]), int(head[2]), int(head[3], 16)
            text = data[head.end() : end]
            if len(text) == length and _checksum(revision, text) == checksum:
                yield Record(revision, text, end + 1)
        begin = end + 1


def check_format(data: bytes, name: str) -> None:
    """Refuse the file *name* when it has a form that only a newer program knows.

    Raises:
        StorageError: it has.
    """
    header = _HEADER.match(data)
    if header and int(header[1]) > FORMAT:
        raise StorageError(
            f"{name} was written by a newer Luna (format {int(header[1])}, this one knows up to "
            f"{FORMAT}); update Luna; nothing was changed"
        )


def _checksum(revision: int, text: bytes) -> int:
    return zlib.crc32(text, zlib.crc32(b"%d %d " % (revision, len(text))))
