"""The archive for a bug report: whatever secret is on the box, it is not in there."""

from __future__ import annotations

import base64
import json
import os
import tarfile
import time
from pathlib import Path

import pytest

from appliance.doctor.bundle import HIDDEN, Scrubber
from tests.doctor.scratch import Scratch
from tests.service import service

KEY = "gsk_Zx81planted0in0environment"
ODD_KEY = "correct horse battery"
CREDENTIAL = "planted-credential-5577"
CONFIGURED = "planted-in-the-configuration"
URL_PASSWORD = "planted-url-password"
QUESTION = "Where did I hide the planted zebra?"
DOCUMENT = "Divorce papers planted.pdf"
REMINDER = "remind me to call the doctor about the planted rash tomorrow at nine"
PERSON = "Maria Planted"
CODE = "481516"


def everything(archive: Path) -> dict[str, str]:
    with tarfile.open(archive) as tar:
        return {
            member.name.partition("/")[2]: tar.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in tar.getmembers()
        }


@pytest.mark.slow
def test_planted_secrets_are_not_in_it(short_path: Path) -> None:
    credentials = short_path / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / "ATTIC_API_KEY").write_text(CREDENTIAL)
    box = Scratch(
        short_path,
        f'[general]\nlog_level = "debug"\n'
        f'[privacy]\nredact = ["{PERSON}"]\n'
        f'[providers.attic]\nbase_url = "http://me:{URL_PASSWORD}@127.0.0.1:9/v1?key={CONFIGURED}"\n'
        f'lan = true\nmodels = {{ chat = "some" }}\nextra = {{ api_key = "{CONFIGURED}" }}\n',
        {
            "GROQ_API_KEY": KEY,
            "SOME_PASSWORD": ODD_KEY,
            "CREDENTIALS_DIRECTORY": str(credentials),
        },
    )
    note = short_path / DOCUMENT.replace(".pdf", ".txt")
    note.write_text(f"{PERSON} keeps the planted zebra in the cellar.")
    with service(short_path, "--fake", env=box.env) as luna:
        luna.until_ready()
        assert box.luna("ask", QUESTION).returncode == 0
        added = box.luna("reminders", "add", REMINDER)
        assert added.returncode == 0, added.stderr
        kept = box.luna("knowledge", "add", str(note))
        assert kept.returncode == 0, kept.stderr
        token = box.luna("web", "tokens", "add", "planted").stdout
        box.luna("web", "pair")
        session_key = (box.data / "secrets/web-session.key").read_bytes()
        # A broken configuration is reported with what is wrong in it.
        toml = box.config / "luna.toml"
        toml.write_text(toml.read_text() + f'[listen]\nvad_threshold = "{KEY}"\n')
        target = short_path / "report.tar.gz"
        _, _, answer = box.doctor("--no-sound", "--bundle", str(target))
        said = QUESTION in (short_path / "luna.log").read_text()
    assert answer["bundle"] == str(target)
    assert target.stat().st_mode & 0o777 == 0o600
    files = everything(target)
    assert set(files) == {
        "findings.json",
        "configuration.json",
        "versions.json",
        "health.json",
        "log.jsonl",
        "README.txt",
    }
    text = "\n".join(files.values())
    secrets = [
        KEY,
        ODD_KEY,
        CREDENTIAL,
        CONFIGURED,
        URL_PASSWORD,
        "zebra",
        "Divorce",
        "planted rash",
        PERSON,
        session_key.hex(),
        base64.b64encode(session_key).decode(),
        *(word for word in token.split() if len(word) > 20),
    ]
    for secret in secrets:
        assert secret not in text, secret
    assert said, "the log at this level has the question, so that it had to be hidden"
    # and it is of use
    assert json.loads(files["configuration.json"])["providers"]["attic"]["lan"] is True
    assert json.loads(files["health.json"])["workers"]["stt"]["status"] == "ready"
    assert json.loads(files["versions.json"])["luna"]
    assert any(row["name"] == "configuration.mistake" for row in json.loads(files["findings.json"]))
    lines = [json.loads(line) for line in files["log.jsonl"].splitlines()]
    assert any(line["event"] == "turn_ended" for line in lines)
    assert any(line["event"] == "service_started" for line in lines)


def test_the_log_is_chosen_not_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from appliance.doctor.bundle import write
    from appliance.doctor.finding import Box
    from appliance.settings import Settings

    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())

    def line(**fields: object) -> str:
        return json.dumps({"time": now, "level": "info", "message": "", **fields})

    log = [
        line(message=f"heard: {QUESTION}", event="heard"),
        line(message=f"no answer to '{QUESTION}'", event="logged"),
        line(message=f"{DOCUMENT} cannot be read".replace("Divorce papers ", "")),
        line(message=f"the code is {CODE}"),
        line(message="turn 1 answered", event="turn_ended", question=QUESTION, answer=QUESTION),
        line(message="a turn", level="debug", text=QUESTION),
        line(
            message="it broke",
            level="error",
            traceback=f'  File "/x/appliance/app.py", line 7, in run\nValueError: {QUESTION}',
        ),
        line(message=f"Authorization: Bearer {KEY}"),
        line(message="reminder", event="reminder_due", reminders=[1], row={"text": REMINDER}),
        line(message="audio: ready", event="worker_changed", worker="audio", status="ready"),
    ]
    monkeypatch.setattr("appliance.doctor.crashes.recent", lambda _: log)
    box = Box(Settings(), report={"workers": {}, "version": "0"})
    files = everything(write(tmp_path, box, [], environ={}))
    for secret in ("zebra", "planted.pdf", CODE, KEY, "rash"):
        assert secret not in files["log.jsonl"], secret
    rows = [json.loads(row) for row in files["log.jsonl"].splitlines()]
    assert rows[-1]["fields"] == {"status": "ready"}
    assert any(row.get("places") == ["appliance/app.py:7:run"] for row in rows)


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefgh12345678",
        "Bearer abc.def-ghi",
        "api_key=hunter2",
        '"token": "hunter2"',
        "password: hunter2",
        "http://me:hunter2@example.org/",
        "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
        "0123456789abcdef0123456789abcdef01234567",
        "someone@example.org",
        "123456",
    ],
)
def test_what_looks_like_a_secret_is_hidden(secret: str) -> None:
    said = Scrubber().text(f"it was {secret} today")
    assert HIDDEN in said
    for part in ("hunter2", "abcdefgh", "abc.def", "eyJ", "0123456789abcdef", "someone", "123456"):
        assert part not in said


def test_what_is_no_secret_stays() -> None:
    for text in (
        "max_tokens 200, first token after 1234 ms",
        "qwen2.5-coder-0.5b-instruct-q4_k_m",
        "2026-03-01T03:00:00.123+00:00",
        "0.123456 and 1234567 bytes",
    ):
        assert Scrubber(["abc"]).text(text) == text  # too short to be one


def test_a_bundle_overwrites_nothing(short_path: Path) -> None:
    box = Scratch(short_path)
    there = short_path / "there.tar.gz"
    there.write_text("mine")
    done = box.luna("doctor", "--no-sound", "--bundle", str(there))
    assert done.returncode == 2
    assert done.stderr == f"luna: {there} exists already; name another file\n"
    done = box.luna("doctor", "--bundle", "/nowhere/x.tar.gz")
    assert done.returncode == 2
    assert "there is no folder /nowhere" in done.stderr
    assert there.read_text() == "mine"
    assert os.listdir(short_path).count("there.tar.gz") == 1
