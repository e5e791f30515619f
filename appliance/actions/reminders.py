"""`luna reminders`: through the running service, or else directly on the store."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from appliance import paths
from appliance.control import ask
from appliance.errors import LunaError, UsageError, error_of
from appliance.events import Event, RemindersAnswered, RemindersRequested
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.reminders.dialogue import Dialogue

ANSWER_LIMIT_S = 15.0
_NUMBERED = ("show", "change", "snooze", "done", "cancel")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna reminders ACTION [WORD...]`; return the exit code.

    Raises:
        UsageError: the words do not fit.
        StorageError: it was not stored, or the store cannot be read.
        ServiceError: the running service does not answer.
    """
    request = _request(arguments)
    answered = asyncio.run(_answered(request, settings))
    if not answered.ok:
        if arguments.json:
            print(json.dumps({"ok": False, "text": answered.text}, ensure_ascii=False))
        raise error_of(answered.exit_code or LunaError.exit_code)(answered.text)
    if arguments.json:
        rows = list(answered.rows)
        shown = (
            rows if request.action in ("list", "show") else {"text": answered.text, "rows": rows}
        )
        print(json.dumps(shown, ensure_ascii=False, indent=2))
    elif request.action in ("list", "show") and answered.rows:
        _print(answered)
    else:
        print(answered.text)
    return 0


def _request(arguments: argparse.Namespace) -> RemindersRequested:
    action, words = arguments.action.replace("-", "_"), list(arguments.words)
    numbers: list[int] = []
    if action in _NUMBERED:
        many = action in ("show", "done", "cancel")
        taken, words = (words, []) if many else (words[:1], words[1:])
        try:
            numbers = [int(word) for word in taken]
        except ValueError as error:
            raise UsageError("name reminders by their numbers in `luna reminders list`") from error
        if not numbers:
            raise UsageError(f"say which: luna reminders {arguments.action} NUMBER")
    if action in ("add", "change") and not words:
        raise UsageError(f"say what or when: luna reminders {arguments.action} ... WORDS")
    if action == "cancel_all" and not arguments.yes:
        raise UsageError("this cancels all reminders, timers and alarms; say so with --yes")
    return RemindersRequested(
        action=action,
        numbers=tuple(numbers),
        text=" ".join(words),
        language=arguments.language or "",
        everything=arguments.all,
        always=arguments.always,
        request=uuid.uuid4().hex,
    )


async def _answered(request: RemindersRequested, settings: Settings) -> RemindersAnswered:
    answered = await ask(
        request, RemindersAnswered, ANSWER_LIMIT_S, lambda e: e.request == request.request
    )
    if answered is not None:
        return answered
    from appliance.reminders.requests import Requests

    async with book_of(settings) as dialogue:
        return await Requests(dialogue, settings.general.language).answer(request)


@asynccontextmanager
async def book_of(settings: Settings) -> AsyncIterator[Dialogue]:
    """Open the store here, where no service holds it; nothing is announced.

    Raises:
        StorageError: it cannot be opened.
    """
    from appliance.reminders.book import Book
    from appliance.reminders.dialogue import Dialogue
    from appliance.reminders.schedule import Policy
    from appliance.reminders.store import ReminderStore
    from appliance.reminders.wall_clock import SystemClock, local_zone
    from appliance.storage.background import Background

    disk = Background("reminders")
    try:
        data_dir = paths.data_dir(settings.general.data_dir)
        store = await disk.call(ReminderStore.on_flash, data_dir)
        try:
            book = Book(
                store,
                disk,
                clock=SystemClock(),
                zone=local_zone,
                publish=_ignore,
                policy=Policy.of(settings.reminders),
            )
            await book.open()
            yield Dialogue(book)
        finally:
            await disk.call(store.close)
    finally:
        disk.close()


def _ignore(_: Event) -> None:
    """Nobody listens to this command."""


def _print(answered: RemindersAnswered) -> None:
    for row in answered.rows:
        due = datetime.fromisoformat(row["due"]) if row["due"] else None
        shown = f"{due:%Y-%m-%d %H:%M}" if due else ""
        named = f"{row['kind']}: {row['text']}" if row["text"] else row["kind"]
        more = [row["state"]] if row["state"] != "waiting" else []
        if row["rule"]:
            more.append(row["rule"])
        if row["missed"]:
            more.append(f"missed {row['missed']}")
        if row["waits_for_clock"]:
            more.append("waits until the clock is set")
        note = f"  ({', '.join(more)})" if more else ""
        print(f"{row['id']:5}  {shown:16}  {named}{note}")
    if answered.text:
        sys.stdout.write(f"{answered.text}\n")
