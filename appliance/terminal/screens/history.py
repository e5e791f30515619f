"""Conversations that were kept: find one, go on with it, delete it."""

from __future__ import annotations

import time

from textual import work
from textual.binding import Binding
from textual.timer import Timer
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from appliance.errors import LunaError
from appliance.terminal.screens.sheet import Confirm, ServiceList, two_columns

PAUSE_S = 0.2
"""A search begins when nothing was typed for so long."""


class History(ServiceList[int | None]):
    """Returns the number of the conversation to go on with."""

    BINDINGS = [  # noqa: RUF012 - Textual's own way to say it
        Binding("ctrl+d,delete", "delete", show=False, priority=True),
    ]
    TITLE_KEY = "terminal.history"
    KEYS_KEY = "terminal.history_keys"
    PLACEHOLDER_KEY = "terminal.search"
    _timer: Timer | None = None

    def on_mount(self) -> None:
        self.call_after_refresh(self._load, "")

    def on_input_changed(self, event: Input.Changed) -> None:
        if self._timer is not None:
            self._timer.stop()
        words = event.value.strip()
        self._timer = self.set_timer(PAUSE_S, lambda: self._load(words) and None)

    def on_input_submitted(self) -> None:
        self._open(self.chosen())

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._open(event.option_id or "")

    def _open(self, chosen: str) -> None:
        if chosen:
            self.dismiss(int(chosen.partition(":")[0]))

    @work(exclusive=True)
    async def _load(self, words: str) -> None:
        width = self.options.scrollable_content_region.width - 2
        rows: list[tuple[str, str, str]] = []
        try:
            if words:
                for index, found in enumerate(await self.service.search(words)):
                    text = found.snippet.replace("[", "").replace("]", "")
                    rows.append((f"{found.conversation}:{index}", text, _when(found.at)))
            else:
                for one in await self.service.conversations():
                    detail = f"{self.say('terminal.messages', count=one.messages)}  "
                    title = ("▸ " if one.current else "  ") + one.title
                    rows.append((str(one.id), title, detail + _when(one.updated)))
        except LunaError as error:
            self.complain(error)
        self.fill(
            [
                Option(two_columns(text, detail, width, self.palette), id=name)
                for name, text, detail in rows
            ],
            "terminal.nothing_found",
        )

    @work
    async def action_delete(self) -> None:
        """Delete the conversation under the cursor, after asking."""
        chosen = self.chosen()
        if not chosen:
            return
        number = int(chosen.partition(":")[0])
        question = self.say("terminal.delete_conversation", number=number)
        sheet = Confirm(self.say, self.palette, question, self.say("terminal.yes_delete"))
        if await self.app.push_screen_wait(sheet):
            try:
                await self.service.delete_conversation(number)
            except LunaError as error:
                self.complain(error)
            self._load(self.query_one(Input).value.strip())


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
