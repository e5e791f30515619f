"""The command `luna`: puts the groups of commands together, and carries one out.

What can be typed is in :mod:`appliance.command_line`, which says how to add a command; what each
command does is in :mod:`appliance.actions`, and is imported when it is asked for.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from functools import partial

from appliance import __version__
from appliance.command_line import answers, box, page, reminders, service, setup, stored, talking
from appliance.command_line.options import common_options, load_settings
from appliance.command_line.parser import EXIT_CODES, MainParser, Parser
from appliance.errors import LunaError

GROUPS = (talking, service, answers, reminders, page, box, setup, stored)
"""In the order of the help."""


def build_parser() -> MainParser:
    """Return the parser of the whole command line."""
    parser = MainParser(
        prog="luna",
        description="Luna: a voice assistant that listens, thinks and speaks on this machine.",
        epilog=f"`luna COMMAND --help` says more.\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"luna {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    common = common_options()

    def add(
        title: str,
        name: str,
        summary: str,
        example: str,
        *,
        json: bool = True,
        action: str = "",
        settings: bool = True,
    ) -> Parser:
        command: Parser = commands.add_parser(
            name,
            parents=[common],
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if json:
            command.add_argument("--json", action="store_true", help="print JSON, for scripts")
        command.set_defaults(carry_out=action or f"{name}:run", with_settings=settings)
        parser.groups.setdefault(title, []).append((name, summary))
        return command

    for group in GROUPS:
        group.add_commands(partial(add, group.TITLE))
    return parser


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; options may also stand between an action and its words.

    argparse gives the words up where an option follows the action, and calls them unknown.
    """
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and (hasattr(arguments, "words") and not any(word.startswith("-") for word in rest)):
        arguments.words = [*arguments.words, *rest]
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def carry_out(arguments: argparse.Namespace) -> int:
    """Carry out the command; return the exit code.

    Raises:
        LunaError: it failed; the sentence is for the person at the keyboard.
    """
    if arguments.debug:
        from appliance import log

        log.configure("debug")
    module, _, name = arguments.carry_out.partition(":")
    action = getattr(importlib.import_module(f"appliance.actions.{module}"), name)
    if arguments.with_settings:
        return int(action(arguments, load_settings(arguments)))
    return int(action(arguments))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = parse(argv)
    try:
        return carry_out(arguments)
    except LunaError as error:
        if arguments.debug:
            raise
        sys.stderr.write(f"luna: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has had enough (`luna ask ... | head`).
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
