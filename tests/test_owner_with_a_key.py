"""An owner with one key and a daily limit: the cable out, the budget gone, the process killed.

The whole service runs, with fake engines and a real provider's client that talks to a server on
loopback. Each time there is a sensible answer or an honest sentence, and the ledger is right.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.fakes import ANSWER
from tests.fake_provider import answer, rate_limited, slow
from tests.service import LUNA, Service, service
from tests.threaded_provider import ThreadedProvider

LIMIT = 10_000
KEY = "gsk_a_secret_that_nobody_may_see"

CONFIG = """
[general]
languages = ["en"]

[cache]
enabled = false

[routing.policy]
chat = "{policy}"

[providers.groq]
base_url = "{url}"
models = {{ chat = "large" }}
daily_limit_tokens = {limit}
price_input = 1.0
price_output = 2.0
"""


@contextmanager
def luna(
    folder: Path, url: str, *, policy: str = "cloud_first", limit: int = LIMIT
) -> Iterator[Service]:
    config = folder / "luna.toml"
    config.write_text(CONFIG.format(url=url, policy=policy, limit=limit))
    env = {**os.environ, "GROQ_API_KEY": KEY}
    with service(folder, "--fake", "--config", str(config), env=env) as running:
        running.until_ready()
        yield running


def ask(running: Service, text: str = "Tell me about the sea.") -> dict[str, object]:
    """Ask in writing; return the end of the turn, with what was shown as an error."""
    running.send("text_asked", text=text)
    events = running.until_type("turn_ended")
    errors = [event["text"] for event in events if event["type"] == "error"]
    return {**events[-1], "errors": errors}


def used(running: Service) -> dict[str, int]:
    """Return what `luna quota` says of today."""
    done = subprocess.run(
        [*LUNA, "quota", "--json", "--config", str(running.folder / "luna.toml")],
        env=running.env,
        capture_output=True,
        timeout=60,
        check=True,
    )
    report = json.loads(done.stdout)
    (row,) = [
        row for row in report["days"] if (row["day"], row["provider"]) == (report["today"], "groq")
    ]
    return {**row, "tokens": row["taken"]["tokens"]}


@pytest.fixture
def groq() -> Iterator[ThreadedProvider]:
    with ThreadedProvider() as provider:
        yield provider


def test_the_provider_answers_and_is_counted(groq: ThreadedProvider, short_path: Path) -> None:
    groq.play(answer("The sea is deep.", prompt_tokens=30))
    with luna(short_path, groq.base_url) as running:
        ended = ask(running)
        assert (ended["answer"], ended["provider"]) == ("The sea is deep.", "groq")
        assert used(running)["tokens"] == 34
        assert KEY not in running.log()
    sent = groq.requests[0]
    assert (sent.body.get("max_completion_tokens") or sent.body["max_tokens"]) > 0
    assert sent.headers["Authorization"] == f"Bearer {KEY}"


def test_the_cable_is_pulled_out(groq: ThreadedProvider, short_path: Path) -> None:
    """Luna answers herself, at once from the second time on, and the provider when it is back."""
    groq.play(answer("The sea is deep."))
    with luna(short_path, groq.base_url) as running:
        assert ask(running)["provider"] == "groq"
        groq.pull_the_cable()
        for _ in range(3):
            ended = ask(running)
            assert (ended["provider"], ended["answer"]) == ("local", ANSWER)
        before = used(running)
        groq.put_it_back()
        assert before["requests"] == 1


def test_the_budget_is_used_up(groq: ThreadedProvider, short_path: Path) -> None:
    """Never more than the limit; then Luna herself, or, where that is forbidden, the reason."""
    groq.play(answer("The sea is deep.", prompt_tokens=900))
    with luna(short_path, groq.base_url, policy="cloud", limit=2_000) as running:
        answered = 0
        while (ended := ask(running))["outcome"] == "answered":
            answered += 1
            assert answered < 5
        assert answered >= 1
        assert "limit for Groq is used up" in str(ended["errors"])
        assert used(running)["tokens"] <= 2_000
        asked = len(groq.requests)
    with luna(short_path, groq.base_url, limit=2_000) as running:
        assert ask(running)["provider"] == "local"
        assert len(groq.requests) == asked


def test_killed_in_the_middle_of_an_answer(groq: ThreadedProvider, short_path: Path) -> None:
    """What was reserved counts as used: nobody knows what the provider charged."""
    groq.play(slow(30.0))
    with luna(short_path, groq.base_url) as running:
        running.send("text_asked", text="Tell me about the sea.")
        groq.wait_for_request()
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(10)
    groq.play(answer("The sea is deep.", prompt_tokens=30))
    with luna(short_path, groq.base_url) as running:
        held = used(running)["tokens"]
        assert 200 <= held <= LIMIT
        assert ask(running)["provider"] == "groq"
        assert used(running)["tokens"] == held + 34


def test_a_provider_that_asks_for_rest_gets_it(groq: ThreadedProvider, short_path: Path) -> None:
    groq.play(rate_limited("60"))
    with luna(short_path, groq.base_url) as running:
        assert ask(running)["provider"] == "local"
        assert ask(running)["provider"] == "local"
        assert len(groq.requests) == 1
        report = running.health()["providers"]
        (row,) = [row for row in report if row["name"] == "groq"]
        assert row["status"] == "degraded"
        assert 0 < row["cooldown_s"] <= 120


def test_a_broken_answer_is_continued(groq: ThreadedProvider, short_path: Path) -> None:
    """What was said already is not said again."""
    from tests.fake_provider import cut

    groq.play(cut("The sea is deep and blue.", after=4))
    with luna(short_path, groq.base_url) as running:
        ended = ask(running)
    assert ended["provider"] == "local"
    assert str(ended["answer"]).startswith("The sea is deep")
    assert str(ended["answer"]).count("The sea is deep") == 1
    assert ended["outcome"] == "answered"


def test_nothing_leaves_the_box_when_the_owner_says_so(
    groq: ThreadedProvider, short_path: Path
) -> None:
    with luna(short_path, groq.base_url, policy="local") as running:
        assert ask(running)["provider"] == "local"
    assert not groq.requests
