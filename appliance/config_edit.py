"""Changes the configuration: for the page, and for `luna config set`.

What is changed goes into one file of its own, ``conf.d/90-page.toml``, whose comments are kept.
Before it is written, the whole configuration is checked as it would be then; it is replaced in
one step, so that a power cut leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import config, paths
from appliance.errors import ConfigError
from appliance.settings import Settings
from appliance.whole_file import replace

FILE = "conf.d/90-page.toml"
HEADER = (
    "Changed by the page and by `luna config set`; what is set here overrides the files before it."
)
MAX_MISTAKES = 3
"""So many are named in one sentence."""
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){1,3}")


class NotWritableError(ConfigError):
    """The file of changes cannot be written."""


@dataclass(frozen=True)
class Written:
    """What was done."""

    path: Path
    keys: tuple[str, ...]
    settings: Settings
    """The configuration as it is now."""


def get_value(key: str, settings: Settings | None = None) -> Any:
    """Return the value of a key such as ``listen.wake_threshold``; None where it is unset.

    Raises:
        ConfigError: there is no such key, or the configuration has mistakes.
    """
    if not _KEY.fullmatch(key):
        raise ConfigError(f"{key[:80]!r} is no key; write it as section.key")
    found: Any = settings or config.load()
    for part in key.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        elif dataclasses.is_dataclass(found) and part in {
            f.name for f in dataclasses.fields(found)
        }:
            found = getattr(found, part)
        elif found is not None:
            raise ConfigError(f"there is no key {key}; `luna config show` lists them")
    return found


def set_values(values: Mapping[str, Any]) -> Written:
    """Set *values* by key, all of them or none; None takes a key out, so that its default holds.

    Waits for the disk.

    Raises:
        ConfigError: a value or the whole cannot be used, or is overridden elsewhere.
        NotWritableError: the file cannot be written.
    """
    path = paths.config_dir() / FILE
    for key in values:
        if not _KEY.fullmatch(key):
            raise ConfigError(f"{key[:80]!r} is no key; write it as section.key")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.parent):
            text = _changed(path, values)
            settings = _check(path, text, values)
            replace(path, text)
    except OSError as error:
        raise NotWritableError(
            f"{path} cannot be written ({error.strerror}): change the configuration where it may "
            "be written, or let the user of Luna write there"
        ) from error
    return Written(path, tuple(values), settings)


def quiet_hours(settings: Settings, _: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the quiet hours: they need both ends, or none."""
    start, end = settings.reminders.quiet_from, settings.reminders.quiet_to
    if bool(start) != bool(end):
        missing = "quiet_to" if start else "quiet_from"
        yield f"reminders.{missing}", "quiet hours need both ends, quiet_from and quiet_to, or none"


def checks() -> list[config.Check]:
    """Return what must hold beyond each single value."""
    from appliance.panel.boards import profile
    from appliance.providers import policy

    return [policy.mistakes, profile.setting_mistakes, quiet_hours]


# --- one change --------------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time read, change and write."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _changed(path: Path, values: Mapping[str, Any]) -> str:
    """Return the file's text with *values* in it."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        text = f"# {HEADER}\n"
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text; mend it or take it away") from error
    try:
        document = tomlkit.parse(text)
        for key, value in values.items():
            *tables, name = key.split(".")
            table: Any = document
            for part in tables:
                if part not in table:
                    table[part] = tomlkit.table()
                table = table[part]
            if value is None:
                table.pop(name, None)
            else:
                table[name] = list(value) if isinstance(value, tuple) else value
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not TOML, or not in tables; mend it or take it away") from error


def _check(path: Path, text: str, values: Mapping[str, Any]) -> Settings:
    """Return the configuration as it will be.

    Raises:
        ConfigError: it cannot be used; one sentence.
    """

    def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        # Only what was changed: a key that is missing elsewhere must not stand in the way.
        for part in checks():
            for key, what in part(settings, environ):
                if any(_concerns(key, changed) for changed in values):
                    yield key, what

    try:
        settings = config.load(checks=[check], drafts={path: text})
    except ConfigError as error:
        raise ConfigError(_one_sentence(error, path)) from error
    for key, value in values.items():
        wanted = list(value) if isinstance(value, tuple) else value
        found = get_value(key, settings)
        if value is not None and (list(found) if isinstance(found, tuple) else found) != wanted:
            raise ConfigError(
                f"{key} is set elsewhere, by a variable or a later file of conf.d"
            ).worded("refusal.setting_elsewhere")
    return settings


def _concerns(key: str, changed: str) -> bool:
    related = key == changed or key.startswith(f"{changed}.")
    return related or {key, changed} == {"reminders.quiet_from", "reminders.quiet_to"}


def _one_sentence(error: ConfigError, path: Path) -> str:
    """Return the mistakes without the name of a file that the writer never saw."""
    mistakes = [line.strip() for line in str(error).splitlines()[1:]]
    own = re.compile(rf"{re.escape(str(path))}(?::\d+)?: ")
    shown = [own.sub("", line, count=1) for line in mistakes[:MAX_MISTAKES]]
    more = f"; and {len(mistakes) - MAX_MISTAKES} more" if len(mistakes) > MAX_MISTAKES else ""
    return "; ".join(shown) + more
