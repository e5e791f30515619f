"""Reads the configuration: files, then environment, then command line; checks all of it at once.

A mistake is reported as ``file:line: section.key: what is wrong``, every mistake in one go.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import os
import re
import tomllib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance import paths
from appliance.errors import ConfigError
from appliance.settings import Settings

MAX_BYTES = 1_000_000
MAX_SHOWN = 60
"""Characters of a wrong value in the report."""
PREFIX = "LUNA_"
"""``LUNA_AUDIO__INPUT_DEVICE`` sets ``input_device`` in ``[audio]``."""
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "LLM_PROVIDERS_ORDER": ("routing", "order"),
    "CHAT_PROVIDER": ("routing", "provider", "chat"),
    "CODE_PROVIDER": ("routing", "provider", "code"),
    "VISION_PROVIDER": ("routing", "provider", "vision"),
    "STT_PROVIDER": ("routing", "provider", "stt"),
    "TTS_PROVIDER": ("routing", "provider", "tts"),
}
"""Variables with names of their own, and the settings that they set."""
_DAILY_LIMIT = re.compile(r"LLM_(\w+)_DAILY_LIMIT_TOKENS")

Check = Callable[[Settings, Mapping[str, str]], Iterable[tuple[str, str]]]
"""Looks at settings and environment together; yields the key and what is wrong with it."""
_SECRET = re.compile(r"key|token(?!s)|password|secret", re.IGNORECASE)
"""Values that are not shown. ``max_tokens`` counts tokens of a language model."""


@dataclass(frozen=True)
class _Source:
    """Where a value came from, for the report."""

    name: str
    lines: dict[str, int | str]
    """Line (of the environment: variable) of each ``section`` and ``section.key``."""

    def place(self, key: str) -> str:
        while key:
            if key in self.lines:
                return f"{self.name}:{self.lines[key]}"
            key = key.rpartition(".")[0]
        return self.name


def load(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    checks: Sequence[Check] = (),
    drafts: Mapping[Path, str] | None = None,
) -> Settings:
    """Return the settings.

    Args:
        file: read this file alone, instead of those of :func:`appliance.paths.config_files`.
        environ: the environment; None means the process's own.
        overrides: ``section.key=value`` from the command line.
        checks: what must hold beyond each single value.
        drafts: what some of these files are going to contain.

    Raises:
        ConfigError: there are mistakes; the message lists all of them, one a line.
    """
    settings, mistakes = inspect(
        file, environ=environ, overrides=overrides, checks=checks, drafts=drafts
    )
    if mistakes:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError("\n  ".join([f"the configuration has {count}:", *mistakes]))
    return settings


def inspect(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    checks: Sequence[Check] = (),
    drafts: Mapping[Path, str] | None = None,
) -> tuple[Settings, list[str]]:
    """Return the settings as far as they can be used, and every mistake; see :func:`load`.

    Raises:
        ConfigError: the folder of the configuration cannot be listed.
    """
    mistakes: list[str] = []
    drafts = drafts or {}
    environ = os.environ if environ is None else environ
    sources = [
        *(
            _read_file(path, mistakes, drafts.get(path))
            for path in ([file] if file else _files(drafts))
        ),
        _read_environment(environ),
        _read_overrides(overrides, mistakes),
    ]
    sources = [(values, source) for values, source in sources if values]
    if not (sources or mistakes or checks):
        return Settings(), []  # nothing to check, and pydantic takes its time
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(Settings)
    merged: dict[str, Any] = {}
    for values, source in sources:
        # Each by itself: a mistake counts even where a later source overrides it.
        try:
            adapter.validate_python(values)
            _merge(merged, values)
        except ValidationError as error:
            mistakes += [_describe(e, source) for e in error.errors()]
            # What is wrong is left out, so that the rest can be checked as a whole.
            _merge(merged, _without(values, error.errors()))
    settings = adapter.validate_python(merged)
    for check in checks:
        for key, what in check(settings, environ):
            mistakes.append(f"{_place(key, [source for _, source in sources])}{key}: {what}")
    return settings, mistakes


# --- reading -----------------------------------------------------------------------------------


def _files(drafts: Iterable[Path]) -> list[Path]:
    """Return the configuration files in their order, those among them that are still drafts."""
    files = dict.fromkeys([*paths.config_files(), *drafts])
    main = [path for path in files if path.parent.name != "conf.d"]
    fragments = [path for path in files if path not in main]
    return [*main, *sorted(fragments, key=lambda path: path.name)]


def _read_file(
    path: Path, mistakes: list[str], draft: str | None = None
) -> tuple[dict[str, Any], _Source]:
    source = _Source(str(path), {})
    try:
        if draft is None:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        else:
            data = draft.encode()
        if len(data) > MAX_BYTES:
            mistakes.append(f"{path}: larger than {MAX_BYTES} bytes; this is no configuration")
            return {}, source
        text = data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
        source.lines.update(_key_lines(text))
        return _toml(text), source
    except OSError as error:
        mistakes.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        mistakes.append(f"{path}: not UTF-8 text (byte {error.start})")
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+)", str(error))
        place = f"{path}:{where.group(1)}" if where else str(path)
        mistakes.append(f"{place}: not TOML: {re.sub(r' [(]at .*[)]$', '', str(error))}")
    return {}, source


def _toml(text: str) -> dict[str, Any]:
    """Parse *text*; whatever is wrong with it is a ``TOMLDecodeError``."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("brackets are nested too deeply") from None
    except ValueError:
        raise tomllib.TOMLDecodeError("a number has too many digits") from None


