"""The form that all screens above the chat share, and the small ones."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.geometry import Offset
from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from appliance.errors import LunaError
from appliance.terminal.bars import Say
from appliance.terminal.service import Service
from appliance.terminal.themes import Palette


class Sheet(ModalScreen[ScreenResultType]):
    """A box with a title and a line of keys; Escape closes it."""

    BINDINGS = [  # noqa: RUF012 - Textual's own way to say it
        Binding("escape", "back", show=False),
    ]
    DEFAULT_CSS = """
    Sheet { align: center middle; background: $background 70%; }
    Sheet > Vertical { width: 90%; max-width: 100; height: 90%; max-height: 40;
        border: round $primary; background: $background; padding: 0 1; }
    Sheet .title { text-style: bold; color: $primary; height: 1; }
    Sheet .keys { color: $secondary; height: 1; dock: bottom; }
    Sheet OptionList, Sheet OptionList:focus { height: 1fr; border: none; padding: 0;
        background: $background; }
    Sheet OptionList:nocolor > .option-list--option-highlighted { text-style: reverse; }
    Sheet Input { border: round $panel; background: $background; }
    Sheet Input:focus { border: round $primary; }
    Sheet TextArea, Sheet TextArea:focus { height: 1fr; border: round $primary;
        background: $background; }
    """
    TITLE_KEY = ""
    KEYS_KEY = ""

    def __init__(self, say: Say, palette: Palette) -> None:
        super().__init__()
        self.say = say
        self.palette = palette

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.title_text(), classes="title", markup=False)
            yield from self.body()
            yield Static(self.say(self.KEYS_KEY), classes="keys", markup=False)

    def title_text(self) -> str:
        """Return the title."""
        return self.say(self.TITLE_KEY)

    def body(self) -> ComposeResult:
        """Yield what stands between title and keys."""
        yield from ()

    def action_back(self) -> None:
        """Close it without a result."""
        self.dismiss(None)

    def complain(self, error: LunaError) -> None:
        """Say what went wrong; the screen stays."""
        self.notify(str(error), severity="error", markup=False)


class ListSheet(Sheet[ScreenResultType]):
    """A sheet with a line to type in above a list; up and down always move in the list."""

    BINDINGS = [  # noqa: RUF012 - as above
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("pagedown", "move(10)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False, priority=True),
    ]
    PLACEHOLDER_KEY = ""

    def body(self) -> ComposeResult:
        yield Input(placeholder=self.say(self.PLACEHOLDER_KEY), max_length=1000)
        yield OptionList()

    @property
    def options(self) -> OptionList:
        """The list."""
        return self.query_one(OptionList)

    def fill(self, options: Sequence[Option], nothing_key: str) -> None:
        """Show these options; without any, a sentence that says so."""
        nothing = Option(self.say(nothing_key), disabled=True)
        self.options.set_options(options or [nothing])
        if options:
            self.options.highlighted = 0

    def chosen(self) -> str:
        """Return the id of the option under the cursor; empty for none."""
        index = self.options.highlighted
        if index is None:
            return ""
        return self.options.get_option_at_index(index).id or ""

    def action_move(self, rows: int) -> None:
        """Move the cursor in the list."""
        count = self.options.option_count
        if count:
            self.options.highlighted = max(
                0, min(count - 1, (self.options.highlighted or 0) + rows)
            )


class ServiceList(ListSheet[ScreenResultType]):
    """One that asks the running Luna."""

    def __init__(self, say: Say, palette: Palette, service: Service) -> None:
        super().__init__(say, palette)
        self.service = service


class Confirm(Sheet[bool]):
    """Asks before something that cannot be taken back; no is the default."""

    DEFAULT_CSS = """
    Confirm > Vertical { width: 60; height: 8; border: round $error; }
    Confirm .question { height: 2; }
    """
    TITLE_KEY = "terminal.sure"
    KEYS_KEY = "terminal.confirm_keys"

    def __init__(self, say: Say, palette: Palette, question: str, deed: str) -> None:
        super().__init__(say, palette)
        self._question = question
        self._deed = deed

    def body(self) -> ComposeResult:
        yield Static(self._question, classes="question", markup=False)
        yield OptionList(
            Option(self.say("terminal.no_keep"), id="no"), Option(self._deed, id="yes")
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id == "yes")

    def action_back(self) -> None:
        self.dismiss(False)


class Menu(ModalScreen[str]):
    """The context menu: returns the name of what was chosen."""

    BINDINGS = [  # noqa: RUF012 - as above
        Binding("escape", "dismiss('')", show=False),
    ]
    DEFAULT_CSS = """
    Menu { background: transparent; }
    Menu OptionList, Menu OptionList:focus { width: auto; min-width: 24; max-width: 50;
        height: auto; max-height: 90%; border: round $primary; padding: 0 1;
        background: $background; }
    Menu OptionList:nocolor > .option-list--option-highlighted { text-style: reverse; }
    """

    def __init__(self, rows: Sequence[tuple[str, str, str]], at: Offset) -> None:
        """Each row is a name, what it does, and its key."""
        super().__init__()
        self._rows = rows
        self._at = at

    def compose(self) -> ComposeResult:
        wide = max(len(what) for _, what, _ in self._rows) + 2
        yield OptionList(
            *(Option(f"{what:<{wide}}{key}", id=name) for name, what, key in self._rows),
            markup=False,
        )

    def on_mount(self) -> None:
        self.call_after_refresh(self._place)

    def _place(self) -> None:
        options = self.query_one(OptionList)
        width, height = options.outer_size
        options.styles.offset = (
            max(0, min(self._at.x, self.size.width - width)),
            max(0, min(self._at.y, self.size.height - height)),
        )

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:
            self.dismiss("")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id or "")


def two_columns(left: str, right: str, width: int, palette: Palette) -> Text:
    """Return a row with something soft at its right end."""
    text = Text(no_wrap=True, overflow="ellipsis")
    left = left.replace("\n", " ")
    room = max(8, width - len(right) - 2)
    shown = left if len(left) <= room else left[: room - 1] + "…"
    text.append(shown.ljust(room))
    text.append(f"  {right}", "dim" if palette.soft == "default" else palette.soft)
    return text
