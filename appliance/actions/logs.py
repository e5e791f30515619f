"""`luna logs`: the log, from the journal or from the running service."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.diagnose.entries import Entry

RANKS = {"debug": 0, "info": 1, "warning": 2, "error": 3}
_MARKS = {"warning": "! ", "error": "!! "}
_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "debug": "\x1b[2m"}


def run(arguments: argparse.Namespace) -> int:
    """Carry out `luna logs`; return the exit code.

    Raises:
        UsageError: the length of time cannot be understood.
        ServiceError: there is no log here.
        StorageError: what was kept of earlier starts cannot be read.
    """
    from appliance.diagnose import sources
    from appliance.diagnose.entries import parse, parse_line

    if arguments.earlier:
        return _earlier(arguments)
    ago = sources.duration(arguments.since) if arguments.since else None
    wanted = _filter(arguments, ago)
    write = _as_json if arguments.json else _colourful() if _has_colours() else _plain
    since = datetime.now(UTC) - ago if ago else None

    def show(line: str) -> None:
        if (entry := parse_line(line)) and wanted(entry):
            print(write(entry), flush=arguments.follow)

    if not arguments.follow:
        entries = [entry for entry in parse(sources.recent(since)).entries if wanted(entry)]
        for entry in entries[-arguments.lines :] if arguments.lines else entries:
            print(write(entry))
    elif sources.has_journal():
        with sources.of_journal(since, follow=True) as lines:
            for line in lines:
                show(line)
    else:
        asyncio.run(_follow(show, limit=arguments.lines or 20))
    return 0


def _earlier(arguments: argparse.Namespace) -> int:
    """Print the errors of earlier starts, the newest last."""
    from appliance import last_errors, paths
    from appliance.errors import StorageError

    folder = paths.data_dir() / last_errors.FOLDER
    try:
        found = {file.name: file.read_text("utf-8") for file in last_errors.kept(folder)}
    except OSError as error:
        why = f"{error.strerror}; try it with sudo"
        raise StorageError(f"what was kept in {folder} cannot be read: {why}") from error
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return 0
    for name, text in found.items():
        print(f"--- {name} ---\n{text.rstrip()}")
    if not found:
        print("Nothing was kept: no earlier start had errors, or this is no image.")
    return 0


async def _follow(show: Callable[[str], None], limit: int) -> None:
    from appliance.diagnose import sources

    async for line in sources.of_service(limit, follow=True):
        show(line)


def _filter(arguments: argparse.Namespace, ago: timedelta | None) -> Callable[[Entry], bool]:
    """Return whether an entry is wanted, as a function."""
    lowest = RANKS[arguments.level]
    begin = datetime.now(UTC) - ago if ago else None

    def wanted(entry: Entry) -> bool:
        return (
            RANKS.get(entry.level, 1) >= lowest
            and (not arguments.turn or entry.turn_id == arguments.turn)
            and (begin is None or entry.time >= begin)
        )

    return wanted


def _as_json(entry: Entry) -> str:
    """Return *entry* in the form in which Luna writes her log."""
    known = {"event": entry.event, "turn_id": entry.turn_id, "worker": entry.worker}
    line = {"time": entry.time.isoformat(timespec="milliseconds"), "level": entry.level}
    line |= {"message": entry.text}
    return json.dumps(
        {**line, **{name: value for name, value in known.items() if value}, **entry.fields},
        ensure_ascii=False,
    )


def _plain(entry: Entry) -> str:
    turn = f"#{entry.turn_id} " if entry.turn_id else ""
    # Whatever a line of the log holds, it is one line here, and steers no terminal.
    words = "".join(letter if letter.isprintable() else " " for letter in entry.text)
    return f"{entry.time.astimezone():%H:%M:%S} {_MARKS.get(entry.level, '')}{turn}{words}"


def _colourful() -> Callable[[Entry], str]:
    def write(entry: Entry) -> str:
        colour = _COLOURS.get(entry.level, "")
        return f"{colour}{_plain(entry)}\x1b[0m" if colour else _plain(entry)

    return write


def _has_colours() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
