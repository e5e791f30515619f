"""The main job with all real models and the real sound path: ask aloud, hear the answer.

PulseAudio's null sinks are the sound card. Questions are synthesised and played into the
virtual microphone; what comes out of the virtual speaker is recorded and transcribed back.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.service import LUNA, Events, Service, service
from tests.sound_card import VirtualSoundCard, read_wav
from tests.speech import RATE, say_to, understood

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]

WAKE = ("--set", "listen.wake_words=hey_jarvis", "--set", "listen.follow_up_s=0")
TURN_LIMIT_S = 90.0


def _ended(luna: Service) -> dict[str, object]:
    return luna.until_type("turn_ended", TURN_LIMIT_S)[-1]


def _ask(ask: Callable[[], Events], question: str) -> Events:
    """Ask until the question was understood; return the events of that turn.

    On a busy machine the virtual sound card loses pieces of what is played into it.
    """
    for _ in range(3):
        events = ask()
        ended = next(e for e in events if e["type"] == "turn_ended")
        if question in str(ended["question"]).lower():
            break
    return events


def _is_answered(ended: dict[str, object], question: str, *answers: str) -> None:
    assert ended["outcome"] == "answered", ended
    assert question in str(ended["question"]).lower()
    assert any(answer in str(ended["answer"]).lower() for answer in answers), ended


def test_wake_word_question_answer(sound_card: VirtualSoundCard, short_path: Path) -> None:
    """The wake word opens the microphone; the answer is heard and is right."""
    question = say_to(short_path / "q.wav", "Hey Jarvis! What is the capital of France?")
    heard = short_path / "heard.wav"
    sound_card.noise()
    with service(short_path, *WAKE, env=sound_card.env) as luna:
        luna.until_ready()
        with sound_card.recording(heard):

            def ask() -> Events:
                sound_card.play(question, wait=False)
                events = luna.until_type("turn_ended", TURN_LIMIT_S)
                return events + luna.until_type("state_changed", state="idle")

            events = _ask(ask, "capital of france")
        kinds = [e["state"] for e in events if e["type"] == "state_changed"]
        assert kinds == ["listening", "thinking", "speaking", "idle"]
        assert any(e["type"] == "wake_heard" and e["phrase"] == "hey_jarvis" for e in events)
        ended = next(e for e in events if e["type"] == "turn_ended")
        _is_answered(ended, "capital of france", "paris")
        timings = ended["timings"]
        assert timings["ring_overruns"] == 0
        assert 0 < timings["first_token_ms"] < timings["first_audio_ms"]
    assert "paris" in understood(read_wav(heard))


def test_push_to_talk(sound_card: VirtualSoundCard, short_path: Path) -> None:
    """`luna listen` opens the microphone of the running service; two turns share a history."""
    question = say_to(short_path / "q.wav", "What is two plus two?", 0.9)
    heard = short_path / "heard.wav"
    sound_card.noise()
    with service(short_path, *WAKE, env=sound_card.env) as luna:
        luna.until_ready()
        with sound_card.recording(heard):

            def ask() -> Events:
                listen = subprocess.Popen(
                    [*LUNA, "listen", "--json"], env=luna.env, stdout=subprocess.PIPE
                )
                luna.until_type("state_changed", state="listening")
                sound_card.play(question, wait=False)
                output, _ = listen.communicate(timeout=TURN_LIMIT_S)
                assert listen.returncode == 0
                return [json.loads(output.splitlines()[-1])]

            (ended,) = _ask(ask, "plus")
        assert ended["type"] == "turn_ended"
        _is_answered(ended, "plus", "four", "4")
    said = understood(read_wav(heard))
    assert "four" in said or "4" in said


def test_barge_in_by_button(sound_card: VirtualSoundCard, short_path: Path) -> None:
    """The button silences the answer at once, and the next question is answered."""
    question = say_to(short_path / "q.wav", "What is the capital of France?", 0.9)
    heard = short_path / "heard.wav"
    sound_card.noise()
    long_text = "This is a long text that nobody wants to hear to its end. " * 6
    with service(short_path, *WAKE, "--set", "audio.earcons=false", env=sound_card.env) as luna:
        luna.until_ready()
        with sound_card.recording(heard):
            luna.send("say_requested", text=long_text)
            luna.until_type("state_changed", state="speaking")
            time.sleep(2.0)
            luna.send("button_pressed")
            interrupted = luna.until_type("turn_ended")[-1]
            assert interrupted["outcome"] == "interrupted"
            time.sleep(1.0)

            def ask() -> Events:
                if luna.health()["state"] != "listening":
                    luna.send("button_pressed")
                    luna.until_type("state_changed", state="listening")
                sound_card.play(question, wait=False)
                return [_ended(luna)]

            (ended,) = _ask(ask, "capital of france")
            _is_answered(ended, "capital of france", "paris")
    samples = read_wav(heard)
    loud = _loud_stretches(samples)
    # Speech, at most 200 ms of it after the button, then silence until the second answer.
    assert len(loud) >= 2, loud
    assert "paris" in understood(samples[int(loud[-1][0] * RATE) - RATE // 5 :])


def _loud_stretches(samples: np.ndarray) -> list[tuple[float, float]]:
    """Return (start, end) in seconds of the stretches separated by a second of silence."""
    block = RATE // 50
    levels = np.abs(samples[: len(samples) // block * block].reshape(-1, block)).max(axis=1)
    times = np.flatnonzero(levels > 500) / 50
    stretches: list[tuple[float, float]] = []
    for moment in times:
        if stretches and moment - stretches[-1][1] < 1.0:
            stretches[-1] = (stretches[-1][0], moment)
        else:
            stretches.append((moment, moment))
    return stretches


def test_turn_between_files(short_path: Path) -> None:
    """`luna turn` runs the whole pipeline without any sound card."""
    question = say_to(short_path / "q.wav", "What is the capital of France?")
    answer = short_path / "a.wav"
    done = subprocess.run(
        [*LUNA, "turn", "--in", str(question), "--out", str(answer), "--json"],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    _is_answered(ended, "capital of france", "paris")
    import soxr

    sound = read_wav(answer).astype(np.float32)
    assert "paris" in understood(soxr.resample(sound, 22_050, RATE).astype(np.int16))
