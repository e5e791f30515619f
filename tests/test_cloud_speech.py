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
from appliance.events import ButtonPressed, TurnEnded
from appliance.fakes import QUESTION
from appliance.providers.outbound_log import read
from appliance.settings import GeneralSettings, ProviderSettings, RoutingSettings, Settings
from tests.fake_provider import FakeProvider, Play, failing, hanging
from tests.room_card import RoomCard

LIMIT_S = 40.0
SPEECH = (np.sin(np.arange(16_000) / 4) * 12_000).astype(np.int16)
"""What the fake engines take for a question: a second of loud sound."""


def heard(text: str) -> Play:
    answer = {"text": text, "language": "english"}
    return Play(body=json.dumps(answer).encode(), content_type="application/json")


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


@pytest.mark.parametrize(
    ("play", "limits", "tokens"),
    [
        (failing(500), {}, 0),
        (hanging(), {"first_token_timeout_s": 0.5}, 150),
        (heard("Never asked."), {"daily_limit_tokens": 100}, 0),
    ],
)
async def test_the_box_hears_where_the_provider_cannot(
    tmp_path: Path, play: Play, limits: dict[str, Any], tokens: int
) -> None:
    async with FakeProvider([play]) as server:
        ended, used = await ask(tmp_path, server, **limits)
        assert (ended.question, ended.outcome, used) == (QUESTION, "answered", tokens)
        assert len(server.requests) == ("daily_limit_tokens" not in limits)
