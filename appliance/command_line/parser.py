"""The form that all commands of `luna` share: mistakes in one line, help by groups."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn, Protocol

EXIT_CODES = """\
exit codes:
  0    done
  1    another failure
  2    wrong words or unusable input
  3    wrong configuration
  4    a model is missing, damaged or cannot be loaded
  5    a sound device or sound file cannot be used
  6    Luna is not running, or does not answer
  7    the turn ended without an answer
  8    a provider of answers failed
  9    something could not be stored, or not be read
  10   buttons, LEDs or the board's profile cannot be used
  11   an update was refused or failed, or the box is not well
  20   `luna doctor` found warnings, and nothing worse
  21   `luna doctor` found failures
  130  interrupted with Ctrl+C
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where to read more."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (see `{self.prog} --help`)\n")
        sys.exit(2)


class Add(Protocol):
    """Adds a command to its group."""

    def __call__(
        self,
        name: str,
        summary: str,
        example: str,
        *,
        json: bool = True,
        action: str = "",
        settings: bool = True,
    ) -> Parser:
        """Return the parser of the new command.

        Args:
            name: what is typed.
            summary: what it does, a small letter at the beginning and no full stop.
            example: a whole line.
            json: whether it has the option ``--json``.
            action: ``module:function`` below ``appliance.actions``; empty: ``run`` in the module
                that is named as the command.
            settings: whether the function gets the settings; they must be in order then.
        """


class MainParser(Parser):
    """The parser of the whole command line; its help lists the commands by group."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.groups: dict[str, list[tuple[str, str]]] = {}
        """Name and summary of each command, by the group's title."""

    def format_help(self) -> str:
        """Return the help."""
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(self.description)
        for title, commands in self.groups.items():
            formatter.start_section(title)
            formatter.add_text("\n".join(f"{name:12}{summary}" for name, summary in commands))
            formatter.end_section()
        formatter.start_section("options")
        formatter.add_arguments([action for action in self._actions if action.option_strings])
        formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()
