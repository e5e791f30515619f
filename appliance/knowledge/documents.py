"""From a file to text: checks it, and has it read in a process of its own."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from appliance import sandbox
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
_PAGE = re.compile(rb"<(?:!doctype html|html)\b", re.IGNORECASE)
_BEFORE_PAGE = ((b"<?xml", b"?>"), (b"<!--", b"-->"))


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
    if form == "pdf" and not is_pdf(data):
        raise UsageError(f"{path}: is no PDF, whatever its name says")
    return _document(path.name, str(path), form, data)


def read_upload(name: str, data: bytes) -> Document:
    """Return the document in *data*; what it is, its content tells and not its *name*.

    Raises:
        UsageError: it is too large, of an unknown format, damaged or without text.
        StorageError: the reader could not be started.
    """
    return _document(name, name, format_of(name, data), data)


def is_pdf(data: bytes) -> bool:
    """Return whether this is a PDF; some have a few bytes before their mark."""
    return b"%PDF-" in data[:1024]


def format_of(name: str, data: bytes) -> str:
    """Return the format of what was uploaded.

    Raises:
        UsageError: it is none that can be read.
    """
    if is_pdf(data):
        return "pdf"
    if b"\0" in data[:8192]:
        raise UsageError(f"{name}: is no text, HTML page or PDF, so it cannot be read")
    if _is_page(data[:4096]):
        return "html"
    # Both are plain text; only how headings are marked differs.
    ending = name[max(name.rfind("."), 0) :].lower()
    return "md" if FORMATS.get(ending) == "md" else "txt"


def _is_page(head: bytes) -> bool:
    """Return whether a file begins like an HTML page, comments before it or not."""
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    while ends := [end for start, end in _BEFORE_PAGE if head.startswith(start)]:
        _, _, head = head.partition(ends[0])
        head = head.lstrip()
    return _PAGE.match(head) is not None


def _document(name: str, shown: str, form: str, data: bytes) -> Document:
    """Have a document read; *shown* is how an error names it."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{shown}: has more than {MAX_BYTES // 1_000_000} MB; split it")
    try:
        parsed = sandbox.run(
            f"{reader.__name__}:parse", data, [form], sandbox.Limits(wall_s=LIMIT_S)
        )
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from error
    except StorageError as error:
        raise StorageError(f"{shown}: {error}") from error
    title, blocks = json.loads(parsed)
    return Document(
        name=name,
        format=form,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        title=title,
        blocks=tuple(
            Block(text, Place(page, line, heading)) for text, page, line, heading in blocks
        ),
    )
