"""What the router and everything that answers agree on.

A provider is whatever writes an answer: the local models, a server on the LAN, a cloud service.
They all stream; the router alone chooses among them, retries and counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from appliance.chat import ChatMessage

Role = Literal["chat", "code", "vision"]


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """One answer wanted."""

    role: Role
    messages: tuple[ChatMessage, ...]
    """OpenAI form; of a question with an image ``content`` is a list of parts."""
    max_tokens: int
    """Always sent: it is what the ledger reserves."""
    temperature: float
    continues: str = ""
    """The beginning of the answer that was given already: go on exactly after it."""
    whole: bool = False
    """Nothing of the conversation may be left out: one that is too long is refused."""
    tools: tuple[Mapping[str, Any], ...] = ()
    turn_id: int = 0
    attempt: int = 0
    language: str = "en"

    @property
    def has_image(self) -> bool:
        """Return whether a message carries an image."""
        return any(
            isinstance(message["content"], list)
            and any(part.get("type") == "image_url" for part in message["content"])
            for message in self.messages
        )


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an answer took."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    estimated: bool = False
    """Counted by us: the provider said nothing."""


@dataclass(frozen=True, kw_only=True)
class Delta:
    """A piece of an answer. Any of its fields may be empty."""

    text: str = ""
    finish: str = ""
    """``stop``, ``length`` or ``tool_calls``; a stream without any ended too early."""
    usage: Usage | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()


class ChatProvider(Protocol):
    """Writes answers."""

    name: str

    def model(self, role: Role) -> str:
        """Return the model that answers for *role*; empty when it has none."""

    def count_tokens(self, messages: tuple[ChatMessage, ...], model: str) -> int:
        """Return the size of *messages*, never too small: the ledger reserves so many."""

    def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Yield the answer as it is written. Closing the iterator stops the work.

        Raises:
            ProviderError: the kind says why, and what the router may do about it.
        """
