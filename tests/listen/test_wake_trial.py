"""Mistakes of the wake word, counted over score traces and over synthesised recordings."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.audio.ring_buffer import CAPTURE_BLOCK
from appliance.listen.wake_trial import Recording, Row, Samples, Tally, detections, score
from appliance.listen.wake_word import MicroWakeWords
from tests.speech import RATE, say

FLAT = [0.0] * 10
SECOND = [0.0] * 50


def recording(scores: list[float], positive: bool, seconds: float = 36.0) -> Recording:
    return Recording("x", positive, seconds, np.array(scores, np.float32))


def test_detections() -> None:
    once = np.array([*FLAT, 0.9, 0.9, 0.2, 0.9, *FLAT], np.float32)
    assert detections(once, 0.5) == 1
    assert detections(once, 0.95) == 0
    assert detections(np.array([*once, *SECOND, 0.9], np.float32), 0.5) == 2
    assert detections(np.full(500, 0.9, np.float32), 0.5) == 1
    assert detections(np.empty(0, np.float32), 0.5) == 0


def test_rates_and_suggestion() -> None:
    tally = Tally(
        [
            recording([*FLAT, 0.97, *FLAT], True),
            recording([*FLAT, 0.75, *FLAT], True),
            recording([*FLAT, 0.72, *SECOND, 0.6], False),
            recording(FLAT, False),
        ]
    )
    assert tally.positives == 2
    assert tally.negative_hours == pytest.approx(0.02)
    low, middle, high = (tally.row(threshold) for threshold in (0.5, 0.74, 0.9))
    assert low == Row(0.5, false_accepts=2, false_rejects=0)
    assert middle == Row(0.74, false_accepts=0, false_rejects=0)
    assert high == Row(0.9, false_accepts=0, false_rejects=1)
    assert tally.accepts_per_hour(low) == pytest.approx(100.0)
    assert tally.reject_rate(high) == 0.5
    assert tally.suggest([low, middle, high]) == 0.74
    assert tally.suggest([low]) == 0.5
    assert Tally([recording(FLAT, True)]).suggest([low]) is None


def pieces(sound: Samples, size: int = 1000) -> list[Samples]:
    return [sound[at : at + size] for at in range(0, len(sound), size)]


@pytest.mark.models
@pytest.mark.parametrize("before_s", [0.0, 1.0])
def test_recordings_count_as_the_service_hears_them(before_s: float) -> None:
    """Also those that begin with the word and are over with it."""
    limit = MicroWakeWords(("hey_jarvis",)).limits["hey_jarvis"]
    model = MicroWakeWords(("hey_jarvis",))
    for text, positive in (("Hey Jarvis.", True), ("What is the capital of France?", False)):
        sound = say(text, before_s, before_s)
        found = score("x", pieces(sound), model, positive=positive)
        assert found.seconds == pytest.approx(len(sound) / RATE)
        assert detections(found.scores, limit) == positive
        detector = MicroWakeWords(("hey_jarvis",))
        wide = np.concatenate((np.zeros(2 * RATE, np.int16), sound, np.zeros(RATE, np.int16)))
        blocks = (wide[at : at + CAPTURE_BLOCK] for at in range(0, len(wide), CAPTURE_BLOCK))
        heard = [detector.process(block.tobytes()) for block in blocks]
        assert sum(one is not None for one in heard) == positive
