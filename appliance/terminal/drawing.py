"""Draws blocks of an answer as lines of a given width. Rich does the work."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from rich.theme import Theme
from textual.strip import Strip

from appliance.terminal.blocks import Block
from appliance.terminal.themes import Palette


@dataclass(frozen=True)
class Line:
    """A line as it is drawn."""

    strip: Strip
    join: str = "\n"
    """What stands between it and the next in the text that is copied: nothing or a blank where
    it was only broken because the terminal is narrow."""
    code: int = 0
    """The code block whose head it is; a click copies that."""
    text: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.strip.text.rstrip())


class Drawer:
    """Draws with the colours of a palette."""

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        self._console = Console(
            file=io.StringIO(),
            force_terminal=True,
            color_system="truecolor",
            theme=_theme(palette),
            markup=False,
            highlight=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )
        self._code = Style.parse(f"on {palette.code_ground}") if palette.code_ground else Style()

    def label(self, name: str, detail: str, color: str, width: int) -> list[Line]:
        """Return the line that says who speaks."""
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(name, Style.parse(f"bold {color}"))
        if detail:
            text.append(f"  {detail}", self._soft())
        return self._lines(text, width)

    def plain(self, text: str, width: int, color: str = "") -> list[Line]:
        """Return text as it was typed or said, in a colour of the palette."""
        style = self._soft() if color == "soft" else Style()
        if color and color != "soft":
            style = Style.parse(getattr(self.palette, color))
        return self._lines(Text(text, style=style, overflow="fold"), width)

    def block(self, block: Block, width: int, copy: str = "") -> list[Line]:
        """Return the lines of a block; *copy* is what the head of code says, empty for none."""
        if block.kind == "code":
            head = self._head(block, width, copy) if block.first and copy else []
            return head + self._code_lines(block, width)
        from appliance.terminal.rich_markdown import ChatMarkdown

        drawn = ChatMarkdown(block.source, hyperlinks=False, code_theme=self.palette.code_style)
        soft = block.kind == "prose" and block.source[0] not in "|>#"
        lines = self._lines(drawn, width, " " if soft else "\n")
        while lines and not lines[-1].text:
            lines.pop()
        while lines and not lines[0].text:
            lines.pop(0)
        return lines

    def _head(self, block: Block, width: int, copy: str) -> list[Line]:
        name = f"─ {block.language or 'code'} "
        rule = "─" * max(1, width - len(name) - len(copy) - 3)
        text = Text(f"{name}{rule} {copy} ─"[:width], style=self._soft())
        return [Line(line.strip, code=block.number) for line in self._lines(text, width)[:1]]

    def _code_lines(self, block: Block, width: int) -> list[Line]:
        from rich.syntax import Syntax

        syntax = Syntax(
            "",
            block.language or "text",
            theme=self.palette.code_style,
            background_color=self.palette.code_ground or "default",
        )
        source = block.source.removesuffix("\n")
        text = syntax.highlight(source)[: len(source)]
        lines: list[Line] = []
        for code in text.split("\n", allow_blank=True):
            rows = _rows(code, width)
            for number, row in enumerate(rows):
                segments = Segment.apply_style(row.render(self._console), self._code)
                strip = Strip(segments).extend_cell_length(width, self._code)
                lines.append(Line(strip, "" if number < len(rows) - 1 else "\n"))
        return lines

    def _lines(self, drawn: object, width: int, join: str = "\n") -> list[Line]:
        options = self._console.options.update(width=width, height=None)
        rows = self._console.render_lines(drawn, options, pad=False)  # type: ignore[arg-type]
        return [
            Line(Strip(row), join if index < len(rows) - 1 else "\n")
            for index, row in enumerate(rows)
        ]

    def _soft(self) -> Style:
        soft = self.palette.soft
        return Style(dim=True) if soft == "default" else Style.parse(soft)


def _rows(text: Text, width: int) -> list[Text]:
    """Cut *text* into rows of at most *width* cells, between words or not: code is no prose."""
    cuts: list[int] = []
    if cell_len(text.plain) > width:
        used = 0
        for index, character in enumerate(text.plain):
            size = cell_len(character)
            if used + size > width:
                cuts.append(index)
                used = 0
            used += size
    rows = list(text.divide(cuts))
    for row in rows:
        row.end = ""
    return rows


def _theme(palette: Palette) -> Theme:
    """Return the styles of Markdown's elements."""
    ink = "" if palette.ink == "default" else palette.ink
    code = f"bold {palette.luna}"
    soft = "dim" if palette.soft == "default" else palette.soft
    styles = {
        "markdown.paragraph": ink,
        "markdown.code": code,
        "markdown.code_block": palette.luna,
        "markdown.block_quote": soft,
        "markdown.list": ink,
        "markdown.item.bullet": palette.luna,
        "markdown.item.number": palette.luna,
        "markdown.hr": soft,
        "markdown.h1": f"bold underline {ink}",
        "markdown.h2": f"bold {palette.luna}",
        "markdown.h3": f"bold {ink}",
        "markdown.h4": f"bold {ink}",
        "markdown.h5": f"italic {ink}",
        "markdown.h6": f"italic {soft}",
        "markdown.link": f"underline {palette.luna}",
        "markdown.link_url": f"underline {palette.luna}",
        "markdown.table.border": soft,
        "markdown.table.header": f"bold {palette.luna}",
    }
    return Theme({name: Style.parse(style.strip()) for name, style in styles.items()})
