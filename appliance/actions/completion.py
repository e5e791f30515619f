"""`luna completion`: what lets a shell complete the words of `luna`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator

from appliance.cli import build_parser
from appliance.command_line.parser import Parser
from appliance.errors import ModelError


def run(arguments: argparse.Namespace) -> int:
    """Print the completion script of a shell; return the exit code."""
    print(script(arguments.shell))
    return 0


def script(shell: str) -> str:
    """Return the completion script for ``bash``, ``zsh`` or ``fish``."""
    import shtab

    parser = build_parser()
    for command in commands(parser).values():
        _add_files(command, shtab.FILE, shtab.DIRECTORY)
    for name, find in _NAMES.items():
        _add_choices(commands(parser)[name], find())
    return str(shtab.complete(parser, shell))


def commands(parser: Parser) -> dict[str, Parser]:
    """Return the parser of each command."""
    (action,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(action.choices)


def _add_files(command: Parser, file: object, folder: object) -> None:
    """Let options that take a file or a folder complete to those."""
    for action in command._actions:
        if action.metavar in ("FILE", "WAV", "PATH"):
            action.complete = file  # type: ignore[attr-defined]
        elif action.metavar in ("FOLDER", "DIR"):
            action.complete = folder  # type: ignore[attr-defined]


def _add_choices(command: Parser, names: Iterable[str]) -> None:
    """Let the last positional of *command* complete to *names*."""
    positionals = [a for a in command._actions if not a.option_strings and a.choices is None]
    if positionals and (found := list(names)):
        positionals[0].choices = found


def _models() -> Iterator[str]:
    from appliance.actions.model_roles import ROLES
    from appliance.models.catalogue import load_catalogue

    yield from ROLES
    try:
        yield from load_catalogue().models
    except ModelError:
        return  # the catalogue's damage is for `luna models list` to tell


def _providers() -> Iterator[str]:
    from appliance.providers.known import KNOWN

    yield from KNOWN


def _boards() -> Iterator[str]:
    from appliance.panel.boards import profile

    yield from profile.files()


def _keys() -> Iterator[str]:
    """Yield the keys of the configuration that stand in a table of their own."""
    from dataclasses import fields, is_dataclass

    from appliance.settings import Settings

    settings = Settings()
    for section in fields(settings):
        table = getattr(settings, section.name)
        if is_dataclass(table):
            for key in fields(table):
                yield f"{section.name}.{key.name}"


_NAMES: dict[str, Callable[[], Iterator[str]]] = {
    "models": _models,
    "providers": _providers,
    "board": _boards,
    "config": _keys,
}
"""What follows the action of a command."""
