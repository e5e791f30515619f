"""What the coordinator asks of whoever answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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


class Answers(Protocol):
    """Answers questions; what it writes comes back as events of the turn."""

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
