"""Follows turns, written and spoken, and has them shown in both views."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from appliance.events import (
    AgentSwitch,
    Content,
    Error,
    Event,
    Heard,
    ReminderDue,
    Snapshot,
    ToolCall,
    TurnEnded,
    TurnStarted,
)
from appliance.terminal.bars import Say
from appliance.terminal.service import Message
from appliance.terminal.transcript import Answer, Transcript

_SPOKEN = ("wake", "button", "follow_up", "speech", "page")


@dataclass
class Turn:
    """The turn that is shown."""

    id: int
    source: str = "text"
    own: bool = False
    """It was asked here: the question is shown already."""
    bare: bool = False
    """It was asked for nothing but code."""
    asked: bool = False
    """The question is shown."""
    detail: str = ""
    answers: list[Answer] = field(default_factory=list)
    """The same answer in each view; empty until something of it came."""
    pending: str = ""
    """What came and is not shown yet."""
    length: int = 0
    """Characters of the answer so far."""
    failed: bool = False


class Turns:
    """Takes events; writes into *views*.

    Args:
        views: what was said, and its code alone.
        say: returns a text in the person's language.
        soon: has ``flush`` called a moment later: a line is not drawn for each word that comes.
    """

    def __init__(
        self, views: Sequence[Transcript], say: Say, soon: Callable[[Callable[[], None]], None]
    ) -> None:
        self._views = views
        self._say = say
        self._soon = soon
        self._turn: Turn | None = None
        self._requests: dict[str, bool] = {}
        """What was asked here and has not begun: whether for nothing but code."""

    @property
    def running(self) -> bool:
        """Whether a turn is under way."""
        return self._turn is not None

    def ask(self, text: str, request: str, *, code_only: bool = False) -> None:
        """Show a question that is being sent under the mark *request*."""
        self.close()
        self._requests[request] = code_only
        self._person(text, "")

    def show(self, messages: Sequence[Message], *, before: bool = False) -> None:
        """Show messages that were kept; *before* all that is there."""
        with ExitStack() as stack:
            if before:
                for view in self._views:
                    stack.enter_context(view.before_all())
            for message in messages:
                when = time.strftime("%Y-%m-%d %H:%M", time.localtime(message.at))
                if message.role == "user":
                    self._person(message.content, when)
                elif message.role == "assistant":
                    self._label(when)
                    for view in self._views:
                        answer = view.begin()
                        view.write(answer, message.content)
                        view.end(answer)

    def take(self, event: Event) -> None:
        """Show what an event says."""
        match event:
            case Snapshot():
                self._join(event)
            case TurnStarted():
                self.close()
                own = event.request in self._requests
                bare = self._requests.pop(event.request, False)
                self._turn = Turn(event.turn_id, event.source, own, bare)
            case ReminderDue():
                self._note(f"⏰ {event.text}", "busy")
            case _ if self._turn is not None and getattr(event, "turn_id", 0) == self._turn.id:
                self._of_turn(self._turn, event)

    def _of_turn(self, turn: Turn, event: Event) -> None:
        match event:
            case Heard():
                self._heard(turn, event.text)
            case AgentSwitch():
                who = self._say("terminal.local") if event.provider == "local" else event.provider
                turn.detail = f"{who} {event.model}".strip()
            case ToolCall():
                turn.detail = event.name
            case Content():
                turn.pending += event.text
                turn.length += len(event.text)
                self._soon(self.flush)
            case Error():
                self.flush()
                turn.failed = True
                self._end_answer(turn)
                self._note(event.text, "bad")
            case TurnEnded():
                self._ended(turn, event)

    def flush(self) -> None:
        """Show what came of the answer."""
        turn = self._turn
        if turn is None or not turn.pending:
            return
        if not turn.answers:
            self._label(turn.detail)
            turn.answers = [view.begin(bare=turn.bare) for view in self._views]
        pending, turn.pending = turn.pending, ""
        for view, answer in zip(self._views, turn.answers, strict=True):
            view.write(answer, pending)

    def close(self, why: str = "") -> None:
        """Nothing more comes of the present turn; *why* is a text's key."""
        if self._turn is not None:
            self.flush()
            self._end_answer(self._turn)
            self._turn = None
            if why:
                self._note(self._say(why))

    def clear(self) -> None:
        """Forget all that is shown."""
        self._turn = None
        for view in self._views:
            view.clear()

    def _join(self, snapshot: Snapshot) -> None:
        """Go on with a turn that is under way."""
        last = snapshot.last_turn
        self.close("terminal.broken_off")
        if not last.get("turn_id") or last.get("outcome"):
            return
        self._turn = turn = Turn(int(last["turn_id"]), str(last.get("source", "")))
        if last.get("question"):
            self._heard(turn, str(last["question"]))
        if answer := str(last.get("answer", "")):
            turn.pending, turn.length = answer, len(answer)
            self.flush()

    def _heard(self, turn: Turn, text: str) -> None:
        if turn.asked or turn.own or not text:
            return
        turn.asked = True
        self._person(text, self._say("terminal.by_voice") if turn.source in _SPOKEN else "")

    def _ended(self, turn: Turn, ended: TurnEnded) -> None:
        if ended.question and turn.source != "say":
            self._heard(turn, ended.question)
        if not turn.length and ended.answer:
            turn.pending = ended.answer
        self.close()
        if ended.outcome == "interrupted" or (ended.outcome == "failed" and not turn.failed):
            self._note(self._say(f"outcome.{ended.outcome}"))
        elif ended.outcome == "nothing_heard" and turn.source in _SPOKEN:
            self._note(self._say("outcome.nothing_heard"))

    def _end_answer(self, turn: Turn) -> None:
        for view, answer in zip(self._views, turn.answers, strict=bool(turn.answers)):
            view.end(answer)

    def _person(self, text: str, detail: str) -> None:
        for view in self._views:
            view.say(self._say("terminal.you"), detail, "you", text)

    def _label(self, detail: str) -> None:
        for view in self._views:
            view.say("Luna", detail, "luna")

    def _note(self, text: str, color: str = "soft") -> None:
        for view in self._views:
            view.note(text, color)
