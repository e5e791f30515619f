"""The settings that may be changed from the page: which, within what limits, and from when on.

Types and limits are those of :mod:`appliance.settings`; here stands only what is safe to change
without a look at the log, and what needs no restart.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal

from annotated_types import Interval

from appliance import config_edit
from appliance.errors import ConfigError
from appliance.settings import MaybeTimeOfDay, Settings, TimeOfDay

AT_ONCE = frozenset(
    {
        "general.language",
        "audio.volume_limit",
        "listen.wait_for_speech_s",
        "listen.follow_up_s",
        "assistant.filler_after_s",
        "panel.brightness",
        "panel.night_brightness",
        "panel.night_from",
        "panel.night_to",
        "panel.idle_light",
        "reminders.quiet_from",
        "reminders.quiet_to",
        "reminders.quiet_except",
        "reminders.snooze_minutes",
        "reminders.repeat_minutes",
        "reminders.repeat_limit",
    }
)
"""Takes effect as soon as it is written; see :class:`appliance.page_config.PageConfiguration`."""
AT_RESTART = (
    "audio.volume_step",
    "audio.earcons",
    "audio.earcon_volume",
    "listen.wake_words",
    "listen.wake_threshold",
    "listen.vad_threshold",
    "listen.smart_turn",
    "listen.smart_turn_threshold",
    "listen.max_silence_ms",
    "listen.barge_in_by_speech",
    "tts.voices.en",
    "tts.voices.pt",
    "tts.speed",
    "history.enabled",
    "history.idle_minutes",
    "cache.enabled",
    "knowledge.enabled",
    "knowledge.threshold",
    "jobs.daily_report",
    "jobs.speak_report",
    "routing.order",
    "routing.policy.chat",
    "routing.policy.code",
    "routing.policy.vision",
)
PROVIDER_KEYS = (
    "enabled",
    "daily_limit_tokens",
    "daily_limit_requests",
    "daily_limit_usd",
)
"""Of each provider that is configured."""
WAKE_WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
"""The models that pymicro-wakeword brings."""


@dataclass(frozen=True)
class SafeSetting:
    """A key that may be changed."""

    key: str
    type: Literal["bool", "int", "float", "text", "time", "choice", "list", "pair"]
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | None = None
    optional: bool = False
    """It may be unset."""
    restart: bool = True
    """A change takes effect when Luna is started again."""

    def check(self, value: Any) -> None:
        """Refuse another type, what is beyond the limits, and what is not among the choices.

        The configuration as a whole checks the rest.

        Raises:
            ConfigError: one sentence.
        """
        if value is None:
            if not self.optional:
                raise ConfigError(f"{self.key}: must have a value").worded("refusal.setting_empty")
            return
        if not _FITS[self.type](value):
            what = f"{self.key}: must be {_NAMES[self.type]}"
            raise ConfigError(what).worded("refusal.setting_kind")
        self._check_limits(value)
        for one in value if self.type == "list" else [value]:
            if self.choices is not None and one not in self.choices:
                named = ", ".join(self.choices)
                raise ConfigError(f"{self.key}: one of {named}").worded(
                    "refusal.setting_choice", choices=named
                )

    def _check_limits(self, value: Any) -> None:
        low, high = self.minimum, self.maximum
        if low is None or high is None:
            return
        for one in value if isinstance(value, list) else [value]:
            if _number(one) and not low <= one <= high:
                raise ConfigError(f"{self.key}: from {low:g} to {high:g}").worded(
                    "refusal.setting_range", minimum=f"{low:g}", maximum=f"{high:g}"
                )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _number,
    "text": _text,
    "time": _text,
    "choice": _text,
    "list": lambda value: isinstance(value, list) and all(map(_text, value)),
    "pair": lambda value: (
        isinstance(value, list) and len(value) == len(("low", "high")) and all(map(_number, value))
    ),
}
_NAMES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "text",
    "time": "a time such as 22:00",
    "choice": "text",
    "list": "a list of texts",
    "pair": "a list of two numbers",
}


def table(settings: Settings, voices: Mapping[str, Sequence[str]]) -> dict[str, SafeSetting]:
    """Return all safe settings by key; *voices* are the names of voices by language."""
    given: dict[str, tuple[str, ...]] = {
        "listen.wake_words": WAKE_WORDS,
        **{f"tts.voices.{language}": tuple(names) for language, names in voices.items()},
    }
    return {key: _described(key, given.get(key)) for key in _keys(settings)}


def row(setting: SafeSetting, configured: Settings, running: Settings) -> dict[str, Any]:
    """Return what the page sees of a setting, as JSON values."""
    value, default = _value(setting.key, configured), _value(setting.key, Settings())
    return {
        **dataclasses.asdict(setting),
        "value": value,
        "default": default,
        "pending": value != _value(setting.key, running),
    }


def _keys(settings: Settings) -> Iterator[str]:
    yield from sorted(AT_ONCE)
    yield from AT_RESTART
    for field in dataclasses.fields(settings.thresholds):
        yield f"thresholds.{field.name}"
    for name in settings.providers:
        for key in PROVIDER_KEYS:
            yield f"providers.{name}.{key}"


def _value(key: str, settings: Settings) -> Any:
    found = config_edit.get_value(key, settings)
    return list(found) if isinstance(found, tuple) else found


# --- types ---------------------------------------------------------------------------------------


def _described(key: str, given: tuple[str, ...] | None) -> SafeSetting:
    annotation = _annotation(key)
    restart = key not in AT_ONCE
    if annotation in (TimeOfDay, MaybeTimeOfDay):
        return SafeSetting(key, "time", optional=annotation == MaybeTimeOfDay, restart=restart)
    kinds = [kind for kind in _members(annotation) if kind is not NoneType]
    optional = len(kinds) < len(_members(annotation))
    kind, limits = _plain(kinds[0])
    low, high = (limits.ge, limits.le) if limits else (None, None)
    name, choices = _name(kind)
    return SafeSetting(
        key,
        "choice" if name == "text" and (given or choices) else name,
        minimum=typing.cast(Any, low),
        maximum=typing.cast(Any, high),
        choices=given or choices,
        # A key in a table of its own, such as tts.voices, may be missing.
        optional=optional or (key.count(".") > 1 and not key.endswith(".enabled")),
        restart=restart,
    )


def _annotation(key: str) -> Any:
    owner: Any = Settings
    for part in key.split("."):
        if typing.get_origin(owner) is dict:
            owner = typing.get_args(owner)[1]
        else:
            owner = typing.get_type_hints(owner, include_extras=True)[part]
    return owner


def _members(annotation: Any) -> tuple[Any, ...]:
    union = typing.get_origin(annotation) in (typing.Union, UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _plain(annotation: Any) -> tuple[Any, Interval | None]:
    """Return the type without its metadata, and the limits among them."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return annotation, None
    kind, *more = typing.get_args(annotation)
    return kind, next((one for one in more if isinstance(one, Interval)), None)


def _name(kind: Any) -> tuple[Any, tuple[str, ...] | None]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "choice", tuple(arguments)
    if origin is tuple:
        if arguments == (float, float):
            return "pair", None
        inner, _ = _plain(arguments[0])
        return "list", tuple(typing.get_args(inner)) if typing.get_origin(
            inner
        ) is Literal else None
    return {bool: "bool", int: "int", float: "float", str: "text"}[kind], None
