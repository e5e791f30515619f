"""What the coordinator asks of whoever answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.commands import Command, EndSpeech, Speak, Transcribe
from appliance.events import Event


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be answered."""

    turn_id: int
    attempt: int
    text: str
    language: str
    spoken: bool = False
    image: str = ""
    """A ``data:`` URL of :class:`appliance.images.Image`."""
    code_only: bool = False


class Hearing(Protocol):
    """Chooses who writes down what was said."""

    def transcribe(
        self, command: Transcribe, send: Callable[[Command], bool], *, certain: bool
    ) -> None:
        """Have it done by the worker that *send* reaches; *certain*: the person has finished."""

    def confirm(self, turn_id: int) -> None:
        """The person has finished: now it may cost something."""

    def cancel(self, turn_id: int) -> None:
        """The words of this turn are not wanted any more."""

    def take(self, event: Event) -> None:
        """Take what the worker, or the supervisor about it, has to say."""


class Speaking(Protocol):
    """Chooses whose voice speaks a clause."""

    def order(self, command: Speak | EndSpeech, send: Callable[[Command], bool]) -> None:
        """Have it done by the worker that *send* reaches, after what was ordered before."""

    def cancel(self, turn_id: int) -> None:
        """Nothing more of this turn is to be said."""

    def take(self, event: Event) -> None:
        """Take what the worker, or the supervisor about it, has to say."""


class Answers(Protocol):
    """Answers questions; what it writes comes back as events of the turn."""

    @property
    def hearing(self) -> Hearing | None:
        """Who chooses by whom speech is transcribed; None: the box itself always does it."""

    @property
    def speaking(self) -> Speaking | None:
        """Who chooses whose voice speaks; None: the box's own always does."""

    def begin(self, question: Question) -> None:
        """Answer *question*, in place of an older attempt of its turn; never waits."""

    def under_way(self, turn_id: int, attempt: int) -> bool:
        """Return whether an answer to this attempt is being written."""

    def confirm(self, turn_id: int) -> None:
        """The question is certain: now it may cost something, or have an effect."""

    def cancel(self, turn_id: int, attempt: int = 0) -> None:
        """Stop all work for a turn, or for one attempt of it."""

    def warm(self, language: str) -> None:
        """Prepare for the first question."""

    def rest(self, language: str) -> None:
        """A turn has ended, and no other is waiting: time to tidy up."""