def _key_lines(text: str) -> dict[str, int]:
    """Find on which line each section and key stands. Good enough for a report."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([\w.\"'-]+)\s*\]+", line):
            section = header.group(1).replace('"', "")
            lines.setdefault(section, number)
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            name = key.group(1).replace('"', "")
            lines.setdefault(f"{section}.{name}" if section else name, number)
    return lines


def _read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], _Source]:
    values: dict[str, Any] = {}
    source = _Source("environment", {})
    for name, text in sorted(environ.items()):
        section, found, key = name.removeprefix(PREFIX).partition("__")
        if name.startswith(PREFIX) and found:
            values.setdefault(section.lower(), {})[key.lower()] = _value(text, section, key)
        elif (keys := _keys(name)) and text.strip():
            source.lines[".".join(keys)] = name
            value = _value(text.strip(), keys[0], keys[-1])
            for part in reversed(keys):
                value = {part: value}
            _merge(values, value)
    return values, source


def _keys(name: str) -> tuple[str, ...]:
    """Return which setting the environment variable *name* sets; empty for none."""
    if limit := _DAILY_LIMIT.fullmatch(name):
        # Variables know neither small letters nor hyphens: LLM_LLAMA_SERVER_... is llama-server.
        return ("providers", limit[1].lower().replace("_", "-"), "daily_limit_tokens")
    return VARIABLES.get(name, ())


def _read_overrides(
    overrides: Sequence[str], mistakes: list[str]
) -> tuple[dict[str, Any], _Source]:
    values: dict[str, Any] = {}
    for override in overrides:
        name, found, text = override.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (found and dot):
            mistakes.append(f"--set {override!r}: write it as section.key=value")
            continue
        values.setdefault(section, {})[key] = _value(text, section, key)
    return values, _Source("--set", {})


def value_of(key: str, text: str) -> Any:
    """Return what *text* means as the value of *key*, as it would on the command line."""
    section, _, rest = key.partition(".")
    return _value(text, section, rest)


def _value(text: str, section: str, key: str) -> Any:
    """Return what *text* means: a TOML value, a comma-separated list, or the text itself."""
    wanted = _wanted(section.lower(), key.lower())
    if wanted is str:
        return text
    if typing.get_origin(wanted) is tuple and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        parsed = _toml(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _wanted(section: str, key: str) -> Any:
    """Return the type of a setting without its limits; None for an unknown one."""
    owner = typing.get_type_hints(Settings).get(section)
    return typing.get_type_hints(owner).get(key) if dataclasses.is_dataclass(owner) else None


def _merge(merged: dict[str, Any], values: dict[str, Any]) -> None:
    """Lay *values* over *merged*, table by table."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            _merge(merged[key], value)
        else:
            # A copy: what is laid over it later must not change the source itself.
            merged[key] = copy.deepcopy(value)


def _without(values: dict[str, Any], errors: Iterable[Any]) -> dict[str, Any]:
    """Return *values* without those that *errors* complain about."""
    kept = copy.deepcopy(values)
    for error in errors:
        table, path = kept, list(error["loc"])
        # A mistake inside a list or in the form of a table takes the whole of it away.
        while len(path) > 1 and isinstance(table.get(path[0]), dict) and path[1] in table[path[0]]:
            table = table[path.pop(0)]
        table.pop(path[0], None)
    return kept


# --- reporting ---------------------------------------------------------------------------------


def _place(key: str, sources: Sequence[_Source]) -> str:
    """Return where *key* was set last; empty when nowhere."""
    while key:
        for source in reversed(sources):
            if key in source.lines:
                return f"{source.place(key)}: "
        key = key.rpartition(".")[0]
    return ""


def _describe(error: Any, source: _Source) -> str:
    depth = 3 if error["loc"][0] in ("providers", "routing") else 2
    keys = [str(part) for part in error["loc"][:depth] if isinstance(part, str)]
    name = ".".join(keys)
    place = f"{source.place(name)}: {_printable(name)}"
    if error["type"] == "unexpected_keyword_argument":
        if keys[0] == "providers" and _SECRET.search(keys[-1]):
            variable = f"{keys[1].upper().replace('-', '_')}_API_KEY"
            return (
                f"{place}: keys are not read from a file; set {_printable(variable)} in the "
                "environment or as a credential of systemd"
            )
        return f"{place}: unknown {'key' if len(keys) > 1 else 'section'}{_hint(keys)}"
    message = error["msg"][0].lower() + error["msg"][1:]
    value = repr(error["input"])
    secret = _SECRET.search(name) or _SECRET.search(value)
    shown = "***" if secret else _short(value)
    return f"{place}: {message}, not {shown}"


def _short(value: str) -> str:
    return value if len(value) <= MAX_SHOWN else value[: MAX_SHOWN - 2] + " …"


def _printable(name: str) -> str:
    """Return *name* without what could move a terminal's cursor or begin a new line."""
    return "".join(c if c.isprintable() else "?" for c in name)


def _hint(keys: Sequence[str]) -> str:
    """Return what the writer may have meant."""
    owner: Any = Settings
    for key in keys[:-1]:
        # Of a table of tables, such as [providers.NAME], the class of its values counts.
        owner = (
            typing.get_args(owner)[1]
            if typing.get_origin(owner) is dict
            else (typing.get_type_hints(owner)[key])
        )
    known = [f.name for f in dataclasses.fields(owner)]
    near = difflib.get_close_matches(keys[-1].lower(), known, n=1)
    return f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(known)}"
