"""Cuts an answer that is still arriving into blocks, so that only its end is ever drawn anew.

A toolkit's Markdown widget draws the whole list or code block again for every piece that comes;
over two thousand lines that is over a minute of work. Here a block is a paragraph, one item of a
list, a table, or some lines of code, and what is closed is never looked at again. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

LONG = 2000
"""Characters after which a paragraph is cut at the end of a line."""
CODE_LINES = (20, 60)
"""Lines of code that are coloured together: at least, where a line at the margin follows an empty
one; and at most. A string over more lines may lose its colour."""
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_HEADING = re.compile(r"#{1,6}\s")
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]"
)


class Piece(Protocol):
    """A piece of an answer, prose or code."""

    @property
    def text(self) -> str: ...
    @property
    def block(self) -> int:
        """Which block of code, from 1; 0 is prose."""

    @property
    def language(self) -> str: ...


class Splitter(Protocol):
    """Takes prose and code apart while an answer arrives."""

    def feed(self, text: str) -> Iterable[Piece]: ...
    def flush(self) -> Iterable[Piece]: ...


NewSplitter = Callable[[], Splitter]


@dataclass
class Block:
    """A part of an answer that is drawn as a whole."""

    kind: Literal["prose", "item", "code"]
    source: str = ""
    number: int = 0
    """Of the code block, from 1."""
    language: str = ""
    first: bool = True
    """Not the continuation of what was only cut because it is long."""


def harmless(text: str) -> str:
    """Return *text* without what a terminal would obey, or what would turn its direction."""
    text = text.replace("\r\n", "\n").expandtabs(4)
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


class Cutter:
    """Takes an answer as it comes; its blocks are in ``blocks``, the last one still open."""

    def __init__(self, splitter: Splitter) -> None:
        self.blocks: list[Block] = []
        self._splitter = splitter
        self._line = ""
        """The prose of the line that is still open, and what there was before it."""
        self._before = (0, 0)
        self._blank = True
        """The last line was empty: what comes next begins a block."""

    def feed(self, text: str) -> int:
        """Take the next piece; return the index of the first block that changed."""
        return self._take(self._splitter.feed(harmless(text)))

    def close(self) -> int:
        """The answer is whole; return the index of the first block that changed."""
        return self._take(self._splitter.flush())

    def code(self) -> dict[int, str]:
        """Return the blocks of code by number."""
        found: dict[int, str] = {}
        for block in self.blocks:
            if block.kind == "code":
                found[block.number] = found.get(block.number, "") + block.source
        return {number: code.strip("\n") for number, code in found.items()}

    def _take(self, pieces: Iterable[Piece]) -> int:
        changed = max(0, len(self.blocks) - 1)
        if self._line:
            changed = min(changed, max(0, self._before[0] - 1))
        for piece in pieces:
            if piece.block:
                self._code(piece)
            else:
                self._prose(piece.text)
        return changed

    def _code(self, piece: Piece) -> None:
        self._line, self._blank = "", True
        for line in piece.text.splitlines(keepends=True):
            last = self.blocks[-1] if self.blocks else None
            same = last is not None and last.kind == "code" and last.number == piece.block
            if last is None or not same or _full(last.source, line):
                last = Block("code", "", piece.block, piece.language, first=not same)
                self.blocks.append(last)
            last.source += line

    def _prose(self, text: str) -> None:
        for part in text.splitlines(keepends=True):
            if self._line:
                self._take_back()
            else:
                self._before = (len(self.blocks), self._last_length())
            self._line += part
            whole = part.endswith("\n")
            if self._line.strip():
                self._place(self._line)
                if whole:
                    self._blank = bool(_HEADING.match(self._line))
            elif whole:
                self._blank = True
            if whole:
                self._line = ""

    def _take_back(self) -> None:
        """Remove the open line: what it is shows only when more of it is there."""
        count, length = self._before
        del self.blocks[count:]
        if self.blocks:
            self.blocks[-1].source = self.blocks[-1].source[:length]

    def _last_length(self) -> int:
        return len(self.blocks[-1].source) if self.blocks else 0

    def _place(self, line: str) -> None:
        """Put a line that is not empty, or the beginning of one, where it belongs."""
        last = self.blocks[-1] if self.blocks else None
        kind: Literal["prose", "item"] = "item" if _ITEM.match(line) else "prose"
        if last is not None and last.kind == "item" and line[0] == " ":
            last.source += ("\n" if self._blank else "") + line
        elif last is None or last.kind == "code" or self._blank or kind == "item":
            self.blocks.append(Block(kind, line))
        elif _HEADING.match(line):
            self.blocks.append(Block("prose", line))
        elif len(last.source) > LONG and last.source[0] != "|":
            self.blocks.append(Block("prose", line, first=False))
        else:
            last.source += line


def _full(code: str, line: str) -> bool:
    """Return whether *line* begins another block."""
    lines = code.count("\n")
    if lines < CODE_LINES[0] or not code.endswith("\n"):
        return False
    return lines >= CODE_LINES[1] or (code.endswith("\n\n") and not line[0].isspace())
