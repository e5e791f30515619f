"""OpenAI's own client against real ears and a real voice."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import openai
import pytest

from appliance import engines, sound_encoding
from appliance.settings import GeneralSettings, Settings
from appliance.sound_decoding import decode
from appliance.web.openai_audio import MAX_UPLOAD
from tests.benchmarks.speech_clips import words
from tests.speech import say
from tests.web.openai_box import Box, box

QUESTION = "What is the capital of France?"


def wav(samples: Any, rate: int = 16_000) -> bytes:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return data.getvalue()


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[Box]:
    """A box that hears one question in anything loud, and hums."""
    async with box(tmp_path, "stt", "tts", "llm") as running:
        yield running


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Box]:
    settings = Settings(general=GeneralSettings(languages=("en",)))
    parts = engines.real(settings)
    async with box(tmp_path, "stt", "tts", "llm", settings=settings, parts_of=parts) as running:
        yield running


@pytest.mark.models
@pytest.mark.slow
async def test_what_was_said_is_written_and_spoken_again(real: Box) -> None:
    clip = say(QUESTION)
    audio = real.client.audio
    for form, name in (("wav", "clip.wav"), ("mp3", "clip.mp3"), ("opus", "clip.ogg")):
        encoder = sound_encoding.encoder(form, 16_000)
        data = encoder.feed(clip.tobytes()) + encoder.close()
        found = await audio.transcriptions.create(model="whisper-1", file=(name, data))
        assert {"capital", "france"} <= set(words(found.text)), form
    # A person at the box is answered meanwhile, and the speech is understood by the box itself.
    async with audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=QUESTION, response_format="mp3"
    ) as response:
        assert response.headers["content-type"] == "audio/mpeg"
        pieces = [piece async for piece in response.iter_bytes(chunk_size=1024)]
    again = await audio.transcriptions.create(
        model="whisper-1", file=("a.mp3", b"".join(pieces)), language="en"
    )
    assert {"capital", "france"} <= set(words(again.text))


@pytest.mark.models
@pytest.mark.slow
async def test_a_long_sound_has_subtitles(real: Box) -> None:
    quiet = np.zeros(16_000, np.int16)
    sentences = [QUESTION, "Remind me to water the plants.", "How many planets are there?"] * 3
    clip = np.concatenate([part for sentence in sentences for part in (say(sentence), quiet)])
    create: Any = real.client.audio.transcriptions.create
    found = await create(
        model="whisper-1", file=("a.wav", wav(clip)), response_format="verbose_json"
    )
    assert found.duration == pytest.approx(len(clip) / 16_000, abs=0.01)
    assert found.language == "en"
    assert len(found.segments) >= 3
    assert words(found.text).count("planets") == 3
    ends = [segment.end for segment in found.segments]
    assert ends == sorted(ends)


async def test_forms_of_a_transcript(fake: Box) -> None:
    loud = wav((8000 * np.sin(np.arange(16_000 * 12) / 10)).astype(np.int16))
    create: Any = fake.client.audio.transcriptions.create

    async def written(form: str) -> Any:
        return await create(model="whisper-1", file=("a.wav", loud), response_format=form)

    said = (await written("json")).text
    assert said
    assert (await written("text")).strip() == said
    srt = await written("srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:")
    assert srt.count(said) >= 2
    assert (await written("vtt")).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:")
    with pytest.raises(openai.BadRequestError):
        await written("diarized_json")
    with pytest.raises(openai.BadRequestError) as caught:
        await create(model="whisper-1", file=("a.wav", loud), language="klingon")
    assert caught.value.param == "language"
    silent = wav(np.zeros(16_000, np.int16))
    assert (await create(model="whisper-1", file=("a.wav", silent))).text == ""


async def test_what_is_no_sound(fake: Box) -> None:
    create: Any = fake.client.audio.transcriptions.create
    for data in (b"no sound", b"#EXTM3U\nhttp://127.0.0.1/a.wav", b"RIFF\0\0\0\0WAVE" + b"\0" * 99):
        with pytest.raises(openai.BadRequestError) as caught:
            await create(model="whisper-1", file=("a.wav", data))
        assert "the file" in str(caught.value)
    with pytest.raises(openai.APIStatusError) as too_large:
        await create(model="whisper-1", file=("a.wav", bytes(MAX_UPLOAD + 1)))
    assert too_large.value.status_code == 413
    headers = {"Authorization": f"Bearer {fake.token}"}
    url = f"{fake.url}/audio/transcriptions"
    async with aiohttp.ClientSession(headers=headers) as session:
        for form in ({"model": "whisper-1"}, {"file": ""}):
            async with session.post(url, data=form) as answer:
                assert answer.status == 400
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        for body in (
            b"",
            b"--x",
            b"--x\r\n\r\n",
            b"--y\r\n",
            b"--x\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n--z--\r\n--x--",
        ):
            async with session.post(url, data=body, headers=kind) as answer:
                assert answer.status == 400, body
    async with fake.another("luna_wrong") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"RIFF"))


async def test_forms_of_speech(fake: Box) -> None:
    for form in sound_encoding.FORMATS:
        answer = await fake.client.audio.speech.create(
            model="tts-1",
            voice="alloy",
            input="Hello. How are you?",
            response_format=form,  # type: ignore[arg-type]
        )
        data = answer.content
        if form == "aac":
            assert data[0] == 0xFF
            continue
        seconds = len(data) / 2 / 24_000 if form == "pcm" else len(decode(data)) / 16_000
        assert 0.8 < seconds < 3.0, form


async def test_speech_comes_as_it_is_made(fake: Box) -> None:
    """The first sound is there long before the last; who hangs up stops it."""
    text = "This is a sentence of some length. " * 100
    async with fake.client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="en-US", input=text, response_format="pcm"
    ) as response:
        async for piece in response.iter_bytes(chunk_size=4096):
            assert piece
            break
    async with asyncio.timeout(10):  # the voice is free again
        await fake.client.audio.speech.create(model="tts-1", voice="x", input="Hello.")


async def test_what_cannot_be_spoken(fake: Box) -> None:
    create: Any = fake.client.audio.speech.create
    for wrong in (
        {"input": ""},
        {"input": "a" * 4097},
        {"input": 3},
        {"response_format": "midi"},
        {"speed": 2.0},
        {"extra_body": {"stream_format": "sse"}},
    ):
        with pytest.raises(openai.BadRequestError):
            await create(**{"model": "tts-1", "voice": "alloy", "input": "Hello.", **wrong})
