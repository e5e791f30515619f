"""The way to the running Luna: events and requests by the control socket, the rest by HTTP.

``Service`` is what the application needs of it; ``LunaService`` is the real one, over the two
Unix sockets that lie beside each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

from appliance import api_client
from appliance.control import ControlClient, Refused, RequestRefusedError
from appliance.errors import ServiceError
from appliance.events import Event

T = TypeVar("T")


@dataclass(frozen=True)
class Conversation:
    """A conversation that was kept. Times are seconds since 1970."""

    id: int
    updated: float
    messages: int
    title: str
    current: bool = False


@dataclass(frozen=True)
class Found:
    """A message with the words that were looked for."""

    conversation: int
    role: str
    at: float
    snippet: str


@dataclass(frozen=True)
class Message:
    """A message of a conversation."""

    role: str
    content: str
    at: float


@dataclass(frozen=True)
class Reminder:
    """A reminder, timer or alarm that is open."""

    id: int
    kind: str
    text: str
    state: str
    when: str


@dataclass(frozen=True)
class Setting:
    """A setting that may be changed from here."""

    key: str
    type: str
    value: Any
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    choices: list[str] | None = None
    optional: bool = False
    restart: bool = False
    pending: bool = False


@dataclass(frozen=True)
class QuotaLeft:
    """How much of a provider's daily limit is used; None: it has none."""

    provider: str
    percent: float | None


class Service(Protocol):
    """What the application needs of the running Luna. All methods raise LunaError."""

    def events(self) -> AsyncIterator[Event]:
        """Connect, and yield a snapshot and then events until the connection ends.

        ``Refused`` is among them: a request was not accepted.
        """

    async def send(self, event: Event) -> None: ...
    async def conversations(self) -> list[Conversation]: ...
    async def search(self, words: str) -> list[Found]: ...
    async def messages(self, conversation: int) -> list[Message]: ...
    async def new_conversation(self) -> None: ...
    async def open_conversation(self, conversation: int) -> None: ...
    async def delete_conversation(self, conversation: int) -> None: ...
    async def persona(self) -> dict[str, str]:
        """Return the owner's words to the model by language."""

    async def set_persona(self, language: str, words: str) -> None: ...
    async def reminders(self) -> list[Reminder]: ...
    async def add_reminder(self, words: str, language: str) -> str:
        """Return one sentence that says what is kept."""

    async def change_reminder(self, number: int, action: str) -> str:
        """Carry out ``done``, ``snooze`` or ``cancel``; return one sentence."""

    async def quota(self) -> list[QuotaLeft]: ...
    async def settings(self) -> list[Setting]: ...
    async def change_setting(self, key: str, value: Any) -> bool:
        """Keep a value; return whether it waits for a restart."""


class LunaService:
    """The real one."""

    def __init__(self, control: Path, api: Path) -> None:
        self._control = control
        self._api = api
        self._client: ControlClient | None = None

    async def events(self) -> AsyncIterator[Event]:
        client = self._client = await ControlClient.connect(self._control)
        try:
            while True:
                try:
                    async for event in client.events():
                        yield event
                    return
                except RequestRefusedError as refused:
                    yield Refused(text=str(refused))
        finally:
            self._client = None
            await client.close()

    async def send(self, event: Event) -> None:
        if self._client is None:
            raise ServiceError("Luna is not running; start it with `luna run`")
        await self._client.send(event)

    async def conversations(self) -> list[Conversation]:
        answer = await self._ask("GET", "/conversations?limit=100")
        return _rows(Conversation, answer["conversations"])

    async def search(self, words: str) -> list[Found]:
        from urllib.parse import quote

        answer = await self._ask("GET", f"/conversations?search={quote(words[:200])}&limit=100")
        return _rows(Found, answer["found"])

    async def messages(self, conversation: int) -> list[Message]:
        answer = await self._ask("GET", f"/conversations/{conversation}")
        return _rows(Message, answer["messages"])

    async def new_conversation(self) -> None:
        await self._ask("POST", "/conversations/new")

    async def open_conversation(self, conversation: int) -> None:
        await self._ask("POST", f"/conversations/{conversation}/open")

    async def delete_conversation(self, conversation: int) -> None:
        await self._ask("DELETE", f"/conversations/{conversation}")

    async def persona(self) -> dict[str, str]:
        answer = await self._ask("GET", "/persona")
        return {language: str(words) for language, words in answer.items()}

    async def set_persona(self, language: str, words: str) -> None:
        await self._ask("PUT", "/persona", {language: words})

    async def reminders(self) -> list[Reminder]:
        return _rows(Reminder, (await self._ask("GET", "/reminders"))["reminders"])

    async def add_reminder(self, words: str, language: str) -> str:
        answer = await self._ask("POST", "/reminders", {"text": words, "language": language})
        return str(answer["text"])

    async def change_reminder(self, number: int, action: str) -> str:
        return str((await self._ask("POST", f"/reminders/{number}/{action}"))["text"])

    async def quota(self) -> list[QuotaLeft]:
        return _rows(QuotaLeft, (await self._ask("GET", "/quota?days=1"))["today"])

    async def settings(self) -> list[Setting]:
        return _rows(Setting, (await self._ask("GET", "/config"))["settings"])

    async def change_setting(self, key: str, value: Any) -> bool:
        return bool((await self._ask("PATCH", "/config", {key: value}))["restart"])

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        """Return the answer of the HTTP API.

        Raises:
            LunaError: it cannot be reached, or says no; the sentence is its own.
        """
        return await asyncio.to_thread(api_client.ask, self._api, method, path, body)


def _rows(kind: type[T], rows: list[dict[str, Any]]) -> list[T]:
    """Return the rows of an answer; what this version does not know is left out.

    Raises:
        ServiceError: something that it needs is missing.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    try:
        return [kind(**{k: v for k, v in row.items() if k in known}) for row in rows]
    except (TypeError, AttributeError) as error:
        raise ServiceError("Luna answered in a form of another version; update both") from error
