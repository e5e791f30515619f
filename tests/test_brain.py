"""The thinking half behind a running service, with fake engines and a provider on loopback."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.fakes import ANSWER
from tests.fake_provider import answer
from tests.service import LUNA, Service, service
from tests.threaded_provider import ThreadedProvider

KEY = "gsk_a_secret_that_nobody_may_see"
CONFIG = """
[general]
languages = ["en"]
[routing.policy]
chat = "{policy}"
[privacy]
redact = ["Ana Souza"]
[providers.groq]
base_url = "{url}"
models = {{ chat = "large" }}
redact = true
daily_limit_requests = 5
"""
MANUAL = """# Boiler

The pressure of the boiler must be between 1.2 and 1.5 bar.

# Warranty

The warranty of the boiler ends in June 2031.
"""


@pytest.fixture
def groq() -> Iterator[ThreadedProvider]:
    with ThreadedProvider() as provider:
        yield provider


@contextmanager
def luna(folder: Path, url: str, policy: str, **env: str) -> Iterator[Service]:
    config = folder / "luna.toml"
    config.write_text(CONFIG.format(url=url, policy=policy))
    with service(
        folder,
        "--fake",
        "--config",
        str(config),
        env={**os.environ, "GROQ_API_KEY": KEY, **env},
    ) as running:
        running.until_ready()
        yield running


def ask(running: Service, text: str) -> dict[str, Any]:
    running.send("text_asked", text=text)
    return running.until_type("turn_ended")[-1]


def command(running: Service, *words: str) -> str:
    """Return what a command prints beside the service."""
    done = subprocess.run(
        [*LUNA, *words, "--config", str(running.folder / "luna.toml")],
        env=running.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_and_numbers_stay_in_the_box(groq: ThreadedProvider, short_path: Path) -> None:
    groq.play(answer("I will tell [NAME_1] at [PHONE_1] and [EMAIL_1]."))
    question = "Tell Ana Souza on +55 11 91234-5678 or ana@example.com that dinner is polite."
    with luna(short_path, groq.base_url, "cloud_first") as running:
        ended = ask(running, question)
        assert ended["answer"] == "I will tell Ana Souza at +55 11 91234-5678 and ana@example.com."
        ask(running, "Thank you for that letter about dinner.")
        log = command(running, "providers", "log")
        assert "Ana" not in running.log()
        assert KEY not in running.log() + log
    sent = json.dumps([request.body for request in groq.requests])
    assert len(groq.requests) == 2
    for private in ("Ana", "Souza", "91234", "example.com"):
        assert private not in sent + log
    assert "[NAME_1]" in log


def test_the_commands_beside_the_service_and_a_zone_that_is_none(
    groq: ThreadedProvider, short_path: Path
) -> None:
    groq.play(answer("ready"))
    with luna(short_path, groq.base_url, "cloud_first", TZ="Nope") as running:
        ask(running, "Tell me about the sea.")
        assert "groq works: large" in command(running, "providers", "test", "groq")
        rows = json.loads(command(running, "providers", "--json"))
        assert [(row["name"], row["status"]) for row in rows] == [("groq", "ok"), ("local", "ok")]
        report = json.loads(command(running, "quota", "--json", "--days", "30"))
        assert report["time_zone"] == "UTC"
        [row] = report["days"]
        assert (row["requests"], row["limits"]["requests"]) == (2, 5)
        assert "groq: 3 of 5 requests left today" in command(running, "quota")


def test_documents_are_named_where_they_cover_the_question(
    groq: ThreadedProvider, short_path: Path
) -> None:
    manual = short_path / "manual.md"
    manual.write_text(MANUAL)
    with luna(short_path, groq.base_url, "local") as running:
        command(running, "knowledge", "add", str(manual))
        found = ask(running, "What pressure must the boiler have?")["answer"]
        assert (
            found
            == f"{ANSWER} Source: manual.md, under \N{LEFT DOUBLE QUOTATION MARK}Boiler"
            + ("\N{RIGHT DOUBLE QUOTATION MARK}.")
        )
        assert ask(running, "Who painted the Sistine Chapel?")["answer"] == ANSWER


def test_an_answer_is_given_again(groq: ThreadedProvider, short_path: Path) -> None:
    groq.play(answer("It is Paris."))
    with luna(short_path, groq.base_url, "cloud_first") as running:
        for provider in ("groq", "cache"):
            ended = ask(running, "What is the capital of France?")
            assert (ended["answer"], ended["provider"]) == ("It is Paris.", provider)
            ask(running, "New conversation.")
    assert len(groq.requests) == 1


def test_who_only_speaks_is_no_mistake(short_path: Path) -> None:
    config = short_path / "luna.toml"
    config.write_text('[providers.elevenlabs]\nvoices = { en = "abc" }\n')
    env = {**os.environ, "ELEVENLABS_API_KEY": "xi_1"}
    with service(short_path, "--fake", "--config", str(config), env=env) as running:
        running.until_ready()
        rows = {
            row["name"]: row["status"]
            for row in json.loads(command(running, "providers", "--json"))
        }
    assert rows == {"local": "ok", "elevenlabs": "ok"}
    done = json.loads(command(running, "providers", "--json"))
    assert {row["name"]: row["status"] for row in done}["elevenlabs"] == "ready"
