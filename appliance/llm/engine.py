"""What the worker needs of language models; :mod:`appliance.llm.llama` has the real ones.

A *model* is weights in memory. An *engine* is one role's use of a model: its own context, in
which the beginning of its prompts stays evaluated. A *source* opens the models of the roles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from appliance.chat import ChatMessage

OnText = Callable[[str], None]
Proceed = Callable[[], bool]
"""Asked before every batch of a prompt, every token and every piece of a file that is loaded;
False stops the work there."""


def always() -> bool:
    """Never stop."""
    return True


class LoadStopped(Exception):  # noqa: N818 - not an error: somebody wanted it
    """A model was not loaded because ``proceed`` said no."""


@dataclass(frozen=True)
class Generated:
    """How an answer came about."""

    reason: str
    """``stop``, ``length`` or ``cancelled``."""
    prompt_tokens: int
    cached_tokens: int
    """How many of the prompt's tokens were evaluated before."""
    completion_tokens: int


@dataclass(frozen=True)
class Choice:
    """The one of several words that a model chose."""

    text: str
    """Empty when ``proceed`` stopped the work."""
    probability: float
    """Its share of the probability that the model gives to all of the words together."""


class ChatEngine(Protocol):
    """One role's use of a language model. One thread at a time may use it."""

    name: str
    """For a person: which model this is."""
    context_tokens: int
    """Tokens that prompt and answer may have together."""
    memory_bytes: int
    """What it takes besides the weights, about."""

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
        continues: str = "",
    ) -> Generated:
        """Write the next message of the conversation, handing each piece to *on_text*.

        *continues* is the beginning of that message that was given already: the model goes on
        exactly after it.

        Raises:
            UsageError: the prompt does not fit into the context.
            ModelError: the model failed.
        """

    def classify(
        self, messages: Sequence[ChatMessage], choices: Sequence[str], proceed: Proceed
    ) -> Choice:
        """Answer the conversation with one of *choices* and nothing else.

        Raises:
            UsageError: the prompt does not fit into the context.
            ModelError: the model failed.
        """

    def close(self) -> None:
        """Free the memory."""


class OpenModel(Protocol):
    """Weights in memory."""

    def engine(self, role: str, proceed: Proceed) -> ChatEngine:
        """Make the engine of a role on these weights.

        Raises:
            ModelError: it cannot be made.
            LoadStopped: *proceed* said no.
        """

    def close(self) -> None:
        """Free the memory; all engines were closed before."""


@dataclass(frozen=True)
class ModelNeed:
    """What the model of a role is, and what it takes."""

    name: str
    key: str
    """The same for roles that can share the weights."""
    file_bytes: int
    """What is read when it is loaded."""
    memory_bytes: int
    """What it takes with one context, about."""


class ModelSource(Protocol):
    """Knows the model of each role and opens it."""

    def need(self, role: str) -> ModelNeed:
        """Return what the model of *role* is.

        Raises:
            UsageError: there is no such role.
            ModelError: there is no model for it.
        """

    def open(self, role: str, proceed: Proceed) -> OpenModel:
        """Load the model of *role*.

        Raises:
            ModelError: it is not installed, damaged, or cannot be loaded.
            LoadStopped: *proceed* said no.
        """


def text_of(message: ChatMessage) -> str:
    """Return the text of *message*; of one with images, its text parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if part.get("type") == "text")


def images_of(message: ChatMessage) -> list[str]:
    """Return the URLs (``data:image/jpeg;base64,...``) of the images in *message*."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return []
    return [str(part["image_url"]["url"]) for part in content if part.get("type") == "image_url"]
