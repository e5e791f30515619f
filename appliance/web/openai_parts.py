"""What the OpenAI-compatible endpoints need of the rest of Luna, and the errors they answer with.

The form of an error is OpenAI's (https://platform.openai.com/docs/guides/error-codes): clients
look at the status and at ``error.message``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from appliance.errors import LunaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

Role = Literal["chat", "code", "vision"]
Message = Mapping[str, Any]
SAMPLE_RATE = 16_000
"""Of what is transcribed."""
MAX_WAITING = 4
"""Requests of one kind that wait while another is served."""
TOO_MANY, SERVER_ERROR = 429, 500
RETRY_S = 5.0
"""When a client that was turned away may come again."""


class ApiError(LunaError):
    """A request that is answered with an error."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        retry_after_s: float = 0.0,
    ) -> None:
        """*code* and *param* are OpenAI's: what kind of error, and which field is wrong."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """Return the JSON object that tells of it."""
        kind = "server_error" if self.status >= SERVER_ERROR else "invalid_request_error"
        kind = "rate_limit_error" if self.status == TOO_MANY else kind
        fields = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": fields}


def too_busy() -> ApiError:
    """Return what is said to the one too many."""
    return ApiError(
        "Luna is busy: too many requests are waiting; try again in a moment",
        status=429,
        code="rate_limit_exceeded",
        retry_after_s=RETRY_S,
    )


class Gate:
    """Lets in one request and those that wait for it, and no more."""

    def __init__(self, limit: int = 1 + MAX_WAITING) -> None:
        self._limit = limit
        self._inside = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be inside for a while.

        Raises:
            ApiError: too many are inside already (429).
        """
        if self._inside >= self._limit:
            raise too_busy()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


@dataclass(frozen=True, kw_only=True)
class Written:
    """A piece of an answer."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """The answer is complete."""

    reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    provider: str = ""
    model: str = ""


class Chat(Protocol):
    """Has answers written."""

    def roles(self) -> Sequence[Role]:
        """Return the roles that have a model."""

    def complete(
        self,
        messages: Sequence[Message],
        role: Role,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[Written | Done]:
        """Yield the answer to *messages* as it is written, ``Done`` last.

        Closing the iterator stops the work and books what was used.

        Raises:
            ApiError: nobody can answer, or too many wait; before the first piece, or after it.
        """


class Sounds(Protocol):
    """Transcribes and speaks, beside the turns."""

    async def transcribe(
        self, samples: npt.NDArray[np.int16], language: str = ""
    ) -> tuple[str, str]:
        """Return what is said in mono sound at 16 kHz, and in which language."""

    def synthesise(self, text: str, language: str) -> AsyncIterator[tuple[int, bytes]]:
        """Yield samples per second and mono int16 samples as they are made."""


class Encoder(Protocol):
    """Turns samples into the bytes of a file, as they come."""

    def feed(self, samples: bytes) -> bytes:
        """Return what can be sent by now."""

    def close(self) -> bytes:
        """Return the rest."""


@dataclass(frozen=True, kw_only=True)
class OpenAiParts:
    """The parts of Luna behind the endpoints."""

    chat: Chat
    sounds: Sounds
    decode: Callable[[bytes], Awaitable[npt.NDArray[np.int16]]]
    """Returns the sound in a file's bytes: mono at 16 kHz. Raises LunaError."""
    encoder: Callable[[str, int], Encoder]
    """Returns an encoder for a format and a rate."""
    image: Callable[[bytes], Awaitable[str]]
    """Returns a checked image as a ``data:`` URL. Raises LunaError."""
    language_of: Callable[[str], str]
    """Returns the language of a text."""
    languages: Sequence[str]
    """Those that can be spoken and heard."""
