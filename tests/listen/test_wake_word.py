"""The real models on synthesised speech (the package brings them along)."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.audio.ring_buffer import CAPTURE_BLOCK
from appliance.errors import ConfigError
from appliance.listen.wake_word import LATENCY_SAMPLES, MicroWakeWords
from tests.listen.harness import Samples, hush
from tests.speech import RATE, say

PHRASES = {
    "okay_nabu": "Okay Nabu.",
    "hey_jarvis": "Hey Jarvis.",
    "hey_mycroft": "Hey Mycroft.",
    "alexa": "Alexa.",
}
OTHER_SPEECH = (
    "What is the capital of France? It is Paris, and it lies on the river Seine.",
    "Okay, now let us talk about the weather. Hey, just a minute.",
    "Remind me to call my mother tomorrow at nine, and turn off the lights in the living room.",
    "The service was a bit slow, but the soup was good. I would come again.",
    "Okay, nobody knows. Hey Travis, a lecture about Micronesia: none of you is meant.",
    "How long does it take to fly from Lisbon to New York, and what does it cost?",
)


def heard(
    model: MicroWakeWords, sound: Samples, block: int = CAPTURE_BLOCK
) -> list[tuple[str, int]]:
    """Return which words were found, and at which sample."""
    steps = range(0, len(sound) - block + 1, block)
    found = ((start, model.process(sound[start : start + block].tobytes())) for start in steps)
    return [(detection.phrase, start + block) for start, detection in found if detection]


def mixed(speech: Samples, noise: float) -> Samples:
    loud = speech.astype(np.int32) + hush((len(speech) + 1) / RATE, noise, seed=3)[: len(speech)]
    return loud.clip(-32768, 32767).astype(np.int16)


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'hey_luna'.*alexa.*okay_nabu"):
        MicroWakeWords(("okay_nabu", "hey_luna"))


@pytest.mark.models
@pytest.mark.parametrize("noise", [0.0, 300.0])
@pytest.mark.parametrize("name", PHRASES)
def test_each_word_in_quiet_and_in_noise(name: str, noise: float) -> None:
    late = []
    for _ in range(3):  # the voice speaks a little differently each time
        clean = say(PHRASES[name], 2.0, 1.0)
        loud = np.convolve(np.abs(clean.astype(np.float64)), np.full(160, 1 / 160), "same") > 300
        end = int(np.nonzero(loud)[0][-1])
        found = heard(MicroWakeWords((name,)), mixed(clean, noise))
        assert [phrase for phrase, _ in found] in ([], [name])
        late += [position - LATENCY_SAMPLES - end for _, position in found]
    assert len(late) >= 2
    assert -0.1 * RATE < np.median(late) < 0.25 * RATE


@pytest.mark.models
def test_several_at_once_and_again_after_a_reset() -> None:
    model = MicroWakeWords(("okay_nabu", "hey_jarvis"))
    both = np.concatenate((say(PHRASES["hey_jarvis"], 1.5, 1.5), say(PHRASES["okay_nabu"], 1, 1)))
    for _ in range(2):
        assert [phrase for phrase, _ in heard(model, both)] == ["hey_jarvis", "okay_nabu"]
        model.reset()
    assert [phrase for phrase, _ in heard(model, both, 1111)] == ["hey_jarvis", "okay_nabu"]


@pytest.mark.models
def test_the_threshold() -> None:
    sound = say(PHRASES["okay_nabu"], 2.0, 1.0)
    assert heard(MicroWakeWords(("okay_nabu",), 1.0), sound) == []
    assert len(heard(MicroWakeWords(("okay_nabu",), 0.5), sound)) == 1


@pytest.mark.models
@pytest.mark.slow
def test_nothing_else_is_taken_for_it() -> None:
    speech = np.concatenate([say(text, 0.5, 0.7) for text in OTHER_SPEECH])
    model = MicroWakeWords(tuple(PHRASES))
    for noise in (0.0, 200.0, 800.0):
        assert heard(model, mixed(speech, noise)) == []
    for level in (1.0, 300.0, 5000.0):
        assert heard(model, hush(30.0, level)) == []
    tone = (9000 * np.sin(np.arange(10 * RATE) * 2 * np.pi * 440 / RATE)).astype(np.int16)
    assert heard(model, np.concatenate((tone, np.zeros(5 * RATE, np.int16)))) == []
