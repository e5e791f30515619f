"""Where a person types: some lines that are sent with Enter, and the box's microphone."""

from __future__ import annotations

from time import monotonic

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea

MAX_TEXT = 100_000
"""Characters of a question at most."""
MAX_LINES = 8
"""Lines that are seen at once."""
KEPT = 100
"""Questions that the up key finds again."""
REPEAT_S = 0.8
"""A key that is held down repeats faster than this; its first repeat comes after half a second
or so. Within it, the space bar is the same press."""


class Prompt(TextArea):
    """The line below everything; it grows with what is typed."""

    BINDINGS = [  # noqa: RUF012 - Textual's own way to say it
        Binding("enter", "send", show=False),
        Binding("ctrl+j,shift+enter,alt+enter", "new_line", show=False),
        Binding("up", "earlier", show=False),
        Binding("down", "later", show=False),
        Binding("pageup", "app.scroll_view(-1)", show=False),
        Binding("pagedown", "app.scroll_view(1)", show=False),
    ]
    DEFAULT_CSS = """
    Prompt { height: auto; max-height: 10; border: round $panel; padding: 0 1;
             background: $background; }
    Prompt:focus { border: round $primary; }
    """

    class Sent(Message):
        """A text was sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Talk(Message):
        """The space bar was pressed on an empty line."""

    class TooLong(Message):
        """More was typed or pasted than can be sent; it was left out."""

    def __init__(self, placeholder: str = "", *, id: str | None = None) -> None:
        super().__init__(
            placeholder=placeholder, show_line_numbers=False, tab_behavior="focus", id=id
        )
        # Each blink would be two more packets a second on the line to a distant terminal.
        self.cursor_blink = False
        self.highlight_cursor_line = False
        self._sent: list[str] = []
        self._place = 0
        """Which of the sent ones is shown; after the last stands what is being typed."""
        self._typed = ""
        self._space_at = float("-inf")

    def action_send(self) -> None:
        """Send what is there, and make room at once: the next key may be on its way."""
        text = self.text
        if not text.strip():
            return
        self._sent = [*self._sent[1 - KEPT :], text]
        self._place = len(self._sent)
        self._typed = ""
        self.text = ""
        self.post_message(self.Sent(text))

    def give_back(self, text: str) -> None:
        """It could not be sent: put it back, before what was typed since."""
        self.text = text + self.text
        self.move_cursor(self.document.end)

    def action_new_line(self) -> None:
        """Begin another line."""
        self.insert("\n")

    def action_earlier(self) -> None:
        """Go up, or back to what was sent before."""
        if self.cursor_location[0] > 0 or not self._place:
            self.action_cursor_up()
            return
        if self._place == len(self._sent):
            self._typed = self.text
        self._show(self._place - 1)

    def action_later(self) -> None:
        """Go down, or forward to what was sent after."""
        if self.cursor_location[0] < self.document.line_count - 1:
            self.action_cursor_down()
        elif self._place < len(self._sent):
            self._show(self._place + 1)

    def _show(self, place: int) -> None:
        self._place = place
        self.text = self._sent[place] if place < len(self._sent) else self._typed
        self.move_cursor(self.document.end)

    # Textual calls the base class's own handlers of these two after them, unless they forbid it.

    def on_key(self, event: events.Key) -> None:
        """Take the space bar of an empty line, and nothing that would be too much."""
        full = event.is_printable and len(self.text) >= MAX_TEXT
        if full:
            self.post_message(self.TooLong())
        if full or (event.key == "space" and self._space()):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Take as much as there is room for."""
        room = max(0, MAX_TEXT - len(self.text) + len(self.selected_text))
        if len(event.text) > room:
            event.text = event.text[:room]
            self.post_message(self.TooLong())

    def _space(self) -> bool:
        """Return whether this space is for the microphone."""
        if self.text:
            return False
        now = monotonic()
        repeated = now - self._space_at < REPEAT_S
        self._space_at = now
        if not repeated:
            self.post_message(self.Talk())
        return True
