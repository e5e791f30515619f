"""The settings that may be changed while Luna runs."""

from __future__ import annotations

import json
from typing import Any

from textual import work
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from appliance.errors import LunaError, UsageError
from appliance.terminal.screens.sheet import ServiceList, two_columns
from appliance.terminal.service import Setting


class Config(ServiceList[None]):
    """A list to search; Enter on a setting writes ``key = value`` above it, to be changed."""

    TITLE_KEY = "terminal.config"
    KEYS_KEY = "terminal.config_keys"
    PLACEHOLDER_KEY = "terminal.search"

    def on_mount(self) -> None:
        self._settings: list[Setting] = []
        self.call_after_refresh(self._load)

    @work(exclusive=True)
    async def _load(self) -> None:
        try:
            self._settings = await self.service.settings()
        except LunaError as error:
            self.complain(error)
        self._show("")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._edit(event.option_id or "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        key, equals, value = event.value.partition("=")
        if equals:
            self._change(key.strip(), value.strip())
        else:
            self._edit(self.chosen())

    def _show(self, words: str) -> None:
        wanted = words.partition("=")[0].strip().casefold().split()
        width = self.options.scrollable_content_region.width - 2
        self.fill(
            [
                Option(two_columns(one.key, self._value(one), width, self.palette), id=one.key)
                for one in self._settings
                if all(word in one.key for word in wanted)
            ],
            "terminal.nothing_found",
        )

    def _value(self, setting: Setting) -> str:
        text = _written(setting.value)
        if setting.choices:
            text = f"{text}  ({' | '.join(setting.choices)})"
        elif setting.minimum is not None or setting.maximum is not None:
            text = f"{text}  ({_bound(setting.minimum)}…{_bound(setting.maximum)})"
        return f"{text} ↻" if setting.restart else text

    def _edit(self, key: str) -> None:
        setting = next((one for one in self._settings if one.key == key), None)
        if setting is not None:
            line = self.query_one(Input)
            line.value = f"{key} = {_written(setting.value)}"
            line.cursor_position = len(line.value)
            line.focus()

    @work
    async def _change(self, key: str, words: str) -> None:
        try:
            setting = next((one for one in self._settings if one.key == key), None)
            if setting is None:
                raise UsageError(self.say("terminal.unknown_setting", name=key))
            waits = await self.service.change_setting(key, _read(setting, words))
        except LunaError as error:
            self.complain(error)
            return
        self.query_one(Input).value = ""
        self.notify(self.say("terminal.saved_restart" if waits else "terminal.saved"), markup=False)
        self._load()


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _read(setting: Setting, words: str) -> Any:
    """Return the value that *words* mean; what fits no type is left to the service to refuse."""
    if setting.type in ("text", "time", "choice") and not (setting.optional and words == "null"):
        return words
    try:
        return json.loads(words)
    except ValueError:
        return words
