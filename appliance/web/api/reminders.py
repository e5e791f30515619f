"""Reminders, timers and alarms."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import Field

from appliance.errors import StorageError, UsageError
from appliance.events import RemindersAnswered, RemindersRequested
from appliance.web.api import BASE
from appliance.web.api.bodies import (
    NUMBER,
    Answer,
    Body,
    Query,
    Written,
    body,
    number,
    query,
    reply,
)
from appliance.web.api.following import answer, mark
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.services import Services

LIMIT_S = 15.0
MAX_TEXT = 1000
Language = Literal["", "en", "pt"]


class Wanted(Query):
    all: Literal["0", "1"] = "0"
    """Also what is over."""


class NewReminder(Body):
    text: Written = Field(max_length=MAX_TEXT)
    """What and when, as one would say it: "remind me to call Ana tomorrow at nine"."""
    language: Language = ""
    """Of the text; empty: Luna's own."""
    always: bool = False
    """Announce it in quiet hours too."""


class Snooze(Body):
    when: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    """Such as "in ten minutes"; empty: as long as is configured."""
    language: Language = ""


class Spoken(Body):
    """How to answer; no body is needed."""

    language: Language = ""
    """Of the answer; empty: Luna's own."""


class NewTime(Body):
    when: Written = Field(max_length=MAX_TEXT)
    """Such as "tomorrow at ten"."""
    language: Language = ""


class Reminder(Answer):
    id: int
    kind: str
    text: str
    language: str
    state: str
    due: str | None
    """ISO 8601 in the reminder's time zone."""
    when: str
    """The same in words."""
    zone: str
    rule: str
    """Of a repeated one (RFC 5545); else empty."""
    left_s: float | None
    waits_for_clock: bool
    missed: int
    missed_until: str | None
    announced: int
    always: bool
    created: str
    changed: str


class Reminders(Answer):
    text: str
    """One sentence for the owner."""
    reminders: list[Reminder]


def routes(services: Services) -> list[Route]:
    """Return the routes of reminders."""

    async def ask(action: str, **fields: Any) -> RemindersAnswered:
        wanted = RemindersRequested(action=action, request=mark(), **fields)
        return await answer(
            services,
            wanted,
            RemindersAnswered,
            lambda answered: answered.request == wanted.request,
            LIMIT_S,
        )

    async def do(action: str, request: web.Request | None = None, **fields: Any) -> web.Response:
        """Have *action* done; with a *request*, to the reminder that its path names."""
        if request is not None:
            fields["numbers"] = (number(request),)
            language = fields.get("language", "")
            shown = await ask("show", numbers=fields["numbers"], language=language)
            if not shown.ok:
                raise _refused(shown, 404)
        answered = await ask(action, **fields)
        if not answered.ok:
            raise _refused(answered, 422)
        return reply(
            {"text": answered.text, "reminders": answered.rows}, 201 if action == "add" else 200
        )

    async def listed(request: web.Request) -> web.Response:
        return await do("list", everything=query(request, Wanted).all == "1")

    async def add(request: web.Request) -> web.Response:
        new = await body(request, NewReminder)
        return await do("add", text=new.text, language=new.language, always=new.always)

    async def snooze(request: web.Request) -> web.Response:
        wanted = await body(request, Snooze, needed=False)
        return await do("snooze", request, text=wanted.when, language=wanted.language)

    async def done(request: web.Request) -> web.Response:
        wanted = await body(request, Spoken, needed=False)
        return await do("done", request, language=wanted.language)

    async def cancel(request: web.Request) -> web.Response:
        wanted = await body(request, Spoken, needed=False)
        return await do("cancel", request, language=wanted.language)

    async def change(request: web.Request) -> web.Response:
        wanted = await body(request, NewTime)
        return await do("change", request, text=wanted.when, language=wanted.language)

    def doc(summary: str, model: Any = None, *, needed: bool = False, status: int = 200) -> Doc:
        return Doc(summary, body=model, body_needed=needed, answer=Reminders, status=status)

    one = f"{BASE}/reminders/{{id:{NUMBER}}}"
    listing = Doc(
        "The reminders that are open; with `all`, every one.", query=Wanted, answer=Reminders
    )
    adding = doc("Add a reminder, timer or alarm.", NewReminder, needed=True, status=201)
    moving = doc("Move a reminder to another time.", NewTime, needed=True)
    return [
        Route("GET", f"{BASE}/reminders", listed, "read", doc=listing),
        Route("POST", f"{BASE}/reminders", add, "talk", doc=adding),
        Route("PATCH", one, change, "talk", doc=moving),
        Route("POST", f"{one}/snooze", snooze, "talk", doc=doc("Be reminded later.", Snooze)),
        Route("POST", f"{one}/done", done, "talk", doc=doc("It is done.", Spoken)),
        Route("POST", f"{one}/cancel", cancel, "talk", doc=doc("Cancel it.", Spoken)),
    ]


def _refused(answered: RemindersAnswered, status: int) -> Exception:
    """Return what to raise: the request was not understood, or the store failed."""
    if answered.exit_code == StorageError.exit_code:
        return StorageError(answered.text)
    if answered.exit_code == UsageError.exit_code:
        return RequestError(status, answered.text)
    return RequestError(409, answered.text)
