"""The command line as a person meets it: help, mistakes, exit codes."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import __version__
from appliance.actions.completion import commands
from appliance.cli import build_parser
from tests.service import LUNA, service
from tests.sound_card import ASOUNDRC

COMMANDS = (
    "ask",
    "say",
    "listen",
    "turn",
    "terminal",
    "run",
    "status",
    "stop",
    "restart",
    "mute",
    "volume",
    "logs",
    "doctor",
    "diagnose",
    "history",
    "knowledge",
    "providers",
    "quota",
    "reminders",
    "jobs",
    "web",
    "devices",
    "mic",
    "speaker",
    "wake",
    "board",
    "panel",
    "update",
    "health",
    "config",
    "models",
    "completion",
    "man",
    "storage",
    "backup",
    "restore",
)


def luna(*arguments: str, folder: Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*LUNA, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "DATA_DIR": str(folder / "data"),
            "HOME": str(folder),
            "LUNA_OWN_SERVICE": "1",
            **env,
        },
    )


def one_sentence(done: subprocess.CompletedProcess, code: int) -> str:
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return str(done.stderr)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command: str, short_path: Path) -> None:
    done = luna(command, "--help", folder=short_path)
    assert done.returncode == 0
    assert f"example:\n  luna {command}" in done.stdout
    assert "exit codes:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_all_commands_are_listed_above() -> None:
    actions = [a for a in build_parser()._actions if a.choices]
    assert tuple(actions[0].choices) == COMMANDS  # type: ignore[arg-type]


def test_what_carries_out_each_command_is_there(short_path: Path) -> None:
    for name, command in commands(build_parser()).items():
        module, _, function = command.get_default("carry_out").partition(":")
        action = getattr(importlib.import_module(f"appliance.actions.{module}"), function)
        wanted = 2 if command.get_default("with_settings") else 1
        assert len(inspect.signature(action).parameters) == wanted, name


def test_the_help_fits_a_terminal() -> None:
    text = build_parser().format_help()
    assert max(map(len, text.splitlines())) <= 80
    for name in COMMANDS:
        assert f"\n  {name} " in text


def test_help_is_light() -> None:
    script = (
        "import sys; from appliance import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in "
        "('numpy', 'asyncio', 'pydantic', 'aiohttp', 'llama_cpp', 'faster_whisper', 'piper')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_version(short_path: Path) -> None:
    assert luna("--version", folder=short_path).stdout == f"luna {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense"], 2, "invalid choice"),
        (["ask"], 2, "required: text"),
        (["ask", "--nonsense", "x"], 2, "unrecognized"),
        (["ask", "   "], 2, "there is no text"),
        (["ask", "-"], 2, "there is no text"),
        (["say", ""], 2, "there is no text"),
        (["turn", "--in", "nothing.wav", "--out", "a.wav"], 5, "there is no file nothing.wav"),
        (["turn", "--in", "/tmp", "--out", "a.wav"], 5, "/tmp is not a file"),
        (["status"], 6, "Luna is not running"),
        (["stop"], 6, "Luna is not running"),
        (["mute", "on"], 6, "Luna is not running"),
        (["models", "pull", "whisper-bas"], 4, "did you mean whisper-base?"),
        (["config", "check", "--config", "/nowhere.toml"], 3, ""),
    ],
)
def test_mistakes_get_one_sentence(
    arguments: list[str], code: int, words: str, short_path: Path
) -> None:
    done = luna(*arguments, folder=short_path)
    if code == 3:
        assert done.returncode == 3
        assert "/nowhere.toml: cannot be read" in done.stderr
    else:
        assert words in one_sentence(done, code)


def test_too_long_a_text(short_path: Path) -> None:
    done = luna("ask", "-", folder=short_path, stdin="word " * 30_000)
    assert "100,000 is the limit" in one_sentence(done, 2)


def test_existing_answer_is_not_overwritten(short_path: Path) -> None:
    from tests.test_faults import SPEECH, write_wav

    question, answer = short_path / "q.wav", short_path / "a.wav"
    write_wav(question, SPEECH, 16_000)
    answer.write_text("precious")
    done = luna("turn", "--in", str(question), "--out", str(answer), folder=short_path)
    assert "exists already" in one_sentence(done, 2)
    assert answer.read_text() == "precious"


def test_config_check_and_show(short_path: Path) -> None:
    assert luna("config", "check", folder=short_path).stdout == "The configuration is in order.\n"
    shown = luna("config", "show", "--set", "audio.volume=7", folder=short_path)
    assert '"volume": 7' in shown.stdout
    wrong = luna("config", "check", "--json", "--set", "audio.volum=7", folder=short_path)
    assert wrong.returncode == 3
    assert "did you mean volume?" in wrong.stdout


def test_models_list(short_path: Path) -> None:
    done = luna("models", "list", folder=short_path)
    assert done.returncode == 0
    assert "Apache-2.0" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_no_sound_card_is_said(short_path: Path) -> None:
    (short_path / "asound.conf").write_text(ASOUNDRC)
    done = luna(
        "devices",
        folder=short_path,
        ALSA_CONFIG_PATH=str(short_path / "asound.conf"),
        PULSE_SERVER="unix:/nobody",
    )
    assert done.returncode == 0
    assert "No sound card" in done.stdout or "NAME" in done.stdout


def test_a_conversation_with_the_service(short_path: Path) -> None:
    """`ask`, `say`, `status`, `mute`, `stop` against a running (fake) service."""
    with service(short_path, "--fake") as box:
        box.until_ready()
        done = luna("ask", "What is the capital of France?", folder=short_path)
        assert done.returncode == 0
        assert "Paris" in done.stdout
        lines = luna("ask", "Again?", "--json", folder=short_path).stdout.splitlines()
        assert '"turn_ended"' in lines[-1]
        assert luna("say", "Hello.", folder=short_path).returncode == 0
        status = luna("status", folder=short_path)
        assert re.search(r"Luna .*: Ready", status.stdout)
        assert max(map(len, status.stdout.splitlines())) <= 80
        assert luna("mute", "on", folder=short_path).returncode == 0
        box.until_type("state_changed", state="muted")
        done = luna("listen", folder=short_path)
        assert done.returncode == 5
        assert "muted" in done.stderr
        assert luna("mute", "off", folder=short_path).returncode == 0
        box.until_type("state_changed", state="idle")
        second = luna("run", "--fake", folder=short_path, LUNA_WEB__PORT="0")
        assert second.returncode == 6
        assert "running already" in second.stderr
