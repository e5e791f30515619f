"""`luna mic test` without a sound card: its forms, its mistakes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.service import LUNA, service
from tests.sound_card import ASOUNDRC
from tests.test_cli import luna, one_sentence

LIMIT_S = 60.0


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_beside_a_service_without_a_sound_card(short_path: Path) -> None:
    """Plain lines, JSON, the terminal's line, Portuguese, and a muted microphone."""
    with service(short_path, "--fake") as box:
        box.until_ready("audio", "listen")
        plain = luna("mic", "test", "--seconds", "3", folder=short_path)
        assert plain.returncode == 0, plain.stderr
        lines = plain.stdout.splitlines()
        assert lines[0].startswith("Microphone: fake microphone, 16000 Hz")
        assert sum("noise" in line and "fake 0.00" in line for line in lines) == 3
        assert "\x1b" not in plain.stdout
        # Noise from -20 to 20: its effective value is 11.5.
        found = rows(luna("mic", "test", "--seconds", "1", "--json", folder=short_path).stdout)
        assert [row["type"] for row in found] == [
            "microphone",
            *["sound_measured"] * 10,
            "summary",
        ]
        assert found[-1]["noise_db"] == pytest.approx(-66.0, abs=1.0)
        assert found[-1]["advice"] == ["nobody"]
        spoken = luna(
            *("mic", "test", "--seconds", "1", "--set", "general.language=pt"), folder=short_path
        )
        assert "Microfone: fake microphone" in spoken.stdout
        shown, code = on_a_terminal(short_path, NO_COLOR="1")
        assert code == 0
        assert shown.count("\r\x1b[K[") > 3
        assert "\x1b[3" not in shown
        assert "Nothing was much louder" in shown
        assert luna("mute", "on", folder=short_path).returncode == 0
        box.until_type("state_changed", state="muted")
        muted = one_sentence(luna("mic", "test", folder=short_path), 5)
        assert "luna mute off" in muted


def test_requests_that_make_no_sense_are_refused(short_path: Path) -> None:
    with service(short_path, "--fake") as box:
        box.until_ready("audio", "listen")
        for fields in ({"seconds": -1}, {"seconds": "x"}, {"seconds": float("nan")}):
            box.send("meter_requested", **fields)
            assert "no sense" in box.until_type("refused")[-1]["text"]
        for side in ("behind", 1, ["left"]):
            box.send("tone_requested", side=side)
            assert "no sense" in box.until_type("refused")[-1]["text"]
        assert box.health()["workers"]["listen"]["status"] == "ready"


def on_a_terminal(folder: Path, **env: str) -> tuple[str, int]:
    """Return what the test shows on a terminal until Ctrl+C, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*LUNA, "mic", "test"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder), "TERM": "xterm", **env},
    )
    os.close(theirs)
    shown, pressed = b"", False
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            data = os.read(ours, 4096)
        except OSError:
            break  # the terminal was closed at the other end
        shown += data
        if shown.count(b"\r\x1b[K[") >= 20 and not pressed:
            process.send_signal(signal.SIGINT)
            pressed = True
    code = process.wait(LIMIT_S)
    os.close(ours)
    return shown.decode(), code


def test_no_microphone_is_one_sentence(short_path: Path) -> None:
    (short_path / "asound.conf").write_text(ASOUNDRC)
    done = luna(
        "mic",
        "test",
        folder=short_path,
        ALSA_CONFIG_PATH=str(short_path / "asound.conf"),
        PULSE_SERVER="unix:/nobody",
    )
    assert "microphone" in one_sentence(done, 5)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_wrong_seconds(seconds: str, short_path: Path) -> None:
    assert "--seconds" in one_sentence(
        luna("mic", "test", f"--seconds={seconds}", folder=short_path), 2
    )
