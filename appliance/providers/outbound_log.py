"""What left the box: each request to a provider, as it was sent, kept here for the owner alone.

JSON lines in a few files named by the time of their first entry. A file is closed when it is full
or a day old; files go when they are too old or all of them too large. Nothing of it is ever sent,
and the answers are not in it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from appliance.chat import ChatMessage
from appliance.errors import StorageError
from appliance.log import logger

FILES = 8
"""Into so many files the log is divided: an eighth of it goes at a time."""
DAY_S = 86_400
MAX_ENTRY_BYTES = 262_144
"""A longer request is kept with its beginning only."""


@dataclass(frozen=True, kw_only=True)
class Outbound:
    """One request that left."""

    at: float
    """Seconds since 1970."""
    provider: str
    host: str
    model: str
    role: str
    """chat, code, vision, stt or tts."""
    turn_id: int = 0
    redacted: bool = False
    """Placeholders stand for what was private."""
    messages: Sequence[Any] = field(default_factory=tuple)
    """As sent; pictures and sound only by their size."""
    sent_bytes: int = 0
    """Size of the request."""

    @classmethod
    def of_sound(cls, provider: str, address: str, model: str, turn_id: int, size: int) -> Outbound:
        """Return the entry for *size* bytes of somebody's speech, sent to *address*."""
        return cls(
            at=time.time(),
            provider=provider,
            host=urlsplit(address).hostname or "",
            model=model,
            role="stt",
            turn_id=turn_id,
            messages=({"type": "sound", "bytes": size},),
            sent_bytes=size,
        )

    @classmethod
    def of_speech(
        cls, provider: str, address: str, model: str, turn_id: int, text: str
    ) -> Outbound:
        """Return the entry for *text* that is to be spoken, sent to *address*."""
        return cls(
            at=time.time(),
            provider=provider,
            host=urlsplit(address).hostname or "",
            model=model,
            role="tts",
            turn_id=turn_id,
            messages=({"type": "text to speak", "content": text},),
            sent_bytes=len(text.encode()),
        )


def described(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Return *messages* with the size of each picture in its place."""
    return [
        {**message, "content": [_part(part) for part in content]}
        if isinstance(content := message.get("content"), list)
        else dict(message)
        for message in messages
    ]


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part.get("type") != "image_url":
        return part
    return {"type": "image", "characters": len(str(part["image_url"].get("url", "")))}


class OutboundLog:
    """Appends entries in a thread of its own: a slow card must not delay an answer.

    A write that fails is a warning in the log; the request itself goes on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int,
        max_days: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Keep at most *max_bytes* and *max_days* in *folder*, which is made when needed."""
        self._folder = folder
        self._file_bytes = max(max_bytes // FILES, 1)
        self._max_bytes = max_bytes
        self._max_age_s = max_days * DAY_S
        self._now = now
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbound-log")

    def record(self, entry: Outbound) -> None:
        """Append *entry* soon."""
        self._writer.submit(self._write, entry).add_done_callback(_complain)

    def close(self) -> None:
        """Write what is waiting."""
        self._writer.shutdown(wait=True)

    def _write(self, entry: Outbound) -> None:
        line = json.dumps(asdict(entry), ensure_ascii=False, default=str).encode()
        if len(line) > min(MAX_ENTRY_BYTES, self._file_bytes):
            short = {**asdict(entry), "messages": ["(too long to be kept)"]}
            line = json.dumps(short, ensure_ascii=False).encode()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prune()
        file = self._file(len(line) + 1)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as stream:
            # After a power cut the last line may be a half: begin a new one in any case.
            stream.write(b"\n" + line if stream.tell() else line)

    def _file(self, size: int) -> Path:
        """Return the file for an entry of *size* bytes."""
        now = self._now()
        files = _files(self._folder)
        if files:
            last = files[-1]
            young = now - _began(last) < DAY_S
            if young and last.stat().st_size + size <= self._file_bytes:
                return last
        return self._folder / f"{max(int(now * 1000), _last_ms(files) + 1):015d}.jsonl"

    def _prune(self) -> None:
        files = _files(self._folder)
        room = self._max_bytes - self._file_bytes  # for the file that is being written
        for file in reversed(files):
            room -= file.stat().st_size
            # A file begun a day later may hold nothing older than the limit.
            expired = self._now() - _began(file) > self._max_age_s
            if expired or (room < 0 and file != files[-1]):
                file.unlink(missing_ok=True)


def read(folder: Path, limit: int = 50, *, max_days: int | None = None) -> list[Outbound]:
    """Return the latest *limit* entries of the log in *folder*, the newest last.

    Raises:
        StorageError: it cannot be read.
    """
    oldest = 0.0 if max_days is None else time.time() - max_days * DAY_S
    found: list[Outbound] = []
    try:
        for file in reversed(_files(folder)):
            lines = file.read_bytes().splitlines()
            entries = [entry for line in lines if (entry := _entry(line)) and entry.at >= oldest]
            found = entries + found
            if len(found) >= limit:
                break
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror}") from error
    return found[-limit:] if limit > 0 else []


def clear(folder: Path) -> None:
    """Delete the log in *folder*.

    Raises:
        StorageError: it cannot be deleted.
    """
    try:
        for file in _files(folder):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be emptied: {error.strerror}") from error


def _entry(line: bytes) -> Outbound | None:
    """Return what *line* says; None for half a line."""
    try:
        values = json.loads(line)
        known = {f.name for f in fields(Outbound)}
        return Outbound(**{key: value for key, value in values.items() if key in known})
    except (ValueError, TypeError, AttributeError):
        return None


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.jsonl") if file.stem.isdigit())


def _began(file: Path) -> float:
    return int(file.stem) / 1000


def _last_ms(files: Sequence[Path]) -> int:
    return int(files[-1].stem) if files else 0


def _complain(done: Future[None]) -> None:
    if error := done.exception():
        reason = getattr(error, "strerror", None) or type(error).__name__
        logger.warning("what left the box could not be logged: %s", reason)
