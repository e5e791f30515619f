"""What the worker needs of a language model; :mod:`appliance.llm.llama` is the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.chat import ChatMessage

OnText = Callable[[str], None]
Proceed = Callable[[], bool]
"""Asked before every batch of a prompt and every token; False stops the work there."""


@dataclass(frozen=True)
class Generated:
    """How an answer came about."""

    reason: str
    """``stop``, ``length`` or ``cancelled``."""
    prompt_tokens: int
    cached_tokens: int
    """How many of the prompt's tokens were evaluated before."""
    completion_tokens: int


class ChatEngine(Protocol):
    """What the worker needs of a language model. One thread at a time may use it."""

    name: str
    """For a person: which model this is."""
    context_tokens: int
    """Tokens that prompt and answer may have together."""

    def count_tokens(self, message: ChatMessage) -> int:
        """Return the size of *message* in a prompt; exact to a few tokens."""

    def warm(self, messages: Sequence[ChatMessage], proceed: Proceed) -> bool:
        """Evaluate what every prompt that begins with *messages* has in common.

        Returns False when *proceed* stopped it; what was done by then is not lost.

        Raises:
            LunaError: the model failed, or what it evaluated could not be kept for a restart.
        """

    def generate(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float,
        on_text: OnText,
        proceed: Proceed,
    ) -> Generated:
        """Write the next message of the conversation, handing each piece to *on_text*.

        Raises:
            UsageError: the prompt does not fit into the context.
            ModelError: the model failed.
        """

    def close(self) -> None:
        """Free the memory."""
