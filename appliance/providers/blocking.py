"""Providers for speech, for a thread that has no event loop of its own.

The loop stays between the calls, and with it the connection: that saves the handshake. What
leaves the box is noted by whoever gave the order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import numpy as np
import numpy.typing as npt

from appliance.errors import ProviderError, UsageError
from appliance.providers.elevenlabs import ElevenLabsVoice
from appliance.providers.keys import Secret
from appliance.providers.known import Provider
from appliance.providers.openai_speech import OpenAITranscriber

RATE = 16_000


class BlockingTranscriber:
    """Asks :class:`~.openai_speech.OpenAITranscriber` and waits; for one thread alone."""

    def __init__(self, provider: Provider, key: Secret | None) -> None:
        self._client = OpenAITranscriber(provider, key)
        self._runner: asyncio.Runner | None = None

    def transcribe(self, pcm: bytes, language: str, turn_id: int) -> tuple[str, str]:
        """Return the words in *pcm* (mono int16 at 16 kHz) and their language, if it is told.

        Raises:
            ProviderError: the kind says why.
        """
        if self._runner is None:
            self._runner = asyncio.Runner()
        asked = self._client.transcribe(pcm, rate=RATE, language=language, turn_id=turn_id)
        try:
            found = self._runner.run(asked)
        except UsageError as error:
            raise ProviderError(str(error), kind="rejected") from error
        return found.text, found.language


class BlockingVoice:
    """A voice of :class:`~.elevenlabs.ElevenLabsVoice` in one language; for one thread alone."""

    rate = ElevenLabsVoice.rate

    def __init__(self, provider: Provider, key: Secret | None, language: str) -> None:
        self.name = provider.name
        self.language = language
        self._client = ElevenLabsVoice(provider, key)
        self._runner: asyncio.Runner | None = None

    def synthesise(self, text: str) -> Iterator[npt.NDArray[np.int16]]:
        """Yield samples as they come. Closing the iterator ends the request.

        Raises:
            ProviderError: the kind says why.
        """
        if self._runner is None:
            self._runner = asyncio.Runner()
        pieces = self._client.synthesise(text, language=self.language)
        try:
            while (piece := self._runner.run(_next(pieces))) is not None:
                yield np.frombuffer(piece, "<i2")
        except UsageError as error:
            raise ProviderError(str(error), kind="rejected") from error
        finally:
            self._runner.run(_close(pieces))


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


async def _close(pieces: AsyncIterator[bytes]) -> None:
    if isinstance(pieces, AsyncGenerator):
        await pieces.aclose()
