"""Voices of ElevenLabs, streamed as PCM.

https://elevenlabs.io/docs/api-reference/text-to-speech/stream
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

from appliance.errors import ProviderError, UsageError
from appliance.providers.http import Deadline, Http
from appliance.providers.keys import Secret
from appliance.providers.known import Provider
from appliance.providers.outbound_log import Outbound, OutboundLog
from appliance.providers.speech import BYTES_PER_SAMPLE

RATE = 22_050
MAX_CHARACTERS = 5000
"""Of one text; Luna speaks by the clause."""
MAX_SECONDS_PER_CHARACTER = 1.0
"""Speech has about 15 characters a second; what is far slower is not what was asked for."""
MIN_MAX_SECONDS = 30.0


class ElevenLabsVoice:
    """Speaks with the provider's voice for each language. Close it when no longer needed."""

    rate = RATE

    def __init__(
        self, provider: Provider, key: Secret | None, *, outbound: OutboundLog | None = None
    ) -> None:
        self.name = provider.name
        self._provider = provider
        self._key = key
        self._outbound = outbound
        self._http = Http(provider)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def synthesise(
        self, text: str, *, language: str, turn_id: int = 0
    ) -> AsyncIterator[bytes]:
        """Yield PCM in whole samples; see :class:`.speech.CloudVoice`.

        Raises:
            ProviderError: the kind says why.
            UsageError: *text* is longer than ``MAX_CHARACTERS``.
        """
        model, voice = self._provider.model("tts"), self._provider.voices.get(language, "")
        if not (model and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", voice)):
            raise ProviderError(
                f"{self.name} has no voice for {language}; set providers.{self.name}.voices",
                kind="unsupported",
            )
        if len(text) > MAX_CHARACTERS:
            raise UsageError(f"a text to be spoken has {MAX_CHARACTERS} characters at most")
        url = f"{self._provider.base_url}/text-to-speech/{voice}/stream?output_format=pcm_{RATE}"
        body = json.dumps({"text": text, "model_id": model, "language_code": language}).encode()
        self._note(url, model, text, turn_id)
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["xi-api-key"] = self._key.reveal()

        longest_s = max(MIN_MAX_SECONDS, len(text) * MAX_SECONDS_PER_CHARACTER)
        left = int(longest_s * RATE) * BYTES_PER_SAMPLE
        half = b""  # the first byte of a sample whose second is still on its way
        deadline = Deadline(self._provider)
        async with self._http.post(url, deadline, data=body, headers=headers) as response:
            if not response.content_type.startswith(("audio/", "application/octet-stream")):
                raise ProviderError(f"{self.name} sent no sound", kind="malformed")
            while True:
                async with deadline.waiting():
                    chunk = await response.content.readany()
                if not chunk:
                    return
                deadline.progress()
                left -= len(chunk)
                if left < 0:
                    raise ProviderError(f"{self.name} does not stop speaking", kind="malformed")
                chunk = half + chunk
                whole = len(chunk) - len(chunk) % BYTES_PER_SAMPLE
                half = chunk[whole:]
                if whole:
                    yield chunk[:whole]

    def _note(self, url: str, model: str, text: str, turn_id: int) -> None:
        if self._outbound is not None:
            self._outbound.record(Outbound.of_speech(self.name, url, model, turn_id, text))
