"""The worker as its own process, with the real models, a real ring and synthesised speech."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from appliance.audio.ring_buffer import CAPTURE_BLOCK
from appliance.commands import OpenMicrophone, Ping
from appliance.events import (
    Message,
    Pong,
    Ready,
    SpeechResumed,
    SpeechStarted,
    UtteranceEnded,
    UtterancePaused,
    WakeHeard,
)
from appliance.settings import ListenSettings
from tests.listen.harness import Bench, FixedTurnModel, hush, real_process
from tests.speech import RATE, say, understood

pytestmark = [pytest.mark.models, pytest.mark.slow]


def ready(b: Bench) -> None:
    """Wait until all models are loaded."""
    assert b.next(Ready).detail == "okay_nabu"
    b.channel.send(OpenMicrophone(turn_id=99, wait_s=5))
    b.say(say("Hello.", 0.1, 0.0))
    b.say(hush(1.6), 1.0)
    assert isinstance(b.drain()[-1], UtteranceEnded)


def last(messages: list[Message]) -> UtteranceEnded:
    assert isinstance(messages[-1], UtteranceEnded), messages
    return messages[-1]


def test_wake_word_and_question_in_one_breath() -> None:
    with real_process(ListenSettings()) as b:
        ready(b)
        b.say(say("Okay Nabu.", 1.0, 0.0), 1.0)
        question = say("What is the capital of France?", 0.0, 0.0)
        b.say(question[: RATE // 2], 1.0)
        heard = b.next(WakeHeard)
        b.channel.send(OpenMicrophone(turn_id=1, position=heard.position))
        b.say(np.concatenate((question[RATE // 2 :], hush(1.6))), 1.0)
        messages = b.drain()
        assert isinstance(messages[0], SpeechStarted)
        assert isinstance(messages[-2], UtterancePaused)
        ended = last(messages)
        assert ended.reason == "complete"
        assert ended.silence_ms < 450
        assert (messages[-2].start, messages[-2].end) == (ended.start, ended.end)
        text = understood(b.ring.read_range(ended.start, ended.end))
        assert "capital of france" in text
        assert "nabu" not in text
        b.channel.send(Ping(n=1))
        stats = b.next(Pong).stats
        assert stats["overruns"] == 0
        assert stats["wakes"] == 1
        assert stats["turn_model_ms"] > 0


def test_a_sentence_broken_off_waits_for_its_rest() -> None:
    speech = say("I would like to know how many people live in Brazil.", 0.3, 0.0)
    half = len(speech) * 7 // 10 // CAPTURE_BLOCK * CAPTURE_BLOCK
    with real_process(ListenSettings(), partial(FixedTurnModel, 0.0)) as b:
        ready(b)
        b.channel.send(OpenMicrophone(turn_id=1))
        b.say(np.concatenate((speech[:half], hush(0.6), speech[half:], hush(1.6))), 1.0)
        messages = b.drain()
        kinds = [type(m) for m in messages]
        assert kinds.count(SpeechResumed) >= 1
        ended = last(messages)
        assert ended.end - ended.start > len(speech) * 0.9


def test_an_unfinished_sentence_waits() -> None:
    speech = say("I would like to know how many people live in Brazil.", 0.3, 0.0)
    with real_process(ListenSettings()) as b:
        ready(b)
        b.channel.send(OpenMicrophone(turn_id=2))
        b.say(np.concatenate((speech[: len(speech) * 7 // 10], hush(1.6))), 1.0)
        ended = last(b.drain())
        assert ended.reason == "silence"
        assert ended.silence_ms > 1000


def test_no_heavy_library_is_imported() -> None:
    code = (
        "import sys, appliance.listen.process, appliance.listen.wake_word, appliance.listen.vad\n"
        "heavy = {'faster_whisper', 'ctranslate2', 'llama_cpp', 'piper', 'onnxruntime', 'av',"
        " 'sounddevice', 'pydantic', 'aiohttp', 'transformers'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
