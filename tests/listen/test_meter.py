"""The level meter on sound whose level is known, and in the listening worker."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE
from appliance.commands import MeasureSound, OpenMicrophone, SetMuted
from appliance.events import Message, SoundMeasured, WakeHeard
from appliance.listen.meter import LOWEST_DB, WINDOW, Meter, Summary, decibel
from appliance.listen.wake_word import MicroWakeWords
from appliance.settings import ListenSettings
from tests.listen.harness import WAKE, Samples, bench, hush
from tests.speech import say


def sine(
    level_db: float, seconds: float = 1.0, offset: float = 0.0, hertz: float = 440.0
) -> Samples:
    time = np.arange(int(seconds * CAPTURE_RATE)) / CAPTURE_RATE
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * time) + offset
    return (32_768 * wave).clip(-32_768, 32_767).astype(np.int16)


def measured(*sounds: Samples, meter: Meter | None = None) -> list[SoundMeasured]:
    meter = meter or Meter()
    audio = np.concatenate(sounds).tobytes()
    step = 2 * CAPTURE_BLOCK
    return [m for at in range(0, len(audio), step) for m in meter.feed(audio[at : at + step])]


def summed_up(*sounds: Samples, meter: Meter | None = None) -> Summary:
    summary = Summary()
    for one in measured(*sounds, meter=meter):
        summary.add(one)
    return summary


@pytest.mark.parametrize("level", [-1.0, -20.0, -60.0])
def test_a_tone_has_its_level(level: float) -> None:
    found = measured(sine(level))
    assert len(found) == 10
    for one in found:
        assert one.level_db == pytest.approx(level, abs=0.3)
        assert one.peak_db == pytest.approx(level, abs=0.3)
        assert one.clipped == 0
        assert not one.silent


def test_an_offset_is_no_sound() -> None:
    found = measured(sine(-50.0, offset=0.05))
    for one in found:
        assert one.level_db == pytest.approx(-50.0, abs=0.5)
        assert one.offset == pytest.approx(0.05, abs=0.001)
    assert "offset" in summed_up(sine(-20.0, 2.0, offset=0.05)).advice()


def test_silence_and_clipping() -> None:
    (nothing,) = measured(np.zeros(WINDOW, np.int16))
    assert nothing.silent
    assert nothing.level_db == nothing.peak_db == LOWEST_DB
    loud = (1.5 * sine(-0.1).astype(np.float64)).clip(-32_768, 32_767).astype(np.int16)
    share = np.mean(np.abs(loud.astype(np.int32)) >= 32_700)
    assert sum(one.clipped for one in measured(loud)) == pytest.approx(share * len(loud), abs=1)
    assert measured(np.full(WINDOW, -32_768, np.int16))[0].clipped == WINDOW


def test_the_noise_floor_is_what_the_pauses_leave() -> None:
    quiet = hush(0.4, 30.0)
    sounds = [quiet if n % 2 else sine(-20.0, 0.6) for n in range(10)]
    last = measured(*sounds)[-1]
    assert last.noise_db == pytest.approx(decibel(30.0 * 2**0.5 / 32_768), abs=1.0)


@pytest.mark.parametrize(
    ("sounds", "advice"),
    [
        ([hush(0.5, 30.0)], ["too_short"]),
        ([np.zeros(3 * CAPTURE_RATE, np.int16)], ["silence"]),
        ([hush(2.0, 20.0), sine(-20.0), hush(1.0, 20.0)], ["good"]),
        ([hush(2.0, 5.0), sine(-45.0), hush(1.0, 5.0)], ["quiet"]),
        ([hush(3.0, 20.0)], ["nobody"]),
        ([hush(2.0, 400.0), sine(-10.0)], ["noise"]),
        ([hush(2.0, 20.0), sine(6.0), hush(1.0, 20.0)], ["clipping"]),
    ],
)
def test_advice(sounds: list[Samples], advice: list[str]) -> None:
    assert summed_up(*sounds).advice() == advice


@pytest.mark.models
def test_the_score_of_the_wake_word() -> None:
    limits = MicroWakeWords(("okay_nabu", "hey_jarvis")).limits
    model = MicroWakeWords(("okay_nabu", "hey_jarvis"))
    heard = summed_up(say("Hey Jarvis.", 2.0, 1.0), meter=Meter(model))
    assert heard.limits == limits
    assert heard.heard() == ["hey_jarvis"]
    other = summed_up(
        say("What a lovely day.", 2.0, 1.0), meter=Meter(MicroWakeWords(("okay_nabu",)))
    )
    assert other.scores["okay_nabu"] < 0.5
    assert MicroWakeWords(("okay_nabu",), 0.4).limits == {"okay_nabu": 0.4}


# --- in the worker -------------------------------------------------------------------------------


def levels(messages: list[Message]) -> list[SoundMeasured]:
    return [one for one in messages if isinstance(one, SoundMeasured)]


def test_the_worker_measures_when_it_is_asked_and_no_longer() -> None:
    tone = sine(-20.0, 1.0)
    with bench() as b:
        b.say(tone)
        assert b.drain() == []
        b.worker.handle(MeasureSound(seconds=30.0))
        b.drain(0.6)
        b.say(tone)
        found = levels(b.drain(0.6))
        assert len(found) == 10
        assert found[0].level_db == pytest.approx(-20.0, abs=0.5)
        b.worker.handle(MeasureSound(seconds=0.0))
        b.drain(0.6)
        b.say(tone)
        assert b.drain() == []


def test_the_worker_listens_on_while_it_measures_unless_it_is_told_not_to() -> None:
    with bench() as b:
        b.worker.handle(MeasureSound(seconds=30.0))
        b.drain(0.6)
        b.blocks(WAKE, 1)
        b.say(hush(0.5))
        found = b.drain(0.6)
        assert any(isinstance(one, WakeHeard) for one in found)
        assert max(one.scores["test"] for one in levels(found)) == 1.0
        b.worker.handle(MeasureSound(seconds=30.0, alone=True))
        b.drain(0.6)
        b.blocks(WAKE, 1)
        b.say(hush(0.5))
        found = b.drain(0.6)
        assert not any(isinstance(one, WakeHeard) for one in found)
        assert max(one.scores["test"] for one in levels(found)) == 1.0


def test_the_worker_measures_during_a_turn_and_not_while_it_is_muted() -> None:
    with bench(ListenSettings()) as b:
        b.worker.handle(MeasureSound(seconds=30.0))
        b.worker.handle(OpenMicrophone(turn_id=1, wait_s=20.0))
        b.drain(0.6)
        b.say(hush(1.0))
        assert len(levels(b.drain(0.6))) == 10
        b.worker.handle(SetMuted(muted=True))
        b.drain(0.6)
        b.say(hush(1.0))
        assert levels(b.drain(0.6)) == []
