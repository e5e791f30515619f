"""`luna providers`: the list, the real test and the log, with and without a running service."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.bus import EventBus
from appliance.control import ControlServer
from appliance.errors import ServiceError
from appliance.events import Event, ProviderTested, ProviderTestRequested, Snapshot
from tests import fake_provider as play
from tests.fake_provider import FakeProvider
from tests.service import LUNA


@pytest.fixture
async def server() -> AsyncIterator[FakeProvider]:
    async with FakeProvider([play.answer("ready")]) as server:
        yield server


def configure(folder: Path, base_url: str) -> None:
    (folder / "luna").mkdir()
    (folder / "luna" / "luna.toml").write_text(
        '[routing.policy]\nchat = "cloud_first"\n'
        f'[providers.mine]\nbase_url = "{base_url}"\nmodels = {{ chat = "small" }}\n'
        "daily_limit_tokens = 5000\n"
        "[providers.groq]\n"
    )


async def providers(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    environ |= {
        "XDG_CONFIG_HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "DATA_DIR": str(folder / "data"),
        "LUNA_OWN_SERVICE": "1",
        "MINE_API_KEY": "key-of-mine",
    }
    return await asyncio.to_thread(
        subprocess.run,
        [*LUNA, "providers", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_real_test_is_counted_and_logged(short_path: Path, server: FakeProvider) -> None:
    configure(short_path, server.base_url)
    done = await providers(short_path, "test", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mine works: small sent its first token after")

    rows = json.loads((await providers(short_path, "--json")).stdout)
    assert [row["name"] for row in rows] == ["mine", "groq", "local"]
    assert (rows[0]["tokens_today"], rows[0]["limit_tokens"]) == (13, 5000)
    assert [row["status"] for row in rows] == ["ready", "misconfigured", "ready"]
    table = (await providers(short_path)).stdout
    assert "13 / 5,000" in table
    assert "Policy: chat cloud_first, code local_first" in table

    log = (await providers(short_path, "log")).stdout
    assert "mine (127.0.0.1), chat, small" in log
    assert "user: Answer with this one word: ready" in log
    assert "key-of-mine" not in log
    assert json.loads((await providers(short_path, "log", "groq", "--json")).stdout) == []


async def test_a_provider_that_fails_is_told_in_one_sentence(
    short_path: Path, server: FakeProvider
) -> None:
    server.play(play.failing(401))
    configure(short_path, server.base_url)
    done = await providers(short_path, "test", "mine")
    assert done.returncode == 8
    assert "401" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    done = await providers(short_path, "test", "mine", "--json")
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (8, False)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("test",), 2, "name the provider"),
        (("test", "openai"), 2, "configured are: mine, groq"),
        (("test", "groq"), 8, "luna config check"),
        (("log", "--count", "0"), 2, "--count"),
        (("dance",), 2, "invalid choice"),
    ],
)
async def test_mistakes(
    short_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    configure(short_path, "http://127.0.0.1:1/v1")
    done = await providers(short_path, *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


async def test_nothing_was_sent_yet(short_path: Path) -> None:
    done = await providers(short_path, "log")
    assert done.stdout == "Nothing has left this box, as far as this log goes back.\n"
    assert "local" in (await providers(short_path)).stdout


async def test_the_running_service_is_asked(short_path: Path) -> None:
    """It alone knows who is cooling down, and it alone may count."""
    configure(short_path, "http://127.0.0.1:1/v1")
    bus = EventBus(Snapshot(state="idle"))

    def request(event: Event) -> None:
        if not isinstance(event, ProviderTestRequested):
            raise ServiceError("unexpected")
        asyncio.get_running_loop().call_soon(
            bus.publish,
            ProviderTested(provider="groq", ok=True, model="m"),  # another client's
        )
        asyncio.get_running_loop().call_soon(
            bus.publish,
            ProviderTested(provider=event.provider, ok=False, detail="mine: it is tired"),
        )

    row = {
        "name": "mine",
        "place": "cloud",
        "status": "degraded",
        "cooldown_s": 47.2,
        "last_error": "mine asks to wait (HTTP 429)",
    }
    (short_path / "luna").mkdir(exist_ok=True)
    control = ControlServer(
        short_path / "luna" / "control.sock", request, bus.subscribe, lambda: {"providers": [row]}
    )
    await control.start()
    try:
        table = (await providers(short_path)).stdout
        done = await providers(short_path, "test", "mine")
    finally:
        bus.close()
        await control.stop()
    assert "degraded" in table
    assert "47 s" in table
    assert "HTTP 429" in table
    assert (done.returncode, done.stderr) == (8, "luna: mine: it is tired\n")
