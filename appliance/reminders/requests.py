"""Requests of the command line and the page, which name reminders by their ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from appliance.errors import StorageError, UsageError
from appliance.events import RemindersAnswered, RemindersRequested
from appliance.reminders.dialogue import Dialogue, Reply
from appliance.reminders.records import Reminder
from appliance.reminders.rows import row
from appliance.reminders.schedule import due_at
from appliance.reminders.spoken_time import Parsed, Question, parse
from appliance.texts import text

ACTIONS = ("list", "show", "add", "say", "change", "snooze", "done", "cancel", "cancel_all")
MAX_TEXT = 1000
"""Characters of a request at most."""

_LEADING = re.compile(r"^(?:at|to|for|by|às|as|para|pra|por) ", re.IGNORECASE)
_MOVE = {"en": "move it to ", "pt": "muda o lembrete para "}
"""Makes a time a sentence, so that one without a day is understood in the same way."""


class _Wrong(Exception):  # noqa: N818  (never leaves this module)
    """The request cannot be carried out as it is."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Requests:
    """Answers a :class:`RemindersRequested` by way of *dialogue*; used by one caller at a time."""

    def __init__(self, dialogue: Dialogue, language: str) -> None:
        self._dialogue = dialogue
        self._language = language

    async def answer(self, request: RemindersRequested) -> RemindersAnswered:
        """Carry out *request*. It never raises: what went wrong is in the answer."""
        language = request.language or self._language
        try:
            reply = await self._do(request, language)
        except _Wrong as wrong:
            return RemindersAnswered(
                request=request.request, ok=False, text=wrong.text, exit_code=UsageError.exit_code
            )
        exit_code = StorageError.exit_code if reply.failed else 0 if reply.ok else 1
        return RemindersAnswered(
            request=request.request,
            ok=reply.ok,
            text=reply.text,
            rows=tuple(self._rows(reply.reminders)),
            expects_answer=reply.expects_answer,
            exit_code=UsageError.exit_code if reply.expects_answer else exit_code,
        )

    async def _do(self, request: RemindersRequested, language: str) -> Reply:
        dialogue = self._dialogue
        if len(request.text) > MAX_TEXT:
            raise _Wrong(f"a reminder has {MAX_TEXT} characters at most")
        match request.action:
            case "list":
                return self._list(request, language)
            case "show":
                found = self._found(request, language)
                return Reply("", reminders=tuple(one.id for one in found))
            case "add" | "say":
                reply = await dialogue.handle(request.text, language, always=request.always)
                if reply is None:
                    raise _Wrong(text("reminder.not_understood", language))
                return reply
            case "done":
                return await dialogue.finish(self._found(request, language), language)
            case "cancel":
                return await dialogue.cancel(self._found(request, language), language)
            case "cancel_all":
                opened = [one for one in dialogue.book.records.values() if one.open]
                if not opened:
                    return Reply(text("reminder.none", language))
                return await dialogue.cancel_all(opened, language)
            case "snooze":
                found = self._found(request, language)
                when = self._when(request, language) if request.text else None
                return await dialogue.snooze(found, when, language)
            case "change":
                [one, *_] = self._found(request, language)
                said = _MOVE.get(language, _MOVE["en"]) + _LEADING.sub("", request.text)
                return await dialogue.change(one, self._when(request, language), language, said)
        raise _Wrong(f"there is no action {request.action[:40]!r}; there are {', '.join(ACTIONS)}")

    def _list(self, request: RemindersRequested, language: str) -> Reply:
        records = self._dialogue.book.records.values()
        found = [one for one in records if one.open or request.everything]
        now = self._dialogue.book.time()
        ordered = sorted(found, key=lambda one: (_order(due_at(one, now)), one.id))
        said = "" if ordered else text("reminder.none", language)
        return Reply(said, reminders=tuple(one.id for one in ordered))

    def _found(self, request: RemindersRequested, language: str) -> Sequence[Reminder]:
        records = self._dialogue.book.records
        for number in request.numbers:
            if number not in records:
                raise _Wrong(text("reminder.no_number", language, number=number))
        if not request.numbers:
            raise _Wrong(text("reminder.name_number", language))
        return [records[number] for number in request.numbers]

    def _when(self, request: RemindersRequested, language: str) -> Parsed:
        book = self._dialogue.book
        now = book.time().wall
        parsed = parse(request.text, now, book.zone, language)
        if isinstance(parsed, Question) and parsed.key == "when":
            # "for ten minutes" and "10:30" are clear enough in writing.
            words = _LEADING.sub("", request.text)
            for before in ("in ", "at ") if language == "en" else ("em ", "às "):
                again = parse(before + words, now, book.zone, language)
                if not isinstance(again, Question):
                    return again
        return parsed

    def _rows(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        book = self._dialogue.book
        now = book.time()
        return [row(book.records[number], now) for number in numbers if number in book.records]


def _order(due: datetime | None) -> tuple[bool, datetime | int]:
    return (due is None, due or 0)
