"""The command palette and the help page: all that can be done, and with which keys."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from appliance.terminal.keys import DEEDS, TYPING, Deed, spoken_key
from appliance.terminal.screens.sheet import ListSheet, Sheet, two_columns


class Commands(ListSheet[str]):
    """The command palette: returns the name of what was chosen."""

    TITLE_KEY = "terminal.commands"
    KEYS_KEY = "terminal.commands_keys"
    PLACEHOLDER_KEY = "terminal.search"

    def on_mount(self) -> None:
        self.call_after_refresh(self._show, "")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def on_input_submitted(self) -> None:
        if name := self.chosen():
            self.dismiss(name)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id or "")

    def _show(self, words: str) -> None:
        wanted = words.casefold().lstrip("/").split()
        found = [deed for deed in DEEDS if deed.palette and self._fits(deed, wanted)]
        width = self.options.scrollable_content_region.width
        self.fill(
            [
                Option(
                    two_columns(
                        self.say(f"terminal.about_{deed.name}"),
                        spoken_key(deed.keys[0]),
                        width - 2,
                        self.palette,
                    ),
                    id=deed.name,
                )
                for deed in found
            ],
            "terminal.nothing_found",
        )

    def _fits(self, deed: Deed, wanted: list[str]) -> bool:
        about = self.say(f"terminal.about_{deed.name}") + self.say(f"terminal.do_{deed.name}")
        words = " ".join((about, *deed.words)).casefold()
        return all(word in words for word in wanted)


class Help(Sheet[None]):
    """What every key does."""

    BINDINGS = [  # noqa: RUF012 - Textual's own way to say it
        Binding("f1,q", "back", show=False),
    ]
    DEFAULT_CSS = """
    Help > Vertical { max-height: 90%; }
    """
    TITLE_KEY = "terminal.help"
    KEYS_KEY = "terminal.help_keys"

    def body(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._text())

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _text(self) -> Group:
        typing, commands = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
        for name, keys in TYPING:
            self._row(typing, keys, self.say(f"terminal.about_{name}"))
        for deed in DEEDS:
            about = self.say(f"terminal.about_{deed.name}")
            words = " ".join(f"/{word}" for word in deed.words if word.isascii())
            self._row(commands, deed.keys, f"{about}. {words}" if words else about)
        head = f"bold {self.palette.luna}"
        return Group(
            Text(self.say("terminal.help_typing"), head),
            typing,
            Text(f"\n{self.say('terminal.help_commands')}", head),
            commands,
            Text(f"\n{self.say('terminal.help_terminals')}"),
        )

    def _row(self, table: Table, keys: tuple[str, ...], about: str) -> None:
        shown = (self.say("terminal.space") if key == "space" else spoken_key(key) for key in keys)
        names = Text("\n".join(shown), self.palette.luna)
        table.add_row(names, Text(about))
