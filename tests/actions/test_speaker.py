"""`luna speaker test`: what the speaker really gets."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import numpy as np
import pytest

from appliance.audio import tone
from appliance.audio.device import Format
from appliance.audio.player import Player, gain
from appliance.audio.ring_buffer import PlaybackRing
from appliance.listen.meter import decibel
from tests.actions.test_mic_sound import LIMIT_S, environment
from tests.service import LUNA, service
from tests.sound_card import VirtualSoundCard, read_wav
from tests.speech import understood
from tests.test_cli import luna, one_sentence

RATE = 16_000


@pytest.mark.parametrize(("side", "sounding"), [("left", [0]), ("right", [1]), ("both", [0, 1])])
def test_the_side_of_the_tone(side: str, sounding: list[int]) -> None:
    ring = PlaybackRing(1.0)
    try:
        player = Player(ring, 50, 40)
        player.configure(Format("x", RATE, 2))
        player.tone(side)
        blocks = []
        while player.active:
            out = np.zeros((320, 2), np.int16)
            player.render(out)
            blocks.append(out)
        sound = np.concatenate(blocks)
        assert len(sound) == pytest.approx(tone.SECONDS * RATE, abs=320)
        for channel in (0, 1):
            peak = decibel(np.abs(sound[:, channel].astype(float)).max() / 32_768)
            wanted = tone.LEVEL_DB + decibel(gain(50)) if channel in sounding else -100.0
            assert peak == pytest.approx(wanted, abs=0.2)
        player.configure(Format("x", RATE, 1))
        player.tone(side)
        out = np.zeros((320, 1), np.int16)
        player.render(out)
        assert out.any()
    finally:
        ring.close()


def loudest(sound: np.ndarray) -> tuple[float, float]:
    """Return level (dB) and frequency (Hz) of the loudest half second."""
    steps = range(0, len(sound) - RATE // 2, RATE // 10)
    parts = [sound[at : at + RATE // 2].astype(float) for at in steps]
    part = max(parts, key=np.std)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return decibel(2**0.5 * part.std() / 32_768), float(np.argmax(spectrum)) * RATE / len(part)


@pytest.mark.sound
def test_the_tone_on_a_sound_card(sound_card: VirtualSoundCard, short_path: Path) -> None:
    with sound_card.recording(short_path / "heard.wav"):
        done = subprocess.run(
            [*LUNA, "speaker", "test", "--tones", "--json", "--set", "audio.volume=50"],
            env=environment(sound_card, short_path),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["rate"] > 0
    assert report["volume"] == 50
    assert report["heard"] == dict.fromkeys(report["heard"])
    level, hertz = loudest(read_wav(short_path / "heard.wav"))
    assert level == pytest.approx(report["tone_db"], abs=1.0)
    assert hertz == pytest.approx(tone.HERTZ, abs=5.0)


@pytest.mark.sound
@pytest.mark.models
@pytest.mark.slow
def test_beside_the_service(sound_card: VirtualSoundCard, short_path: Path) -> None:
    sound_card.noise()
    with service(short_path, env=sound_card.env) as box:
        box.until_ready("audio", "tts")
        with sound_card.recording(short_path / "heard.wav"):
            done = subprocess.run(
                [*LUNA, "speaker", "test"],
                env={**os.environ, **box.env},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Speaker: ")
    assert "Did you hear" not in done.stdout  # nobody is there to answer
    heard = read_wav(short_path / "heard.wav")
    assert loudest(heard)[1] == pytest.approx(tone.HERTZ, abs=5.0)
    assert "speaker works" in understood(heard[int(2.0 * RATE) :])


def test_a_person_is_asked(short_path: Path) -> None:
    with service(short_path, "--fake") as box:
        box.until_ready("audio", "tts")
        assert asked(short_path, b"\n\n") == (0, 2)
        assert asked(short_path, b"y\nn\n") == (5, 2)
        done = luna("speaker", "test", "--tones", folder=short_path)
        assert done.returncode == 0
        assert "fake speaker, 22050 Hz, channels: 1" in done.stdout


def asked(folder: Path, answers: bytes) -> tuple[int, int]:
    """Return the exit code, and how often it was asked."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*LUNA, "speaker", "test"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
    )
    os.close(theirs)
    os.write(ours, answers)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    return process.wait(LIMIT_S), shown.count(b"Did you hear it?")


def test_no_speaker_is_one_sentence(short_path: Path) -> None:
    done = luna(
        "speaker",
        "test",
        "--tones",
        "--set",
        "audio.output_device=nowhere",
        folder=short_path,
    )
    assert "speaker" in one_sentence(done, 5)
