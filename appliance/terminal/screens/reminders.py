"""Reminders, timers and alarms: see, add, do away with."""

from __future__ import annotations

from textual import work
from textual.binding import Binding
from textual.widgets import Input
from textual.widgets.option_list import Option

from appliance.errors import LunaError
from appliance.terminal.bars import Say
from appliance.terminal.screens.sheet import Confirm, ServiceList, two_columns
from appliance.terminal.service import Service
from appliance.terminal.themes import Palette


class Reminders(ServiceList[None]):
    """The open ones; what is typed is understood as if it were said."""

    BINDINGS = [  # noqa: RUF012 - Textual's own way to say it
        Binding("ctrl+d,delete", "cancel", show=False, priority=True),
        Binding("ctrl+k,f2", "change('done')", show=False, priority=True),
        Binding("ctrl+s,f3", "change('snooze')", show=False, priority=True),
    ]
    TITLE_KEY = "terminal.reminders"
    KEYS_KEY = "terminal.reminders_keys"
    PLACEHOLDER_KEY = "terminal.add_reminder"

    def __init__(self, say: Say, palette: Palette, service: Service, language: str) -> None:
        super().__init__(say, palette, service)
        self._language = language

    def on_mount(self) -> None:
        self.call_after_refresh(self._load)

    @work(exclusive=True, group="load")
    async def _load(self) -> None:
        width = self.options.scrollable_content_region.width - 2
        try:
            kept = await self.service.reminders()
        except LunaError as error:
            self.complain(error)
            kept = []
        rows = [
            Option(two_columns(one.text or one.kind, one.when, width, self.palette), id=str(one.id))
            for one in kept
        ]
        self.fill(rows, "terminal.no_reminders")

    @work
    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Add what was typed."""
        if not event.value.strip():
            return
        try:
            sentence = await self.service.add_reminder(event.value.strip(), self._language)
        except LunaError as error:
            self.complain(error)
            return
        event.input.value = ""
        self.notify(sentence, markup=False)
        self._load()

    @work
    async def action_change(self, action: str) -> None:
        """Carry *action* out on the reminder under the cursor."""
        if chosen := self.chosen():
            await self._change(int(chosen), action)

    @work
    async def action_cancel(self) -> None:
        """Cancel the reminder under the cursor, after asking."""
        chosen = self.chosen()
        if not chosen:
            return
        question = self.say("terminal.cancel_reminder", number=chosen)
        sheet = Confirm(self.say, self.palette, question, self.say("terminal.yes_delete"))
        if await self.app.push_screen_wait(sheet):
            await self._change(int(chosen), "cancel")

    async def _change(self, number: int, action: str) -> None:
        try:
            self.notify(await self.service.change_reminder(number, action), markup=False)
        except LunaError as error:
            self.complain(error)
        self._load()
