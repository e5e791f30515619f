"""`luna mic test` with a sound card: alone, and beside the service that has it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service import LUNA, service
from tests.sound_card import VirtualSoundCard, write_wav
from tests.speech import RATE, say

pytestmark = pytest.mark.sound

LIMIT_S = 60.0


def environment(card: VirtualSoundCard, folder: Path) -> dict[str, str]:
    mine = {"XDG_RUNTIME_DIR": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return {**card.env, **mine, "DATA_DIR": str(folder / "data"), "LUNA_OWN_SERVICE": "1"}


class MicTest:
    """A running `luna mic test --json`."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        command = [*LUNA, "mic", "test", "--json", *arguments]
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.rows: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        self.rows.append(json.loads(line))
        return self.rows[-1]

    def until_measured(self) -> None:
        while self.read()["type"] != "sound_measured":
            pass

    def end(self) -> dict[str, Any]:
        """Press Ctrl+C; return the summary."""
        self.process.send_signal(signal.SIGINT)
        rest, errors = self.process.communicate(timeout=LIMIT_S)
        assert "Traceback" not in errors
        self.rows += [json.loads(line) for line in rest.splitlines()]
        assert self.rows[-1]["type"] == "summary"
        return self.rows[-1]

    def since(self, number: int) -> list[dict[str, Any]]:
        return [row for row in self.rows[number:] if row["type"] == "sound_measured"]


def tone(level_db: float, seconds: float) -> np.ndarray:
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE)
    return (32_768 * wave).clip(-32_768, 32_767).astype(np.int16)


def measures_what_is_played(card: VirtualSoundCard, env: dict[str, str], folder: Path) -> None:
    """A tone of known level, the wake word, and a clipped tone, through the sound card."""
    test = MicTest(env)
    test.until_measured()
    microphone = test.rows[0]
    assert microphone["type"] == "microphone"
    assert microphone["rate"] > 0
    write_wav(folder / "tone.wav", tone(-20.0, 2.0), RATE)
    write_wav(folder / "wake.wav", say("Okay Nabu.", 1.0, 1.5), RATE)
    write_wav(folder / "loud.wav", tone(6.0, 1.0), RATE)
    card.play(folder / "tone.wav")
    card.play(folder / "wake.wav")
    card.play(folder / "loud.wav")
    summary = test.end()
    assert test.process.returncode == 0
    measured = test.since(0)
    near = [one for one in measured if abs(one["level_db"] + 20.0) < 1.0]
    assert len(near) >= 10  # of 20
    assert max(one["scores"]["okay_nabu"] for one in measured) > measured[0]["limits"]["okay_nabu"]
    assert summary["heard"] == ["okay_nabu"]
    assert summary["clipped"] > 1000
    assert "clipping" in summary["advice"]
    assert summary["noise_db"] < -50.0


@pytest.mark.models
def test_alone_with_a_sound_card(sound_card: VirtualSoundCard, short_path: Path) -> None:
    sound_card.noise()
    measures_what_is_played(sound_card, environment(sound_card, short_path), short_path)


@pytest.mark.models
@pytest.mark.slow
def test_beside_the_service(sound_card: VirtualSoundCard, short_path: Path) -> None:
    sound_card.noise()
    with service(short_path, env=sound_card.env) as box:
        box.until_ready("audio", "listen")
        measures_what_is_played(sound_card, {**os.environ, **box.env}, short_path)
        box.until_type("wake_heard")  # it went on listening
        pid = box.pid("listen")
        assert box.health()["workers"]["listen"]["pid"] == pid
        assert box.health()["workers"]["listen"]["restarts"] == 0


def test_digital_silence_is_a_failure(sound_card: VirtualSoundCard, short_path: Path) -> None:
    done = subprocess.run(
        [*LUNA, "mic", "test", "--seconds", "2"],
        env=environment(sound_card, short_path),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 5
    assert "digital silence" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith("Microphone: ")
