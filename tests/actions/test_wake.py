"""`luna wake test` over real recordings: folders, labels, rates, table and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soxr

from tests.sound_card import write_wav
from tests.speech import RATE, say
from tests.test_cli import luna, one_sentence


def record(path: Path, words: str, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = say(words)
    if rate != RATE:
        sound = soxr.resample(sound.astype(np.float32), RATE, rate).astype(np.int16)
    write_wav(path, sound, rate)
    return path


@pytest.mark.models
def test_positives_and_negatives(short_path: Path) -> None:
    for number, rate in enumerate((16_000, 44_100, 48_000)):
        record(short_path / f"mine/{number}.wav", "Hey Jarvis.", rate)
    record(short_path / "mine/missed.wav", "Good morning.")
    record(short_path / "radio/a.wav", "What is the capital of France?", 22_050)
    record(short_path / "radio/deeper/b.WAV", "It lies on the river Seine.")
    (short_path / "radio/notes.txt").write_text("no sound")
    arguments = (
        "wake",
        "test",
        "--positive",
        str(short_path / "mine"),
        "--negative",
        str(short_path / "radio"),
        "--set",
        'listen.wake_words=["hey_jarvis"]',
    )
    done = luna(*arguments, "--json", folder=short_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["words"] == {"hey_jarvis": 0.97}
    assert report["positives"] == 4
    assert 0.0 < report["negative_hours"] < 0.01
    peaks = {Path(one["file"]).name: one["peak"] for one in report["recordings"]}
    assert peaks.pop("missed.wav") < 0.3
    assert peaks.pop("a.wav") < 0.5
    assert peaks.pop("b.WAV") < 0.5
    assert min(peaks.values()) > 0.5
    now = next(row for row in report["rows"] if row["threshold"] == 0.97)
    assert now["false_accepts"] == now["false_accepts_per_hour"] == 0
    assert now["false_reject_rate"] >= 0.25
    assert 0.3 <= report["suggested"] <= 0.99

    shown = luna(*arguments, folder=short_path).stdout
    assert "hey_jarvis: 4 recordings with the wake word, 2 without it" in shown
    assert "<- hey_jarvis now" in shown
    assert "missed.wav" in shown
    assert "luna config set listen.wake_threshold" in shown
    assert "\x1b" not in shown
    assert max(len(line) for line in shown.splitlines() if str(short_path) not in line) <= 80


@pytest.mark.models
def test_labels_by_name(short_path: Path) -> None:
    record(short_path / "positive/1.wav", "Okay Nabu.")
    record(short_path / "okay_nabu-2.wav", "Okay Nabu.")
    record(short_path / "negative-3.wav", "Good morning.")
    done = luna("wake", "test", str(short_path), "--json", folder=short_path)
    assert done.returncode == 0, done.stderr
    labels = {
        Path(one["file"]).name: one["positive"] for one in json.loads(done.stdout)["recordings"]
    }
    assert labels == {"1.wav": True, "okay_nabu-2.wav": True, "negative-3.wav": False}


def test_mistakes_are_one_sentence(short_path: Path) -> None:
    (short_path / "negative.wav").write_bytes(b"no sound at all")
    (short_path / "empty").mkdir()
    (short_path / "kitchen.wav").write_bytes(b"RIFF")
    for arguments, code, words in (
        ((), 2, "name recordings"),
        ((str(short_path / "empty"),), 2, "no sound file"),
        ((str(short_path / "kitchen.wav"),), 2, "--positive or --negative"),
        ((str(short_path / "negative.wav"),), 5, "not a sound file"),
        (("--positive", str(short_path / "gone.wav")), 5, "there is no file"),
        (("--word", "hey_luna", str(short_path / "negative.wav")), 3, "hey_luna"),
    ):
        sentence = one_sentence(luna("wake", "test", *arguments, folder=short_path), code)
        assert words in sentence
