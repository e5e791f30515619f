"""Speech through a provider on loopback: the whole appliance, with fake engines in a room."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance import engines
from appliance.app import App, Plan
from appliance.events import ButtonPressed, ClauseSynthesised, SayRequested, TurnEnded
from appliance.fakes import QUESTION
from appliance.providers.outbound_log import read
from appliance.settings import GeneralSettings, ProviderSettings, RoutingSettings, Settings
from tests.fake_provider import FakeProvider, Play, failing, hanging
from tests.room_card import RoomCard

LIMIT_S = 40.0
VOICE = "21m00Tcm4TlvDq8ikWAM"
TEXT = "Good morning to you. It is a fine day for a walk along the river."
SPEECH = (np.sin(np.arange(16_000) / 4) * 12_000).astype(np.int16)
"""What the fake engines take for a question: a second of loud sound."""


def heard(text: str) -> Play:
    answer = {"text": text, "language": "english"}
    return Play(body=json.dumps(answer).encode(), content_type="application/json")


def spoken(seconds: float) -> Play:
    sound = (np.sin(np.arange(int(22_050 * seconds)) / 9) * 9_000).astype("<i2").tobytes()
    return Play(body=sound, content_type="audio/pcm")


async def say(folder: Path, server: FakeProvider) -> tuple[list[Any], dict[str, Any]]:
    """Let Luna say two clauses; return what was synthesised, and the uses of the provider."""
    provider = ProviderSettings(base_url=server.base_url, voices={"en": VOICE})
    settings = Settings(
        general=GeneralSettings(data_dir=str(folder)),
        providers={"elevenlabs": provider},
        routing=RoutingSettings(provider={"tts": "elevenlabs"}),
    )
    parts = replace(engines.fake(settings), sound_card=partial(RoomCard, folder))
    clauses = []
    async with App(settings, parts, Plan()) as app:
        await app.ready()
        app.bus.listen(lambda e: clauses.append(e) if isinstance(e, ClauseSynthesised) else None)
        events = app.events()
        app.request(SayRequested(text=TEXT, language="en"))
        async with asyncio.timeout(LIMIT_S):
            async for event in events:
                if isinstance(event, TurnEnded):
                    break
        assert app.brain is not None
        uses = (await app.brain.providers.ledger.budget()).day.used
    return clauses, uses


async def test_a_voice_of_a_provider(tmp_path: Path) -> None:
    async with FakeProvider([spoken(0.5)]) as server:
        clauses, uses = await say(tmp_path, server)
        texts = [request.body["text"] for request in server.requests]
    assert [(clause.clause, clause.voice) for clause in clauses] == [
        (1, "elevenlabs"),
        (2, "elevenlabs"),
    ]
    assert all(clause.samples / clause.rate == pytest.approx(0.5, abs=0.05) for clause in clauses)
    assert " ".join(texts) == TEXT
    [used] = uses["elevenlabs"].values()
    assert (used.requests, used.tokens_in, used.tokens_out) == (2, sum(map(len, texts)), 0)
    assert [entry.role for entry in read(tmp_path / "outbound", 10, max_days=30)] == ["tts"] * 2


async def test_the_box_speaks_where_the_provider_cannot(tmp_path: Path) -> None:
    async with FakeProvider([failing(401)]) as server:
        clauses, uses = await say(tmp_path, server)
        assert len(server.requests) <= 2
    assert [(clause.clause, clause.voice) for clause in clauses] == [(1, "fake"), (2, "fake")]
    assert not uses.get("elevenlabs")


async def ask(folder: Path, server: FakeProvider, **limits: Any) -> tuple[TurnEnded, int]:
    """Speak one question; return the end of the turn, and the tokens that speech has taken."""
    provider = ProviderSettings(base_url=server.base_url, models={"stt": "whisper"}, **limits)
    settings = Settings(
        general=GeneralSettings(data_dir=str(folder)),
        providers={"groq": provider},
        routing=RoutingSettings(provider={"stt": "groq"}),
    )
    settings = replace(settings, listen=replace(settings.listen, follow_up_s=0.0))
    parts = replace(engines.fake(settings), sound_card=partial(RoomCard, folder))
    async with App(settings, parts, Plan()) as app:
        await app.ready()
        events = app.events()
        app.request(ButtonPressed())
        RoomCard.say(folder, 0, SPEECH)
        async with asyncio.timeout(LIMIT_S):
            async for event in events:
                if isinstance(event, TurnEnded):
                    break
        assert isinstance(event, TurnEnded)
        assert app.brain is not None
        total = (await app.brain.providers.ledger.budget()).day.total("groq")
    return event, total.tokens_in + total.tokens_out


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk_1")
    monkeypatch.setenv("ELEVENLABS_API_KEY", "xi_1")


async def test_the_provider_hears_and_is_counted(tmp_path: Path) -> None:
    async with FakeProvider([heard("Who are you?")]) as server:
        ended, tokens = await ask(tmp_path, server)
        assert (ended.question, ended.outcome) == ("Who are you?", "answered")
        assert tokens == 150, "ten seconds are the least"
        [request] = server.requests
    with wave.open(io.BytesIO(request.body["file"])) as sound:
        assert 0.9 < sound.getnframes() / sound.getframerate() < 3.0
    [entry] = read(tmp_path / "outbound", 10, max_days=30)
    assert (entry.provider, entry.role, entry.model) == ("groq", "stt", "whisper")


async def test_the_box_hears_where_the_provider_cannot(tmp_path: Path) -> None:
    async with FakeProvider([hanging()]) as server:
        ended, used = await ask(tmp_path, server, first_token_timeout_s=0.5)
        assert (ended.question, ended.outcome) == (QUESTION, "answered")
        assert used == 150, "nobody knows what it has counted"
        assert len(server.requests) == 1
