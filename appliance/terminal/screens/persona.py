"""The owner's own words to the model: who Luna is, for each language."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static, TextArea

from appliance.errors import LunaError
from appliance.terminal.bars import Say
from appliance.terminal.screens.sheet import Confirm, Sheet
from appliance.terminal.service import Service
from appliance.terminal.themes import Palette

_NAMES = {"en": "English", "pt": "Português"}


class Persona(Sheet[None]):
    """An editor for them."""

    BINDINGS = [  # noqa: RUF012 - Textual's own way to say it
        Binding("ctrl+s,f2", "save", show=False, priority=True),
        Binding("tab,f3", "switch", show=False, priority=True),
    ]
    DEFAULT_CSS = """
    Persona .about { color: $secondary; height: auto; }
    """
    TITLE_KEY = "terminal.persona"
    KEYS_KEY = "terminal.persona_keys"

    def __init__(self, say: Say, palette: Palette, service: Service, language: str) -> None:
        super().__init__(say, palette)
        self.service = service
        self._language = language
        self._kept: dict[str, str] = {}
        self._written: dict[str, str] = {}

    def body(self) -> ComposeResult:
        yield Static(self.say("terminal.persona_about"), classes="about", markup=False)
        yield TextArea(soft_wrap=True)

    @work
    async def on_mount(self) -> None:
        """Load what is kept."""
        self._editor.cursor_blink = False
        try:
            self._kept = await self.service.persona()
        except LunaError as error:
            self.complain(error)
        self._written = dict(self._kept)
        self._show()

    @property
    def _editor(self) -> TextArea:
        return self.query_one(TextArea)

    def _show(self) -> None:
        self._editor.text = self._written.get(self._language, "")
        self._editor.border_title = _NAMES.get(self._language, self._language)
        self._editor.focus()

    def action_switch(self) -> None:
        """Go on with the other language."""
        self._written[self._language] = self._editor.text
        self._language = "pt" if self._language == "en" else "en"
        self._show()

    @work
    async def action_save(self) -> None:
        """Keep what was written, and close."""
        try:
            for language, words in self._changes().items():
                await self.service.set_persona(language, words)
        except LunaError as error:
            self.complain(error)
            return
        self.app.notify(self.say("terminal.saved"), markup=False)
        self.dismiss(None)

    def action_back(self) -> None:
        self._leave()

    @work
    async def _leave(self) -> None:
        """Close; ask first if something would be lost."""
        question = self.say("terminal.discard")
        sheet = Confirm(self.say, self.palette, question, self.say("terminal.yes_discard"))
        if not self._changes() or await self.app.push_screen_wait(sheet):
            self.dismiss(None)

    def _changes(self) -> dict[str, str]:
        self._written[self._language] = self._editor.text
        return {k: v for k, v in self._written.items() if v != self._kept.get(k, "")}
