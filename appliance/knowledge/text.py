"""What a document is made of once it is read: blocks of text, and where each stands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

CHUNK_CHARACTERS = 800
"""Of a chunk at most: some 130 words, which is one subject and leaves room in a small context."""
JOINED_CHARACTERS = 300
"""A chunk that has so many takes no further paragraph: its place shall say where to look."""
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True)
class Place:
    """Where a text stands in its document; what does not apply is 0 or empty."""

    page: int = 0
    line: int = 0
    heading: str = ""


@dataclass(frozen=True)
class Block:
    """A paragraph, or what stands together otherwise."""

    text: str
    place: Place


def chunks(blocks: Sequence[Block]) -> Iterator[Block]:
    """Join neighbouring blocks of one page and heading to chunks, and cut those too long.

    A chunk has at most ``CHUNK_CHARACTERS``, stands where its first block does, and ends with a
    sentence wherever a sentence is not longer than a chunk.
    """
    held: Block | None = None
    for block in blocks:
        for piece in _pieces(block):
            joined = f"{held.text}\n{piece.text}" if held else piece.text
            if held and _together(held, piece, len(joined)):
                held = replace(held, text=joined)
                continue
            if held:
                yield held
            held = piece
    if held:
        yield held


def sentences(text: str) -> list[str]:
    """Return the sentences of *text*; a line of its own counts as one."""
    return [
        sentence.strip()
        for line in text.splitlines()
        for sentence in _SENTENCE_END.split(line)
        if sentence.strip()
    ]


def _together(one: Block, other: Block, size: int) -> bool:
    if len(one.text) >= JOINED_CHARACTERS or size > CHUNK_CHARACTERS:
        return False
    return (one.place.page, one.place.heading) == (other.place.page, other.place.heading)


def _pieces(block: Block) -> Iterator[Block]:
    """Cut a block that is longer than a chunk, between sentences where there are any."""
    if len(block.text) <= CHUNK_CHARACTERS:
        yield block
        return
    piece = ""
    for sentence in sentences(block.text):
        for start in range(0, len(sentence), CHUNK_CHARACTERS):
            part = sentence[start : start + CHUNK_CHARACTERS]
            if piece and len(piece) + len(part) + 1 > CHUNK_CHARACTERS:
                yield replace(block, text=piece)
                piece = ""
            piece = f"{piece} {part}" if piece else part
    if piece:
        yield replace(block, text=piece)
