"""What a cloud service for speech has to do. Sound is mono, 16-bit little-endian PCM."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

BYTES_PER_SAMPLE = 2


@dataclass(frozen=True, kw_only=True)
class CloudTranscript:
    """What was understood."""

    text: str
    language: str = ""
    """ISO 639-1, such as ``pt``; empty: the service does not say."""


class CloudTranscriber(Protocol):
    """Speech to text."""

    name: str

    async def transcribe(
        self, pcm: bytes, *, rate: int, language: str = "", turn_id: int = 0
    ) -> CloudTranscript:
        """Return the words in *pcm* (*rate* samples a second; an empty *language*: unknown).

        Raises:
            ProviderError: the kind says why.
        """


class CloudVoice(Protocol):
    """Text to speech."""

    name: str
    rate: int
    """Samples a second."""

    def synthesise(self, text: str, *, language: str, turn_id: int = 0) -> AsyncIterator[bytes]:
        """Yield PCM in whole samples, as it is made. Closing the iterator stops the work.

        Raises:
            ProviderError: the kind says why.
        """
