"""A Luna of the tests: what she says is decided by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from appliance.control import Health, HealthRequested
from appliance.errors import ServiceError
from appliance.events import (
    AgentSwitch,
    Complete,
    Content,
    Event,
    Heard,
    Snapshot,
    StateChanged,
    TextAsked,
    TurnEnded,
    TurnStarted,
)
from appliance.terminal.service import (
    Conversation,
    Found,
    Message,
    QuotaLeft,
    Reminder,
    Setting,
)

WORKERS = {
    name: {"worker": name, "status": "ready", "detail": "", "restarts": 0}
    for name in ("audio", "listen", "stt", "llm", "tts")
}
REPORT = {
    "workers": {"listen": {"stats": {"overruns": 0}}, "audio": {"stats": {"underruns": 2}}},
}
TIMINGS = {
    "stt_ms": 312.0,
    "first_token_ms": 148.0,
    "first_audio_ms": 412.0,
    "total_ms": 2310.0,
    "tokens_per_second": 23.4,
}


@dataclass
class FakeService:
    """Keeps what it was asked; *snapshot* and *kept* are what it begins with."""

    snapshot: Snapshot = field(
        default_factory=lambda: Snapshot(
            state="idle",
            version="1",
            workers=WORKERS,
            microphone={"status": "open"},
            speaker={"status": "closed"},
        )
    )
    kept: dict[int, list[Message]] = field(default_factory=dict)
    current: int = 0
    words: dict[str, str] = field(default_factory=lambda: {"en": "You are Luna.", "pt": ""})
    kept_reminders: list[Reminder] = field(default_factory=list)
    config: list[Setting] = field(default_factory=list)
    limits: list[QuotaLeft] = field(default_factory=lambda: [QuotaLeft("groq", 19.0)])
    sent: list[Event] = field(default_factory=list)
    done: list[tuple[str, Any]] = field(default_factory=list)
    broken: str = ""
    """What the HTTP API says to everything; empty: it works."""
    _queue: asyncio.Queue[Event | None] | None = None
    _down: bool = False

    # --- what the test does ---

    def say(self, *events: Event) -> None:
        """Have these events arrive."""
        assert self._queue is not None, "nobody listens"
        for event in events:
            self._queue.put_nowait(event)

    def stop(self) -> None:
        """Hang up, and be gone."""
        self._down = True
        if self._queue is not None:
            self._queue.put_nowait(None)

    def start(self) -> None:
        """Be there again."""
        self._down = False

    def asked(self) -> TextAsked:
        """Return the last question."""
        return next(e for e in reversed(self.sent) if isinstance(e, TextAsked))

    def begin(self, turn_id: int, source: str = "text", question: str = "") -> None:
        """Begin a turn; of the last written question if there is none."""
        request = "" if question else self.asked().request
        question = question or self.asked().text
        self.say(
            TurnStarted(turn_id=turn_id, source=source, request=request),
            StateChanged(state="thinking", turn_id=turn_id),
            AgentSwitch(turn_id=turn_id, role="chat", provider="local", model="smollm2"),
            Heard(turn_id=turn_id, text=question, language="en"),
        )

    def finish(self, turn_id: int, answer: str = "", source: str = "text") -> None:
        """End a turn, its answer in a few pieces."""
        step = max(1, len(answer) // 5)
        pieces = [answer[i : i + step] for i in range(0, len(answer), step)]
        self.say(
            *(Content(turn_id=turn_id, text=piece) for piece in pieces),
            Complete(turn_id=turn_id, text=answer),
            StateChanged(state="idle"),
            TurnEnded(
                turn_id=turn_id,
                source=source,
                outcome="answered",
                answer=answer,
                provider="local",
                model="smollm2",
                timings=TIMINGS,
            ),
        )

    # --- what the application calls ---

    async def events(self) -> AsyncIterator[Event]:
        if self._down:
            raise ServiceError("Luna is not running; start it with `luna run`")
        self._queue = asyncio.Queue()
        yield self.snapshot
        while (event := await self._queue.get()) is not None:
            yield event
        self._queue = None

    async def send(self, event: Event) -> None:
        if self._queue is None:
            raise ServiceError("Luna is not running; start it with `luna run`")
        if isinstance(event, HealthRequested):
            self.say(Health(report=REPORT))
        else:
            self.sent.append(event)

    async def conversations(self) -> list[Conversation]:
        self._check()
        return [
            Conversation(
                number,
                messages[-1].at if messages else 0.0,
                len(messages),
                messages[0].content if messages else "",
                number == self.current,
            )
            for number, messages in reversed(self.kept.items())
        ]

    async def search(self, words: str) -> list[Found]:
        self._check()
        return [
            Found(number, message.role, message.at, message.content)
            for number, messages in self.kept.items()
            for message in messages
            if words.casefold() in message.content.casefold()
        ]

    async def messages(self, conversation: int) -> list[Message]:
        self._check()
        return self.kept[conversation]

    async def new_conversation(self) -> None:
        self._do("new", None)

    async def open_conversation(self, conversation: int) -> None:
        self._do("open", conversation)
        self.current = conversation

    async def delete_conversation(self, conversation: int) -> None:
        self._do("delete", conversation)
        del self.kept[conversation]

    async def persona(self) -> dict[str, str]:
        self._check()
        return self.words

    async def set_persona(self, language: str, words: str) -> None:
        self._do("persona", (language, words))
        self.words[language] = words

    async def reminders(self) -> list[Reminder]:
        self._check()
        return self.kept_reminders

    async def add_reminder(self, words: str, language: str) -> str:
        self._do("add", (words, language))
        self.kept_reminders.append(Reminder(9, "reminder", words, "open", "tomorrow at nine"))
        return f"I keep it: {words}."

    async def change_reminder(self, number: int, action: str) -> str:
        self._do(action, number)
        self.kept_reminders = [one for one in self.kept_reminders if one.id != number]
        return "Done."

    async def quota(self) -> list[QuotaLeft]:
        self._check()
        return self.limits

    async def settings(self) -> list[Setting]:
        self._check()
        return self.config

    async def change_setting(self, key: str, value: Any) -> bool:
        self._do("set", (key, value))
        return False

    def _do(self, what: str, value: Any) -> None:
        self._check()
        self.done.append((what, value))

    def _check(self) -> None:
        if self.broken:
            raise ServiceError(self.broken)
