"""`luna man`: manual pages, made from the definitions of the command line.

The pages are in the language of ``man(7)``: `luna.1` with all commands, and a page for each,
`luna-COMMAND.1`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from appliance import __version__
from appliance.actions.completion import commands
from appliance.cli import build_parser
from appliance.command_line.parser import MainParser, Parser
from appliance.errors import UsageError

_FILES = (
    ("~/.config/luna/luna.toml", "configuration of an ordinary user"),
    ("/etc/luna/luna.toml, /etc/luna/conf.d/*.toml", "configuration of the service"),
    ("models.toml beside it", "models that the owner describes"),
)


def run(arguments: argparse.Namespace) -> int:
    """Print `luna.1`, or write all pages to a folder; return the exit code.

    Raises:
        UsageError: the folder cannot be written.
    """
    found = pages()
    if not arguments.to:
        print(found["luna.1"], end="")
        return 0
    folder = Path(arguments.to)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in found.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror})") from error
    print(f"{len(found)} pages were written to {folder}.")
    return 0


def pages() -> dict[str, str]:
    """Return the pages by file name."""
    parser = build_parser()
    found = {"luna.1": _main_page(parser)}
    for name, command in commands(parser).items():
        found[f"luna-{name}.1"] = _page(name, command)
    return found


def _main_page(parser: MainParser) -> str:
    lines = [*_head("luna", str(parser.description)), "luna [OPTION] COMMAND ..."]
    lines += _section("description", [_text(str(parser.description))])
    for title, group in parser.groups.items():
        lines.append(f".SH {_quoted(title.upper())}")
        for name, summary in group:
            lines += [".TP", f".BR luna\\-{_text(name)} (1)", _text(_sentence(summary))]
    lines += [*_options(parser), *_exit_codes(str(parser.epilog)), ".SH FILES"]
    for path, meaning in _FILES:
        lines += [".TP", f".I {_text(path)}", _text(_sentence(meaning))]
    return "\n".join(lines) + "\n"


def _page(name: str, command: Parser) -> str:
    description = str(command.description)
    usage = command.format_usage().removeprefix("usage: ").split()
    lines = [*_head(f"luna-{name}", description), _text(" ".join(usage))]
    lines += _section("description", [_text(description)])
    words = [a for a in command._actions if not a.option_strings]
    if words:
        lines.append(".SH WORDS")
        for action in words:
            lines += [".TP", f".I {_text(_name_of(action))}", *_help_of(action)]
    example, _, codes = str(command.epilog).removeprefix("example:").partition("exit codes:")
    lines += [*_options(command), ".SH EXAMPLE", ".nf", _text(example.strip()), ".fi"]
    lines += _exit_codes(f"exit codes:{codes}")
    lines += _section("see also", [".BR luna (1)"])
    return "\n".join(lines) + "\n"


def _head(name: str, summary: str) -> list[str]:
    summary = summary.removeprefix("Luna: ").rstrip(".")
    return [
        f'.TH {_text(name.upper())} 1 "" "Luna {_text(__version__)}" "Luna"',
        *_section("name", [f"{_text(name)} \\- {_text(summary[0].lower() + summary[1:])}"]),
        ".SH SYNOPSIS",
    ]


def _section(title: str, lines: list[str]) -> list[str]:
    return [f".SH {title.upper()}", *lines]


def _options(parser: Parser | MainParser) -> Iterator[str]:
    yield ".SH OPTIONS"
    for action in parser._actions:
        if action.option_strings:
            value = "" if action.nargs == 0 else f" {_name_of(action)}"
            yield ".TP"
            yield f".B {_text(', '.join(action.option_strings) + value)}"
            yield from _help_of(action)


def _exit_codes(epilog: str) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for line in epilog.partition("exit codes:")[2].splitlines():
        number, _, meaning = line.strip().partition(" ")
        if number:
            yield from (".TP", f".B {number}", _text(_sentence(meaning.strip())))


def _name_of(action: argparse.Action) -> str:
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _help_of(action: argparse.Action) -> list[str]:
    return [_text(_sentence(action.help))] if action.help else []


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].rstrip(".") + "."


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'


def _text(text: str) -> str:
    """Escape what is special in roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    # A line that begins with a dot would be a command.
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in text.splitlines())
