"""Separates code from prose while an answer arrives: prose is for the ear, code for the eye.

Fences are those of CommonMark (three or more backticks or tildes at the beginning of a line,
closed by at least as many); because small models write ``Here it is: ```python`` as well,
backticks open a block anywhere in a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SHOWN_KEY = "speech.code_on_page"
"""The catalogue's sentence that is spoken once an answer with code is whole."""
MAX_LANGUAGE = 30
"""Characters of a language's name."""
_FENCE_LENGTH = 3
_LANGUAGE = re.compile(r"[\w+#.-]+")


@dataclass(frozen=True)
class Piece:
    """A piece of an answer."""

    text: str
    block: int = 0
    """Which block of code it belongs to, counting from 1; 0 is prose."""
    language: str = ""
    """Of the block, as the fence names it, in lower case; may be empty."""


class CodeSplitter:
    """Takes an answer as it comes and returns prose and code apart, without the fences.

    The pieces, joined block by block, do not depend on how the text came in pieces. A block
    that is never closed reaches to the end of the answer.
    """

    def __init__(self) -> None:
        self.blocks = 0
        """How many blocks have begun."""
        self._take = self._in_prose
        self._held = ""
        """What came and may yet be part of a fence."""
        self._fence = ""
        self._language = ""
        self._line_blank = True
        """Nothing but white space came in this line so far."""
        self._pieces: list[Piece] = []

    def feed(self, text: str) -> list[Piece]:
        """Take the next piece of the answer; return what is decided."""
        for char in text:
            self._take(char)
        pieces, self._pieces = self._pieces, []
        return pieces

    def flush(self) -> list[Piece]:
        """The answer is whole: return what was held back."""
        held, self._held = self._held, ""
        if self._take == self._in_prose:
            if len(held) < _FENCE_LENGTH:
                self._emit(held)
        elif self._take == self._in_code:
            if not self._closes(held):
                self._emit(held)
        elif not _LANGUAGE.fullmatch(held.strip()):
            self._begin_block(language="")
            self._emit(held)
        return self.feed("")

    def _in_prose(self, char: str) -> None:
        if self._held and char == self._held[0]:
            self._held += char
        elif len(self._held) >= _FENCE_LENGTH:
            self._fence, self._held = self._held, ""
            self._take = self._in_opening_line
            self._in_opening_line(char)
        elif char == "`" or (char == "~" and self._line_blank and not self._held):
            self._emit(self._held)
            self._held = char
        else:
            self._emit(self._held + char)
            self._line_blank = char == "\n" or (
                self._line_blank and char.isspace() and not self._held
            )
            self._held = ""

    def _in_opening_line(self, char: str) -> None:
        if char == "\n":
            named = _LANGUAGE.match(self._held.strip())
            self._begin_block(named[0].lower()[:MAX_LANGUAGE] if named else "")
            return
        self._held += char
        if self._fence[0] == "`" and self._held.endswith(self._fence):
            code = self._held.removesuffix(self._fence)
            self._begin_block(language="")
            self._emit(code)
            self._end_block(line_blank=False)

    def _in_code(self, char: str) -> None:
        self._held += char
        if char == "\n" and self._closes(self._held):
            self._end_block(line_blank=True)
            self._emit(char)  # so that the sentences before and behind the block stay apart
        elif char == "\n" or not (self._line_blank and self._may_close(self._held)):
            self._emit(self._held)
            self._held = ""
            self._line_blank = char == "\n"

    def _begin_block(self, language: str) -> None:
        self.blocks += 1
        self._language, self._held, self._line_blank = language, "", True
        self._take = self._in_code

    def _end_block(self, *, line_blank: bool) -> None:
        self._language, self._held, self._line_blank = "", "", line_blank
        self._take = self._in_prose

    def _may_close(self, line: str) -> bool:
        return not line.strip().strip(self._fence[0])

    def _closes(self, line: str) -> bool:
        return self._may_close(line) and len(line.strip()) >= len(self._fence)

    def _emit(self, text: str) -> None:
        block = self.blocks if self._take == self._in_code else 0
        if self._pieces and self._pieces[-1].block == block:
            text = self._pieces.pop().text + text
        if text:
            self._pieces.append(Piece(text, block, self._language))


def code_only(answer: str) -> str:
    """Return the code of *answer* alone, its blocks apart by an empty line; the whole without any.

    For the mode in which the model was asked for nothing but code, with or without a fence.
    """
    splitter = CodeSplitter()
    blocks: dict[int, str] = {}
    for piece in [*splitter.feed(answer), *splitter.flush()]:
        if piece.block:
            blocks[piece.block] = blocks.get(piece.block, "") + piece.text
    return "\n\n".join(code.strip("\n") for code in blocks.values()) or answer.strip()
