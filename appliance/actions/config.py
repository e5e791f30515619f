"""`luna config`: look at the configuration, and change it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from appliance import config, config_edit, paths
from appliance.command_line.options import load_settings
from appliance.errors import ConfigError, UsageError
from appliance.whole_file import replace

_NEW = "# The configuration of Luna. All keys: docs/configuration.md, or `luna config show`.\n"
_EDITORS = ("nano", "vi")
_WORDS = {"check": 0, "show": 0, "edit": 0, "get": 1, "unset": 1, "set": 2}
"""How many words follow each action."""


def run(arguments: argparse.Namespace) -> int:
    """Carry out `luna config ACTION [KEY [VALUE]]`; return the exit code.

    Raises:
        UsageError: the words do not fit.
        ConfigError: the configuration has mistakes, or would have them.
    """
    words = [word for word in (arguments.key, arguments.value) if word not in ("", None)]
    if arguments.value == "":
        words.append("")  # `set KEY ""` empties a key
    if len(words) != _WORDS[arguments.action]:
        wanted = ["", " KEY", " KEY VALUE"][_WORDS[arguments.action]]
        raise UsageError(f"write luna config {arguments.action}{wanted}")
    if arguments.config and arguments.action in ("set", "unset", "edit"):
        raise UsageError("--config names a file to read; edit that file itself")
    return int(_ACTIONS[arguments.action](arguments))


# --- looking -------------------------------------------------------------------------------------


def _check(arguments: argparse.Namespace) -> int:
    try:
        load_settings(arguments, config_edit.checks())
    except ConfigError as error:
        if not arguments.json:
            raise
        print(json.dumps({"ok": False, "mistakes": str(error).splitlines()}, indent=2))
        return error.exit_code
    if arguments.json:
        print(json.dumps({"ok": True, "mistakes": []}))
    else:
        print("The configuration is in order.")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    print(json.dumps(asdict(load_settings(arguments)), ensure_ascii=False, indent=2))
    return 0


def _get(arguments: argparse.Namespace) -> int:
    value = _plain(config_edit.get_value(arguments.key, load_settings(arguments)))
    if arguments.json:
        print(json.dumps({"key": arguments.key, "value": value}, ensure_ascii=False))
    elif isinstance(value, str):
        print(value)
    elif value is not None:
        print(json.dumps(value, ensure_ascii=False))
    return 0


def _plain(value: Any) -> Any:
    """Return *value* with tables in the place of settings."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


# --- changing ------------------------------------------------------------------------------------


def _set(arguments: argparse.Namespace) -> int:
    return _write(arguments, config.value_of(arguments.key, arguments.value))


def _unset(arguments: argparse.Namespace) -> int:
    return _write(arguments, None)


def _write(arguments: argparse.Namespace, value: Any) -> int:
    written = config_edit.set_values({arguments.key: value})
    now = _plain(config_edit.get_value(arguments.key, written.settings))
    if arguments.json:
        print(json.dumps({"key": arguments.key, "value": now, "path": str(written.path)}))
    else:
        shown = json.dumps(now, ensure_ascii=False) if now is not None else "unset"
        print(f"{arguments.key} = {shown} (in {written.path})")
    return 0


def _edit(_arguments: argparse.Namespace) -> int:
    """Let the owner edit a copy of ``luna.toml``, which is put in place once it is in order."""
    path = paths.config_dir() / "luna.toml"
    try:
        before = path.read_text("utf-8-sig") if path.exists() else _NEW
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read; mend it or take it away") from error
    with tempfile.TemporaryDirectory(prefix="luna-config-") as folder:
        copy = Path(folder) / "luna.toml"
        copy.write_text(before, "utf-8")
        while True:
            text = _edited(copy)
            if text == before:
                print("Nothing was changed.")
                return 0
            try:
                config.load(checks=config_edit.checks(), drafts={path: text})
                break
            except ConfigError as error:
                if not _again(error):
                    raise
    try:
        replace(path, text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror})") from error
    print(f"{path} was changed; it applies from the next start of Luna on.")
    return 0


def _edited(copy: Path) -> str:
    """Open the editor on *copy*; return what it contains then."""
    command = _editor()
    try:
        result = subprocess.run([*command, str(copy)], check=False)
        text = copy.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{command[0]} did not leave a text: {error}") from error
    if result.returncode:
        raise ConfigError(f"{command[0]} failed (code {result.returncode}); nothing was changed")
    return text


def _editor() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        if words := shlex.split(os.environ.get(variable, "")):
            return words
    for name in _EDITORS:
        if shutil.which(name):
            return [name]
    raise ConfigError("there is no editor; name one in the variable EDITOR")


def _again(error: ConfigError) -> bool:
    """Show the mistakes; return whether the owner wants to mend them."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"luna: {error}\nEdit again? [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return bool(answer) and answer.strip().lower() not in ("n", "no", "não", "nao")


_ACTIONS = {
    "check": _check,
    "show": _show,
    "get": _get,
    "set": _set,
    "unset": _unset,
    "edit": _edit,
}
