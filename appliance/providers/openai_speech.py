"""Speech to text by OpenAI's interface, which Groq and several LAN servers share."""

from __future__ import annotations

import io
import json
import wave

import aiohttp

from appliance.errors import ProviderError, UsageError
from appliance.providers.http import Deadline, Http
from appliance.providers.keys import Secret
from appliance.providers.known import Provider
from appliance.providers.outbound_log import Outbound, OutboundLog
from appliance.providers.speech import BYTES_PER_SAMPLE, CloudTranscript

MAX_SECONDS = 60
"""An utterance has 28 at most. (The services take 25 MB, 13 minutes at 16 kHz.)"""
MAX_ANSWER_BYTES = 1_000_000
_LANGUAGES = {"english": "en", "portuguese": "pt"}
"""Whisper names the language in English words."""


class OpenAITranscriber:
    """A provider's ``/audio/transcriptions``. Close it when it is no longer needed."""

    def __init__(
        self, provider: Provider, key: Secret | None = None, *, outbound: OutboundLog | None = None
    ) -> None:
        self.name = provider.name
        self._provider = provider
        self._key = key
        self._outbound = outbound
        self._http = Http(provider)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def transcribe(
        self, pcm: bytes, *, rate: int, language: str = "", turn_id: int = 0
    ) -> CloudTranscript:
        """Return the words in *pcm*; see :class:`.speech.CloudTranscriber`.

        Raises:
            ProviderError: the kind says why.
            UsageError: *pcm* is longer than ``MAX_SECONDS``.
        """
        model = self._provider.model("stt")
        if not model:
            raise ProviderError(f"{self.name} has no model for speech", kind="unsupported")
        if len(pcm) > MAX_SECONDS * rate * BYTES_PER_SAMPLE:
            raise UsageError(f"the recording is longer than {MAX_SECONDS} s")
        url = f"{self._provider.base_url}/audio/transcriptions"
        sound = _wav(pcm, rate)
        self._note(url, model, turn_id, len(sound))
        # Only Whisper says which language it heard; newer models know plain JSON alone.
        form = aiohttp.FormData(
            {
                "model": model,
                "response_format": "verbose_json" if "whisper" in model else "json",
                "temperature": "0",
                **({"language": language} if language else {}),
            }
        )
        form.add_field("file", sound, filename="utterance.wav", content_type="audio/wav")
        headers = {"Authorization": f"Bearer {self._key.reveal()}"} if self._key else {}
        deadline = Deadline(self._provider)
        async with self._http.post(url, deadline, data=form, headers=headers) as response:
            body = b""
            while True:
                async with deadline.waiting():
                    chunk = await response.content.readany()
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise ProviderError(f"{self.name} sent too much", kind="malformed")
                if not chunk:
                    return self._transcript(body)

    def _transcript(self, body: bytes) -> CloudTranscript:
        try:
            answer = json.loads(body)
            text, language = answer["text"], str(answer.get("language") or "").lower()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ProviderError(f"{self.name} sent no transcript", kind="malformed") from error
        if not isinstance(text, str):
            raise ProviderError(f"{self.name} sent no transcript", kind="malformed")
        return CloudTranscript(text=text.strip(), language=_LANGUAGES.get(language, language[:2]))

    def _note(self, url: str, model: str, turn_id: int, size: int) -> None:
        if self._outbound is not None:
            self._outbound.record(Outbound.of_sound(self.name, url, model, turn_id, size))


def _wav(pcm: bytes, rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(BYTES_PER_SAMPLE)
        file.setframerate(rate)
        file.writeframes(pcm)
    return buffer.getvalue()
