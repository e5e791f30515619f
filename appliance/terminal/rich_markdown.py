"""Rich's Markdown as a chat wants it. Imported late: it brings the parser and the lexers."""

from __future__ import annotations

from rich.markdown import Heading, Markdown


class _LeftHeading(Heading):
    """A heading where the text begins, not in the middle of the screen."""

    LEVEL_ALIGN = {}  # noqa: RUF012 - Rich's own way to say it


class ChatMarkdown(Markdown):
    """Markdown for an answer."""

    elements = {**Markdown.elements, "heading_open": _LeftHeading}  # noqa: RUF012 - as above
