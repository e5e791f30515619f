"""Reads the configuration: files, then environment, then command line; checks all of it at once.

A mistake is reported as ``file:line: section.key: what is wrong``, every mistake in one go.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import textwrap
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
PREFIX = "LUNA_"
"""``LUNA_AUDIO__INPUT_DEVICE`` sets ``input_device`` in ``[audio]``."""
_SECRET = re.compile(r"key|token|password|secret", re.IGNORECASE)


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
    merged: dict[str, Any] = {}
    origin: dict[str, _Source] = {}
    for path in [file] if file else paths.config_files():
        _merge(merged, origin, *_read_file(path, mistakes))
    _merge(merged, origin, *_read_environment(os.environ if environ is None else environ))
    _merge(merged, origin, *_read_overrides(overrides, mistakes))

    if not (merged or mistakes):
        return Settings()  # nothing to check, and pydantic takes its time
    from pydantic import TypeAdapter, ValidationError

    try:
        settings = TypeAdapter(Settings).validate_python(merged)
    except ValidationError as error:
        mistakes += [_describe(e, origin) for e in error.errors()]
    if mistakes:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise ConfigError("\n  ".join([f"the configuration has {count}:", *mistakes]))
    return settings


# --- reading -----------------------------------------------------------------------------------


def _read_file(path: Path, mistakes: list[str]) -> tuple[dict[str, Any], _Source]:
    source = _Source(str(path), {})
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            mistakes.append(f"{path}: larger than {MAX_BYTES} bytes; this is no configuration")
            return {}, source
        text = data.decode("utf-8")
        source.lines.update(_key_lines(text))
        return tomllib.loads(text), source
    except OSError as error:
        mistakes.append(f"{path}: cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        mistakes.append(f"{path}: not UTF-8 text (byte {error.start})")
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+)", str(error))
        place = f"{path}:{where.group(1)}" if where else str(path)
        mistakes.append(f"{place}: not TOML: {re.sub(r' [(]at .*[)]$', '', str(error))}")
    return {}, source


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
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _wanted(section: str, key: str) -> Any:
    """Return the type of a setting without its limits; None for an unknown one."""
    hints = typing.get_type_hints(Settings)
    if section not in hints:
        return None
    return typing.get_type_hints(hints[section]).get(key)


def _merge(
    merged: dict[str, Any], origin: dict[str, _Source], values: dict[str, Any], source: _Source
) -> None:
    for section, content in values.items():
        origin[section] = source
        if isinstance(content, dict) and isinstance(merged.get(section, {}), dict):
            merged.setdefault(section, {}).update(content)
            origin.update({f"{section}.{key}": source for key in content})
        else:
            merged[section] = content


# --- reporting ---------------------------------------------------------------------------------


def _describe(error: Any, origin: Mapping[str, _Source]) -> str:
    keys = [str(part) for part in error["loc"] if not str(part).startswith(("function-", "lax"))]
    name = ".".join(keys[:2])
    source = origin.get(name) or origin.get(keys[0])
    place = f"{source.place(name)}: " if source else ""
    if error["type"] == "unexpected_keyword_argument":
        return f"{place}{name}: unknown {'key' if len(keys) > 1 else 'section'}{_hint(keys)}"
    message = error["msg"][0].lower() + error["msg"][1:]
    value = repr(error["input"])
    shown = "***" if _SECRET.search(name) else textwrap.shorten(value, 60, placeholder=" …")
    return f"{place}{name}: {message}, not {shown}"


def _hint(keys: Sequence[str]) -> str:
    """Return what the writer may have meant."""
    sections = typing.get_type_hints(Settings)
    if len(keys) == 1:
        known = list(sections)
    else:
        known = [f.name for f in dataclasses.fields(sections[keys[0]])]
    near = difflib.get_close_matches(keys[-1].lower(), known, n=1)
    return f" (did you mean {near[0]}?)" if near else f"; there are {', '.join(known)}"
