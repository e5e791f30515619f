"""Cloud speech against a server on loopback."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import ProviderError, UsageError
from appliance.providers.elevenlabs import RATE, ElevenLabsVoice
from appliance.providers.keys import Secret
from appliance.providers.known import Provider, resolve
from appliance.providers.openai_speech import OpenAITranscriber
from appliance.providers.outbound_log import OutboundLog, read
from appliance.providers.speech import CloudTranscriber, CloudTranscript, CloudVoice
from appliance.settings import ProviderSettings
from tests.fake_provider import FakeProvider, Play, failing, hanging, rate_limited

SECOND = b"\x01\x02" * 16_000
VOICE = "21m00Tcm4TlvDq8ikWAM"


def _provider(server: FakeProvider, name: str, **settings: Any) -> Provider:
    return resolve(name, ProviderSettings(base_url=server.base_url, **settings))


@pytest.fixture
async def transcriber(fake_provider: FakeProvider) -> AsyncIterator[OpenAITranscriber]:
    client = OpenAITranscriber(_provider(fake_provider, "groq"), Secret("gsk_1"))
    as_protocol: CloudTranscriber = client
    assert as_protocol.name == "groq"
    yield client
    await client.close()


@pytest.fixture
async def voice(fake_provider: FakeProvider, tmp_path: Path) -> AsyncIterator[ElevenLabsVoice]:
    outbound = OutboundLog(tmp_path, max_bytes=10_000, max_days=1)
    client = ElevenLabsVoice(
        _provider(fake_provider, "elevenlabs", voices={"en": VOICE}),
        Secret("xi_1"),
        outbound=outbound,
    )
    as_protocol: CloudVoice = client
    assert as_protocol.rate == RATE
    yield client
    await client.close()
    outbound.close()


def heard(**answer: Any) -> Play:
    return Play(body=json.dumps(answer).encode(), content_type="application/json")


async def test_sound_becomes_words(
    fake_provider: FakeProvider, transcriber: OpenAITranscriber
) -> None:
    fake_provider.play(heard(text=" Que horas são? ", language="portuguese"))
    transcript = await transcriber.transcribe(SECOND, rate=16_000)
    assert transcript == CloudTranscript(text="Que horas são?", language="pt")
    [received] = fake_provider.requests
    assert received.path == "/v1/audio/transcriptions"
    assert received.headers["Authorization"] == "Bearer gsk_1"
    assert received.body["model"] == "whisper-large-v3-turbo"
    assert received.body["response_format"] == "verbose_json"
    assert "language" not in received.body
    with wave.open(io.BytesIO(received.body["file"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(20_000) == SECOND


async def test_the_language_can_be_said(
    fake_provider: FakeProvider, transcriber: OpenAITranscriber
) -> None:
    fake_provider.play(heard(text="Hi"))
    transcript = await transcriber.transcribe(SECOND, rate=16_000, language="en")
    assert transcript == CloudTranscript(text="Hi")
    assert fake_provider.requests[0].body["language"] == "en"


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (rate_limited(), "rate_limited"),
        (failing(500), "server"),
        (heard(words="?"), "malformed"),
        (heard(text=5), "malformed"),
        (Play(body=b"[]", content_type="application/json"), "malformed"),
        (Play(huge_bytes=3_000_000), "malformed"),
    ],
)
async def test_failures_of_transcription(
    fake_provider: FakeProvider, transcriber: OpenAITranscriber, play: Play, kind: str
) -> None:
    fake_provider.play(play)
    with pytest.raises(ProviderError) as caught:
        await transcriber.transcribe(SECOND, rate=16_000)
    assert caught.value.kind == kind


async def test_a_recording_that_is_too_long_is_not_sent(
    fake_provider: FakeProvider, transcriber: OpenAITranscriber
) -> None:
    with pytest.raises(UsageError):
        await transcriber.transcribe(SECOND * 61, rate=16_000)
    assert not fake_provider.requests


async def test_words_become_sound(
    fake_provider: FakeProvider, voice: ElevenLabsVoice, tmp_path: Path
) -> None:
    fake_provider.play(Play(body=SECOND, content_type="audio/pcm", write_bytes=333))
    chunks = [chunk async for chunk in voice.synthesise("Hello.", language="en", turn_id=3)]
    assert b"".join(chunks) == SECOND
    assert all(len(chunk) % 2 == 0 for chunk in chunks)
    [received] = fake_provider.requests
    assert received.path == f"/v1/text-to-speech/{VOICE}/stream"
    assert received.headers["xi-api-key"] == "xi_1"
    assert received.body["text"] == "Hello."
    await voice.close()
    voice._outbound.close()  # type: ignore[union-attr]
    [noted] = read(tmp_path)
    assert (noted.provider, noted.role, noted.turn_id) == ("elevenlabs", "tts", 3)


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (failing(401), "misconfigured"),
        (rate_limited("9"), "rate_limited"),
        (Play(body=b"{}", content_type="application/json"), "malformed"),
        (Play(body=SECOND * 200, content_type="audio/pcm"), "malformed"),
    ],
)
async def test_failures_of_the_voice(
    fake_provider: FakeProvider, voice: ElevenLabsVoice, play: Play, kind: str
) -> None:
    fake_provider.play(play)
    with pytest.raises(ProviderError) as caught:
        _ = [chunk async for chunk in voice.synthesise("Hello.", language="en")]
    assert caught.value.kind == kind


async def test_a_language_without_a_voice(voice: ElevenLabsVoice) -> None:
    with pytest.raises(ProviderError) as caught:
        await anext(voice.synthesise("Olá.", language="pt"))
    assert caught.value.kind == "unsupported"


async def test_silence_has_its_limit(fake_provider: FakeProvider) -> None:
    fake_provider.play(hanging())
    limits = {"first_token_timeout_s": 0.2, "voices": {"en": VOICE}}
    transcriber = OpenAITranscriber(_provider(fake_provider, "groq", **limits))
    voice = ElevenLabsVoice(_provider(fake_provider, "elevenlabs", **limits), None)
    with pytest.raises(ProviderError) as transcribing:
        await transcriber.transcribe(SECOND, rate=16_000)
    with pytest.raises(ProviderError) as speaking:
        await anext(voice.synthesise("Hello.", language="en"))
    assert (transcribing.value.kind, speaking.value.kind) == ("timeout", "timeout")
    await transcriber.close()
    await voice.close()
