"""From a file to text: checks it, and has it read in a process of its own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import StorageError, UsageError
from appliance.knowledge import reader
from appliance.knowledge.text import Block, Place

MAX_BYTES = 20_000_000
LIMIT_S = 90.0
"""Time to read a document; the reader's own limit counts its computing time only."""
FORMATS = {
    ".txt": "txt",
    ".text": "txt",
    ".md": "md",
    ".markdown": "md",
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
}
_REASONS = {
    reader.NO_TEXT: "has no text in it (a scanned page is a picture: recognise its text first)",
    reader.PROTECTED: "is protected by a password; save it without one",
    reader.TOO_LARGE: "has too much in it; split it into several files",
}


@dataclass(frozen=True)
class Document:
    """A document that was read."""

    name: str
    """The file's name without its folder."""
    format: str
    """``txt``, ``md``, ``html`` or ``pdf``."""
    sha256: str
    bytes: int
    title: str
    """Empty where the format has none."""
    blocks: tuple[Block, ...]


def read(path: Path) -> Document:
    """Read a document.

    Raises:
        UsageError: it is missing, too large, of an unknown format, damaged or without text.
        StorageError: the reader could not be started.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"{path}: only {', '.join(sorted(FORMATS))} can be read")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: has more than {MAX_BYTES // 1_000_000} MB; split it")
    if form == "pdf" and b"%PDF-" not in data[:1024]:
        raise UsageError(f"{path}: is no PDF, whatever its name says")
    title, blocks = _read_apart(path, form, data)
    digest = hashlib.sha256(data).hexdigest()
    return Document(path.name, form, digest, len(data), title, blocks)


def _read_apart(path: Path, form: str, data: bytes) -> tuple[str, tuple[Block, ...]]:
    """Return title and blocks, as a process of its own has read them."""
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", reader.__name__, form],
            input=data,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            cwd="/",
            env={},
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{path}: could not be read within {LIMIT_S:.0f} s") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read now: {error.strerror}") from error
    if done.returncode:
        # A negative code is the signal that ended it: it ran into a limit.
        reason = _REASONS[reader.TOO_LARGE] if done.returncode < 0 else "is damaged"
        raise UsageError(f"{path}: {_REASONS.get(done.returncode, reason)}")
    title, blocks = json.loads(done.stdout)
    return title, tuple(
        Block(text, Place(page, line, heading)) for text, page, line, heading in blocks
    )
