"""What was said, as lines: only those that are in view are given to the terminal.

A transcript only grows at its end, so that a piece of an answer costs the drawing of its last
block, however long the answer is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from appliance.terminal.blocks import Block, Cutter, NewSplitter, harmless
from appliance.terminal.drawing import Drawer, Line
from appliance.terminal.themes import palette

if TYPE_CHECKING:
    from textual import events
    from textual.selection import Selection

SLICE = 40
"""Blocks that are drawn anew at once when the width changes; then keys get their turn."""
_BLANK = Line(Strip.blank(0))


@dataclass
class Part:
    """Something that is drawn as a whole, and where its lines begin."""

    start: int
    block: Block | None = None
    label: tuple[str, str, str] | None = None
    """Who speaks, what is known of it, and in which colour of the palette."""
    text: str = ""
    style: str = ""
    """A colour of the palette, of ``text``."""
    gap: bool = True
    """An empty line stands before it."""
    answer: Answer | None = None


@dataclass(eq=False)
class Answer:
    """An answer that comes, or came, piece by piece."""

    cutter: Cutter
    first: int = -1
    """Its first part."""
    text: str = ""
    done: bool = False
    bare: bool = False
    """It was asked for as nothing but code: without a fence, all of it is code."""
    whole: list[str] = field(default_factory=list)
    """Of such an answer: it, as it is."""

    def code(self) -> list[str]:
        """Return the blocks of code."""
        return [code for code in self.cutter.code().values() if code] or self.whole


class Transcript(ScrollView, can_focus=True):
    """Shows what was said.

    Args:
        splitter: makes what takes prose and code apart.
        copy_hint: what the head of a code block says.
        code_only: show nothing but the code of the answers.
    """

    DEFAULT_CSS = """
    Transcript { padding: 0 1; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """

    class CodeClicked(Message):
        """The head of a code block was clicked."""

        def __init__(self, code: str) -> None:
            super().__init__()
            self.code = code

    class TopReached(Message):
        """Somebody scrolled to the beginning: there may be more before it."""

    def __init__(
        self,
        splitter: NewSplitter,
        *,
        copy_hint: str = "",
        code_only: bool = False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._splitter = splitter
        self._copy_hint = copy_hint
        self._code_only = code_only
        self._drawer = Drawer(palette(""))
        self._parts: list[Part] = []
        self._lines: list[Line] = []
        self._answers: list[Answer] = []
        self._follow = True
        """The end stays in view."""
        self._quiet = False
        """More comes at once: what was added is shown then."""
        self._drawn_width = 0
        self._redrawing: asyncio.Task[None] | None = None
        self._stale = 0
        """The first part that changed while everything is drawn anew."""

    # --- what is added ---

    def say(self, name: str, detail: str, color: str, text: str = "") -> None:
        """Add who speaks and, for a person, what was said."""
        if self._code_only:
            return
        self._add(Part(0, label=(name, detail, color)))
        if text:
            self._add(Part(0, text=harmless(text), gap=False))
        self._grown(len(self._parts) - 1)

    def note(self, text: str, style: str = "soft") -> None:
        """Add a line about what happened."""
        if not self._code_only:
            self._add(Part(0, text=harmless(text), style=style))
            self._grown(len(self._parts) - 1)

    def begin(self, *, bare: bool = False) -> Answer:
        """Begin an answer; *bare*: what has no fence at all is code too."""
        answer = Answer(Cutter(self._splitter()), bare=bare)
        self._answers.append(answer)
        return answer

    def write(self, answer: Answer, text: str) -> None:
        """Add a piece to the answer that was begun last."""
        answer.text += text
        self._show(answer, answer.cutter.feed(text))

    def end(self, answer: Answer) -> None:
        """The answer is whole, or nothing more comes."""
        if answer.done:
            return
        answer.done = True
        self._show(answer, answer.cutter.close())
        if self._code_only and answer.bare and not answer.code() and answer.text.strip():
            answer.whole = [harmless(answer.text).strip()]
            self._add(Part(0, block=Block("code", answer.whole[0], 1), answer=answer))
            self._grown(len(self._parts) - 1)

    @contextmanager
    def before_all(self) -> Iterator[None]:
        """What is added in this context stands before what is there; the view does not move."""
        parts, lines, answers = self._parts, self._lines, self._answers
        follow, row = self._follow, round(self.scroll_y)
        self._parts, self._lines, self._answers = [], [], []
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False
            more, added = len(self._lines), len(self._parts)
            for part in parts:
                part.start += more
            for answer in answers:
                answer.first += added if answer.first >= 0 else 0
            self._parts += parts
            self._lines += lines
            self._answers += answers
            self.virtual_size = Size(self._drawn_width, len(self._lines))
            if follow:
                self._to_end()
            else:
                self.scroll_to(y=row + more, animate=False, immediate=True, force=True)
            self.refresh()

    def clear(self) -> None:
        """Forget all that is shown."""
        self._stop_redrawing()
        self._parts, self._lines, self._answers = [], [], []
        self.virtual_size = Size(0, 0)
        self.scroll_to(0, 0, animate=False, immediate=True, force=True)
        self._follow = True
        self.refresh()

    def code(self) -> list[str]:
        """Return all blocks of code, from the first to the last."""
        return [code for answer in self._answers for code in answer.code()]

    def code_in_view(self) -> str:
        """Return the last block of code that can be seen, else the last of all; or nothing."""
        bottom = round(self.scroll_y) + self.size.height
        for part in reversed(self._parts):
            if part.block is not None and part.block.kind == "code" and part.start < bottom:
                return self._code_of(part)
        found = self.code()
        return found[-1] if found else ""

    # --- drawing ---

    @property
    def allow_select(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """All that is shown, with lines broken where they were broken in the original."""
        return "".join(line.text + line.join for line in self._lines)

    def on_mount(self) -> None:
        self._new_drawer()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._recolour())

    def on_resize(self, _: events.Resize) -> None:
        if self._width() != self._drawn_width:
            self._redraw()
        elif self._follow:
            self._to_end()

    def on_click(self, event: events.Click) -> None:
        row = round(self.scroll_y) + event.y - self.styles.padding.top
        if event.button != 1 or not 0 <= row < len(self._lines) or not self._lines[row].code:
            return
        for part in reversed(self._parts):
            if part.start <= row:
                self.post_message(self.CodeClicked(self._code_of(part)))
                return

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._follow = new_value >= self.max_scroll_y
        if new_value <= 0 < old_value:
            self.post_message(self.TopReached())

    def render_line(self, y: int) -> Strip:
        row = round(self.scroll_y) + y
        width = self.scrollable_content_region.width
        style = self.rich_style
        if row >= len(self._lines):
            return Strip.blank(width, style)
        strip = self._lines[row].strip
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(row)) is not None:
            start, end = span
            marked = self.screen.get_component_rich_style("screen--selection")
            strip = _mark(strip, start, end if end >= 0 else strip.cell_length, marked)
        strip = strip.crop_extend(0, width, None).apply_style(style)
        return strip.apply_offsets(0, row)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else len(self._lines) - 1
        found: list[str] = []
        for row in range(max(0, first), min(last, len(self._lines) - 1) + 1):
            line = self._lines[row]
            start = selection.start.x if selection.start and row == first else 0
            end = selection.end.x if selection.end and row == last else len(line.text)
            found.append(line.text[start:end] + (line.join if row < last else ""))
        return "".join(found), "\n"

    def selection_updated(self, _: Selection | None) -> None:
        self.refresh()

    def _width(self) -> int:
        # One column is the scroll bar's, whether it is there or not: nothing moves when it comes.
        return max(10, self.size.width - 1 if self.size.width else 0)

    def _new_drawer(self) -> None:
        self._drawer = Drawer(palette(self.app.theme))

    def _recolour(self) -> None:
        self._new_drawer()
        self._redraw()

    def _code_of(self, part: Part) -> str:
        if part.block is None or part.answer is None:
            return ""
        found = part.answer.cutter.code().get(part.block.number, "")
        return found or "\n\n".join(part.answer.whole)

    def _show(self, answer: Answer, changed: int) -> None:
        """Draw the blocks of an answer from *changed* on anew."""
        blocks = answer.cutter.blocks
        if answer.first < 0:
            answer.first = len(self._parts)
        shown = [(i, b) for i, b in enumerate(blocks) if not self._code_only or b.kind == "code"]
        before = sum(1 for i, _ in shown if i < changed)
        first = answer.first + before
        old: list[Line] = []
        if first < len(self._parts):
            if self._redrawing is None:
                start = self._parts[first].start
                old = self._lines[start:]
                del self._lines[start:]
            self._stale = min(self._stale, first)
            del self._parts[first:]
        for index, block in shown[before:]:
            near = index > 0 and blocks[index - 1].kind == block.kind == "item"
            gap = block.first and index > 0 and not near
            if self._code_only:
                gap = block.first and bool(self._parts)
            self._add(Part(0, block=block, gap=gap, answer=answer))
        self._grown(first, old)

    def _add(self, part: Part) -> None:
        self._parts.append(part)
        if self._redrawing is None and self._drawn_width:
            self._lines += self._draw(part, len(self._lines), self._drawn_width)

    def _draw(self, part: Part, start: int, width: int) -> list[Line]:
        """Return the lines of a part that begins at line *start*."""
        part.start = start
        drawer = self._drawer
        lines = [_BLANK] if part.gap and start else []
        if part.label is not None:
            name, detail, color = part.label
            return lines + drawer.label(name, detail, getattr(drawer.palette, color), width)
        if part.block is not None:
            return lines + drawer.block(part.block, width, self._copy_hint)
        return lines + drawer.plain(part.text, width, part.style)

    def _grown(self, first: int, old: Sequence[Line] = ()) -> None:
        """Show what changed from part *first* on; until now the lines there were *old*."""
        if self._quiet or self._redrawing is not None or not self._drawn_width:
            return
        follow = self._follow
        start = self._parts[first].start if first < len(self._parts) else len(self._lines)
        end = max(len(self._lines), start + len(old))
        for before, line in zip(old, self._lines[start:], strict=False):
            if before.strip != line.strip:
                break
            start += 1
        self.virtual_size = Size(self._drawn_width, len(self._lines))
        if follow:
            self._to_end()
        self.refresh_lines(start, end - start)

    def _to_end(self) -> None:
        self._follow = True
        self.scroll_end(animate=False, immediate=True, x_axis=False, force=True)

    def _redraw(self) -> None:
        """Draw everything anew, a slice at a time; until then the old lines stay."""
        self._stop_redrawing()
        if self.size.width:
            self._redrawing = asyncio.create_task(self._redraw_slices())

    def _stop_redrawing(self) -> None:
        if self._redrawing is not None:
            self._redrawing.cancel()
            self._redrawing = None

    async def _redraw_slices(self) -> None:
        width = self._width()
        below = len(self._lines) - round(self.scroll_y)
        lines: list[Line] = []
        starts: list[int] = []
        while len(starts) < len(self._parts):
            for part in self._parts[len(starts) : len(starts) + SLICE]:
                starts.append(len(lines))
                lines += self._draw(part, len(lines), width)
            self._stale = len(starts)
            await asyncio.sleep(0)
            if self._stale < len(starts):
                # Meanwhile the end of an answer changed.
                del lines[starts[self._stale] :], starts[self._stale :]
        self._redrawing = None
        self._drawn_width, self._lines = width, lines
        self.virtual_size = Size(width, len(lines))
        if self._follow:
            self._to_end()
        else:
            self.scroll_to(y=max(0, len(lines) - below), animate=False, immediate=True, force=True)
        self.refresh()


def _mark(strip: Strip, start: int, end: int, style: Style) -> Strip:
    """Return *strip* with some of its cells in another style."""
    before, marked, after = strip.divide([start, end, max(end, strip.cell_length)])[:3]
    return Strip.join([before, Strip([*marked]).apply_style(style), after])
