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
from collections.abc import Mapping, Sequence
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
_SECRET = re.compile(r"key|token(?!s)|password|secret", re.IGNORECASE)
"""Values that are not shown. ``max_tokens`` counts tokens of a language model."""


@dataclass(frozen=True)
class _Source:
    """Where a value came from, for the report."""

    name: str
    lines: dict[str, int]
    """Line of each ``section`` and ``section.key``."""

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
) -> Settings:
    """Return the settings.

    Args:
        file: read this file alone, instead of those of :func:`appliance.paths.config_files`.
        environ: the environment; None means the process's own.
        overrides: ``section.key=value`` from the command line.

    Raises:
        ConfigError: there are mistakes; the message lists all of them, one a line.
    """
    mistakes: list[str] = []
    sources = [
        *(_read_file(path, mistakes) for path in ([file] if file else paths.config_files())),
        _read_environment(os.environ if environ is None else environ),
        _read_overrides(overrides, mistakes),
    ]
    sources = [(values, source) for values, source in sources if values]
    if not (sources or mistakes):
        return Settings()  # nothing to check, and pydantic takes its time
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(Settings)
    merged: dict[str, Any] = {}
    for values, source in sources:
        # Each by itself: a mistake counts even where a later source overrides it.
        try:
            adapter.validate_python(values)
        except ValidationError as error:
            mistakes += [_describe(e, source) for e in error.errors()]
        _merge(merged, values)
    if mistakes:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError("\n  ".join([f"the configuration has {count}:", *mistakes]))
    return adapter.validate_python(merged)


# --- reading -----------------------------------------------------------------------------------


def _read_file(path: Path, mistakes: list[str]) -> tuple[dict[str, Any], _Source]:
    source = _Source(str(path), {})
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
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
    for name, text in sorted(environ.items()):
        section, found, key = name.removeprefix(PREFIX).partition("__")
        if name.startswith(PREFIX) and found:
            values.setdefault(section.lower(), {})[key.lower()] = _value(text, section, key)
    return values, _Source("environment", {})


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
    hints = typing.get_type_hints(Settings)
    if section not in hints:
        return None
    return typing.get_type_hints(hints[section]).get(key)


def _merge(merged: dict[str, Any], values: dict[str, Any]) -> None:
    """Lay *values* over *merged*, table by table."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            _merge(merged[key], value)
        else:
            # A copy: what is laid over it later must not change the source itself.
            merged[key] = copy.deepcopy(value)


# --- reporting ---------------------------------------------------------------------------------


def _describe(error: Any, source: _Source) -> str:
    keys = [str(part) for part in error["loc"][:2]]
    name = ".".join(keys)
    place = f"{source.place(name)}: {_printable(name)}"
    if error["type"] == "unexpected_keyword_argument":
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
    owner = Settings if len(keys) == 1 else typing.get_type_hints(Settings)[keys[0]]
    known = [f.name for f in dataclasses.fields(owner)]
    near = difflib.get_close_matches(keys[-1].lower(), known, n=1)
    return f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(known)}"
