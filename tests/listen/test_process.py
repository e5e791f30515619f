"""The worker with a real ring and channel, and doubles for the models."""

from __future__ import annotations

import threading
import time

import numpy as np

from appliance.audio.ring_buffer import CAPTURE_BLOCK
from appliance.commands import (
    PAGE,
    Cancel,
    CloseMicrophone,
    OpenMicrophone,
    SetMuted,
    WatchForSpeech,
)
from appliance.errors import ModelError
from appliance.events import (
    CaptureDropped,
    Logged,
    NothingHeard,
    SpeechResumed,
    SpeechStarted,
    UtteranceEnded,
    UtterancePaused,
    WakeHeard,
)
from appliance.listen.turn_model import TurnModel
from appliance.listen.wake_word import LATENCY_SAMPLES
from appliance.settings import ListenSettings
from tests.listen.harness import LOUD, QUIET, WAKE, FixedTurnModel, LoudnessVad, bench

RATE = 16_000
PACE = 0.5
"""Sound at twice its speed: the turn model's answer must find its place in the silence."""


def test_wake_word_question_and_answer_of_the_model() -> None:
    with bench() as b:
        b.blocks(QUIET, 8)
        b.say(WAKE)
        b.blocks(QUIET, 11)
        heard = b.next(WakeHeard)
        assert (heard.phrase, heard.position) == ("test", 9 * CAPTURE_BLOCK - LATENCY_SAMPLES)
        b.worker.handle(OpenMicrophone(turn_id=7, position=heard.position))
        b.blocks(LOUD, 50)
        b.blocks(QUIET, 50, PACE)
        started = b.next(SpeechStarted)
        paused = b.next(UtterancePaused)
        ended = b.next(UtteranceEnded)
        assert {started.turn_id, paused.turn_id, ended.turn_id} == {7}
        assert (ended.reason, ended.probability) == ("complete", 1.0)
        assert (ended.start, ended.end) == (paused.start, paused.end)
        assert abs(started.position - 20 * CAPTURE_BLOCK) < 600
        assert ended.start >= heard.position
        assert abs(ended.end - 70 * CAPTURE_BLOCK - RATE // 10) < 600
        b.say(WAKE)
        b.blocks(QUIET, 8)
        b.next(WakeHeard)


def test_the_past_is_replayed_without_a_loss() -> None:
    with bench() as b:
        for block, count in ((QUIET, 40), (LOUD, 50), (QUIET, 30), (LOUD, 25), (QUIET, 100)):
            b.blocks(block, count)
        b.worker.handle(OpenMicrophone(turn_id=1, position=10 * CAPTURE_BLOCK + 1, wait_s=20))
        b.next(SpeechStarted)
        first = b.next(UtterancePaused)
        assert abs(first.end - 90 * CAPTURE_BLOCK - RATE // 10) < 600
        assert abs(first.start - 40 * CAPTURE_BLOCK + RATE // 5) < 600
        kinds = {type(m) for m in b.drain()}
        # Faster than real time: the model may answer before the second sentence, or after it.
        assert kinds <= {UtterancePaused, SpeechResumed, UtteranceEnded}
        assert UtteranceEnded in kinds
        assert b.worker.stats()["overruns"] == 0


def test_a_position_that_is_overwritten_is_reported_and_the_rest_is_right() -> None:
    with bench(seconds=2.0, build_turn_model=None) as b:
        b.blocks(QUIET, 190)
        position = 60 * CAPTURE_BLOCK
        b.drain()
        b.worker.handle(OpenMicrophone(turn_id=1, position=position))
        dropped = b.next(CaptureDropped)
        assert dropped.where == "listen"
        assert 20 <= dropped.blocks <= 60
        here = b.ring.position
        b.blocks(LOUD, 30, PACE)
        started = b.next(SpeechStarted)
        assert abs(started.position - here) < 600
        b.blocks(QUIET, 80, PACE)
        b.next(UtterancePaused)
        ended = b.next(UtteranceEnded)
        assert abs(ended.end - here - 30 * CAPTURE_BLOCK - RATE // 10) < 600
        assert ended.reason == "silence"


def test_nobody_speaks() -> None:
    with bench() as b:
        b.worker.handle(OpenMicrophone(turn_id=3, wait_s=0.5))
        b.blocks(QUIET, 60, PACE)
        assert b.next(NothingHeard).turn_id == 3


def test_push_to_talk() -> None:
    model = FixedTurnModel()
    with bench(build_turn_model=lambda: model) as b:
        b.worker.handle(OpenMicrophone(turn_id=1, position=0, held=True))
        for block, count in ((LOUD, 20), (QUIET, 120), (LOUD, 20), (QUIET, 20)):
            b.blocks(block, count)
        for kind in (SpeechStarted, UtterancePaused, SpeechResumed, UtterancePaused):
            last = b.next(kind)
        b.worker.handle(CloseMicrophone(turn_id=1))
        b.blocks(QUIET, 2)
        ended = b.next(UtteranceEnded)
        assert isinstance(last, UtterancePaused)
        assert (ended.reason, ended.start, ended.end) == ("released", last.start, last.end)
        assert model.asked == []

        b.worker.handle(OpenMicrophone(turn_id=2, held=True))
        b.blocks(QUIET, 10)
        b.worker.handle(CloseMicrophone(turn_id=2))
        b.blocks(QUIET, 2)
        assert b.next(NothingHeard).turn_id == 2


def test_orders_without_their_turn_do_nothing() -> None:
    with bench() as b:
        b.worker.handle(CloseMicrophone(turn_id=1))
        b.worker.handle(Cancel(turn_id=1))
        b.blocks(QUIET, 10)
        b.worker.handle(OpenMicrophone(turn_id=2, position=0))
        b.worker.handle(Cancel(turn_id=1))  # late, for another turn
        b.worker.handle(CloseMicrophone(turn_id=1))
        b.worker.handle(Cancel(turn_id=2, attempt=1))  # a speculation of stt or llm, not the turn
        b.blocks(LOUD, 20)
        assert b.next(SpeechStarted).turn_id == 2
        b.worker.handle(Cancel(turn_id=2))
        b.blocks(QUIET, 100, PACE)
        assert b.drain() == []
        b.say(WAKE)
        b.blocks(QUIET, 8)
        b.next(WakeHeard)


def test_a_new_turn_takes_the_place_of_the_old() -> None:
    with bench() as b:
        b.worker.handle(OpenMicrophone(turn_id=1, position=0))
        b.blocks(LOUD, 20)
        assert b.next(SpeechStarted).turn_id == 1
        b.worker.handle(OpenMicrophone(turn_id=2, position=0))
        b.blocks(QUIET, 40, PACE)
        assert {m.turn_id for m in (b.next(SpeechStarted), b.next(UtterancePaused))} == {2}


def test_muted_hears_nothing_and_rests() -> None:
    with bench() as b:
        b.worker.handle(OpenMicrophone(turn_id=1, position=0))
        b.blocks(LOUD, 20)
        b.next(SpeechStarted)
        b.worker.handle(SetMuted(muted=True))
        b.blocks(QUIET, 10)
        b.say(WAKE)
        b.blocks(QUIET, 12)
        assert b.drain() == []
        b.worker.handle(OpenMicrophone(turn_id=2))
        b.blocks(LOUD, 8)
        assert b.next(NothingHeard).turn_id == 2
        used = time.process_time()  # blocks that nobody takes must not keep the reader awake
        assert b.drain(1.0) == []
        assert time.process_time() - used < 0.5
        b.worker.handle(SetMuted(muted=False))
        b.blocks(QUIET, 10)
        assert b.drain() == []
        b.say(WAKE)
        b.blocks(QUIET, 12)
        b.next(WakeHeard)


def test_speech_interrupts_only_when_it_is_more_than_a_cough() -> None:
    with bench() as b:
        b.worker.handle(WatchForSpeech(turn_id=9))
        b.blocks(QUIET, 400)
        b.blocks(LOUD, 8)
        b.blocks(QUIET, 50)
        assert b.drain() == []
        here = b.ring.position
        b.blocks(LOUD, 30)
        started = b.next(SpeechStarted)
        assert started.turn_id == 9
        assert abs(started.position - here) < 600
        b.blocks(QUIET, 60, PACE)
        b.next(UtterancePaused)
        assert b.next(UtteranceEnded).turn_id == 9


def test_a_damaged_turn_model_leaves_silence_to_decide() -> None:
    def damaged() -> TurnModel:
        raise ModelError("model x: it was changed; run `luna models pull x`")

    with bench(ListenSettings(max_silence_ms=600), damaged) as b:
        warning = b.next(Logged)
        assert warning.level == "warning"
        assert "luna models pull x" in warning.text
        assert "600 ms" in warning.text
        b.worker.handle(OpenMicrophone(turn_id=1, position=0))
        b.blocks(LOUD, 20)
        b.blocks(QUIET, 60, PACE)
        b.next(SpeechStarted)
        b.next(UtterancePaused)
        assert b.next(UtteranceEnded).reason == "silence"


def test_sound_waits_for_the_voice_activity_to_be_loaded() -> None:
    loaded = threading.Event()

    def slow() -> LoudnessVad:
        loaded.wait(10)
        return LoudnessVad()

    with bench(build_vad=slow) as b:
        b.worker.handle(OpenMicrophone(turn_id=1, position=0))
        b.blocks(LOUD, 50)
        assert b.drain() == []
        loaded.set()
        b.next(SpeechStarted)
        b.blocks(QUIET, 60, PACE)
        b.next(UtterancePaused)
        assert b.next(UtteranceEnded).start == 0


def test_the_model_hears_the_utterance_and_the_pause_that_follows() -> None:
    model = FixedTurnModel(0.0)
    settings = ListenSettings(speculate_ms=120, pause_ms=200)
    with bench(settings, lambda: model) as b:
        b.worker.handle(OpenMicrophone(turn_id=1, position=0))
        b.blocks(LOUD, 50)
        b.blocks(QUIET, 100, 1.0)
        assert b.next(SpeechStarted).position == 0
        b.next(UtterancePaused)
        assert b.next(UtteranceEnded).reason == "silence"
        assert len(model.asked) == 3
        assert abs(model.asked[0] - (1.0 + 0.2) * RATE) < 0.05 * RATE
        assert np.diff(model.asked).min() > 0.2 * RATE


def test_a_dead_main_process_ends_the_threads() -> None:
    with bench() as b:
        b.channel.close()
        b.say(WAKE)
        b.blocks(QUIET, 8)


def test_a_turn_of_the_page_and_back_to_the_room() -> None:
    with bench() as b:
        b.page.blocks(LOUD, 20)  # before the press
        pressed = b.page.ring.position
        b.worker.handle(OpenMicrophone(turn_id=1, position=pressed, held=True, stream=PAGE))
        b.page.blocks(QUIET, 10)
        b.page.blocks(LOUD, 40)
        b.say(WAKE)  # in the room, where nobody listens now
        b.blocks(LOUD, 20)
        b.page.blocks(QUIET, 20)
        started = b.next(SpeechStarted)
        assert abs(started.position - pressed - 10 * CAPTURE_BLOCK) < 600
        paused = b.next(UtterancePaused)
        b.worker.handle(CloseMicrophone(turn_id=1))
        ended = b.next(UtteranceEnded)  # although no more sound comes
        assert (ended.reason, ended.start, ended.end) == ("released", paused.start, paused.end)
        assert ended.start >= pressed
        b.blocks(QUIET, 8)
        assert b.drain() == []
        b.say(WAKE)
        b.blocks(QUIET, 8)
        assert b.next(WakeHeard).position > 20 * CAPTURE_BLOCK
        assert b.worker.stats()["overruns"] == 0


def test_the_page_is_heard_while_the_box_is_muted() -> None:
    with bench() as b:
        b.worker.handle(SetMuted(muted=True))
        b.worker.handle(OpenMicrophone(turn_id=1, position=0, held=True, stream=PAGE))
        b.page.blocks(LOUD, 20)
        assert b.next(SpeechStarted).turn_id == 1
        b.worker.handle(SetMuted(muted=False))
        b.worker.handle(SetMuted(muted=True))
        b.page.blocks(LOUD, 20)
        b.worker.handle(CloseMicrophone(turn_id=1))
        ended = b.next(UtteranceEnded)
        assert ended.end - ended.start > 38 * CAPTURE_BLOCK
        b.worker.handle(OpenMicrophone(turn_id=2))
        assert b.next(NothingHeard).turn_id == 2
        b.say(WAKE)
        b.blocks(QUIET, 8)
        assert b.drain() == []


def test_a_cancelled_turn_of_the_page_and_one_that_takes_its_place() -> None:
    with bench() as b:
        b.worker.handle(OpenMicrophone(turn_id=1, position=0, held=True, stream=PAGE))
        b.page.blocks(LOUD, 10)
        b.next(SpeechStarted)
        b.worker.handle(Cancel(turn_id=1))
        b.page.blocks(LOUD, 10)
        b.say(WAKE)
        b.blocks(QUIET, 8)
        b.next(WakeHeard)
        pressed = b.page.ring.position
        b.worker.handle(OpenMicrophone(turn_id=2, position=pressed, held=True, stream=PAGE))
        here = b.ring.position
        b.worker.handle(OpenMicrophone(turn_id=3, position=here))
        b.page.blocks(LOUD, 10)
        b.blocks(LOUD, 10)
        started = b.next(SpeechStarted)
        assert (started.turn_id, started.position >= here) == (3, True)


def test_a_release_waits_for_the_voice_activity_to_be_loaded() -> None:
    loaded = threading.Event()

    def slow() -> LoudnessVad:
        loaded.wait(10)
        return LoudnessVad()

    with bench(build_vad=slow) as b:
        b.page.blocks(LOUD, 50)
        b.worker.handle(OpenMicrophone(turn_id=1, position=0, held=True, stream=PAGE))
        b.worker.handle(CloseMicrophone(turn_id=1))
        assert b.drain() == []
        loaded.set()
        b.next(SpeechStarted)
        assert b.next(UtteranceEnded).reason == "released"
