"""Reads one document, in a process of its own (see :mod:`appliance.sandbox`).

A document may come from anywhere and its parser may loop, swell or fail: :mod:`.documents` has
:func:`parse` run where it can harm nothing.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator

from appliance.errors import UsageError
from appliance.knowledge.text import Block, Place

MAX_TEXT = 5_000_000
"""Characters of text that are taken of one document: some 2,000 pages."""
MAX_PAGES = 2_000
FULL_LINE = 0.6
"""Part of the longest line from which a line counts as full."""
PROTECTED = "is protected by a password; save it without one"

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_SKIPPED = (
    "script", "style", "template", "noscript", "nav", "head", "title", "svg", "form", "button",
)  # fmt: skip
_BLOCKS = (
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption",
    "figure", "footer", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr",
    "ul",
)  # fmt: skip


def parse(data: bytes, form: str) -> bytes:
    """Return title and blocks of a document in the format *form*, as JSON.

    Raises:
        UsageError: there is no text in it, or it cannot be read without a password.
        MemoryError: there is too much in it.
    """
    title, blocks, size = "", [], 0
    for block in READERS[form](data):
        if isinstance(block, str):
            title = block
            continue
        size += len(block.text)
        if size > MAX_TEXT:
            raise MemoryError
        place = block.place
        blocks.append((block.text, place.page, place.line, place.heading))
    if not blocks:
        raise UsageError(
            "has no text in it (a scanned page is a picture: recognise its text first)"
        )
    return json.dumps([title, blocks]).encode()


# --- formats ---------------------------------------------------------------------------------


def _decode(data: bytes) -> str:
    """Return text in UTF-8, or in the encoding of old Windows files, which takes any byte."""
    if b"\0" in data[:8192]:
        raise ValueError("this is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def read_text(data: bytes) -> Iterator[Block]:
    """Yield the paragraphs of a plain text with their lines."""
    yield from _paragraphs(_decode(data).splitlines(), lambda _: None)


def read_markdown(data: bytes) -> Iterator[Block | str]:
    """Yield the title, and the paragraphs with their lines and headings, without markup."""
    lines = _decode(data).splitlines()
    yield next((_plain(line.removeprefix("# ")) for line in lines if line.startswith("# ")), "")
    fenced = False

    def heading(line: str) -> str | None:
        nonlocal fenced
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        found = None if fenced else re.match(r"\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$", line)
        return _plain(found.group(1)) if found else None

    for block in _paragraphs(lines, heading):
        if text := _plain(block.text):
            yield Block(text, block.place)


def _paragraphs(lines: list[str], heading_of: Callable[[str], str | None]) -> Iterator[Block]:
    heading, start, held = "", 0, list[str]()
    for number, line in enumerate([*lines, ""], 1):
        found = heading_of(line)
        if held and (found is not None or not line.strip()):
            yield Block("\n".join(held), Place(line=start, heading=heading))
            held = []
        if found is not None:
            heading = found
        elif line.strip():
            start = start if held else number
            held.append(line.strip())


def _plain(text: str) -> str:
    """Return a Markdown text without its marks."""
    text = re.sub(r"!?\[([^\]\n]*)\]\([^)\n]*\)", r"\1", text)
    text = re.sub(r"^\s*(?:```|~~~).*$|^\s*[-*_]{3,}\s*$|<!--.*?-->", "", text, flags=re.M)
    text = re.sub(r"(\*\*|__|`+)(\S.*?)\1", r"\2", text)
    return re.sub(r"^\s*(?:[-*+>]\s+)+", "", text, flags=re.M).strip()


def read_html(data: bytes) -> Iterator[Block | str]:
    """Yield the title of a page, and its paragraphs with the heading that each stands under."""
    from bs4 import BeautifulSoup
    from bs4.element import NavigableString, PreformattedString, Tag

    page = BeautifulSoup(data, "html.parser")
    title = page.h1 or page.title
    heading = title.get_text(" ", strip=True) if title else ""
    yield heading
    for tag in page(_SKIPPED):
        tag.decompose()
    held = ""
    for node in page.descendants:
        if isinstance(node, Tag) and (node.name in _BLOCKS or node.name in _HEADINGS):
            if held.strip():
                yield Block(" ".join(held.split()), Place(heading=heading))
            held = ""
            if node.name in _HEADINGS:
                heading = node.get_text(" ", strip=True)
        elif isinstance(node, PreformattedString):
            continue  # comments and declarations
        elif isinstance(node, NavigableString) and node.find_parent(_HEADINGS) is None:
            held += node
    if held.strip():
        yield Block(" ".join(held.split()), Place(heading=heading))


def read_pdf(data: bytes) -> Iterator[Block]:
    """Yield the paragraphs of a PDF with their pages."""
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it warns of every flaw it can mend
    document = PdfReader(io.BytesIO(data))
    if document.is_encrypted:
        try:
            opened = document.decrypt("")
        except Exception as error:
            raise UsageError(PROTECTED) from error
        if not opened:
            raise UsageError(PROTECTED)
    if len(document.pages) > MAX_PAGES:
        raise MemoryError
    for number, page in enumerate(document.pages, 1):
        text = re.sub(r"(\w)-\n(?=[^\W\d_])", r"\1", page.extract_text())
        for paragraph in re.split(r"\n\s*\n", text):
            if joined := _unwrapped(paragraph.splitlines()):
                yield Block(joined, Place(page=number))


def _unwrapped(lines: list[str]) -> str:
    """Join the lines of a paragraph; a break stays after one that ended before the margin."""
    width = max(map(len, lines), default=0)
    text = ""
    for line in lines:
        text += " ".join(line.split()) + ("\n" if len(line) < FULL_LINE * width else " ")
    return text.strip()


READERS: dict[str, Callable[[bytes], Iterator[Block | str]]] = {
    "txt": read_text,
    "md": read_markdown,
    "html": read_html,
    "pdf": read_pdf,
}
"""By format. A text without a place among the blocks is the document's title."""
