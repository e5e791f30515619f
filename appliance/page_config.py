"""The configuration as the page sees and changes it, and what of a change takes effect at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from appliance import config, config_edit, safe_settings
from appliance.config_edit import NotWritableError
from appliance.errors import ConfigError
from appliance.events import LanguageRequested, VolumeRequested
from appliance.models.catalogue import load_catalogue
from appliance.settings import Settings
from appliance.storage.background import Background
from appliance.web.routing import RequestError

if TYPE_CHECKING:
    from appliance.app import App

ESPEAK = "espeak-ng"
_OPTIONS = {
    "listen.wait_for_speech_s": "wait_for_speech_s",
    "listen.follow_up_s": "follow_up_s",
    "assistant.filler_after_s": "filler_after_s",
}
"""Keys that the coordinator has among its options."""


class PageConfiguration:
    """See :class:`appliance.web.ports.Configuration`.

    Args:
        app: the running service.
        disk: where the files are read and written.
    """

    def __init__(self, app: App, disk: Background) -> None:
        self._app = app
        self._disk = disk
        self._voices = _voices()

    async def rows(self) -> list[dict[str, Any]]:
        """Return each safe key with its type, limits and values."""
        try:
            configured = await self._disk.call(config.load)
        except ConfigError:
            # Somebody is at work in the files; what runs is what there is to show.
            configured = self._app.settings
        return self._shown(configured)

    async def change(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check and keep *values*, and let them take effect.

        Raises:
            ConfigError: they cannot be used.
            RequestError: 409: the file cannot be written.
        """
        known = safe_settings.table(self._app.settings, self._voices)
        for key, value in values.items():
            if key not in known:
                raise ConfigError(f"{key[:80]} cannot be changed from here").worded(
                    "refusal.setting_closed"
                )
            known[key].check(value)
        try:
            written = await self._disk.call(config_edit.set_values, values)
        except NotWritableError as error:
            raise RequestError(409, str(error)).worded("refusal.not_writable") from error
        except ConfigError as error:
            if not error.key:
                error.worded("refusal.setting", detail=error)
            raise
        self._apply(written.settings, [key for key in values if not known[key].restart])
        rows = [row for row in self._shown(written.settings) if row["key"] in values]
        waiting = [row["key"] for row in rows if row["pending"]]
        return {
            "changed": list(values),
            "restart": bool(waiting),
            "waiting": waiting,
            "settings": rows,
        }

    def _shown(self, configured: Settings) -> list[dict[str, Any]]:
        table = safe_settings.table(configured, self._voices)
        return [safe_settings.row(one, configured, self._app.settings) for one in table.values()]

    def _apply(self, configured: Settings, keys: list[str]) -> None:
        """Let what was changed take effect in the parts that can follow."""
        app = self._app
        running = app.settings = _with(app.settings, configured, keys)
        sections = {key.partition(".")[0] for key in keys}
        if "general.language" in keys:
            app.request(LanguageRequested(language=running.general.language))
        options = {
            _OPTIONS[key]: config_edit.get_value(key, running) for key in keys if key in _OPTIONS
        }
        if options:
            app.coordinator.reconfigure(**options)
        if "reminders" in sections and app.diary is not None:
            app.diary.reconfigure(running)
        if app.front is None:
            return
        if "panel" in sections:
            app.front.panel.look_like(running.panel)
        if "audio.volume_limit" in keys:
            app.front.volume.limit_to(running.audio.volume_limit)
            app.request(VolumeRequested(percent=app.front.volume.percent))


def _with(running: Settings, configured: Settings, keys: list[str]) -> Settings:
    """Return *running* with the values that *keys* have in *configured*."""
    for key in keys:
        section, _, name = key.partition(".")
        value = config_edit.get_value(key, configured)
        part = dataclasses.replace(getattr(running, section), **{name: value})
        running = dataclasses.replace(running, **{section: part})
    return running


def _voices() -> dict[str, list[str]]:
    """Return the names of the voices by language."""
    models = load_catalogue().for_role("tts")
    return {
        language: [*(one.name for one in models if language in one.languages), ESPEAK]
        for language in ("en", "pt")
    }
