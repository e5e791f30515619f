"""The worker as its own process, with the real model and a real ring."""

from __future__ import annotations

import multiprocessing
from functools import partial

import numpy as np
import pytest

from appliance import paths
from appliance.audio.ring_buffer import CAPTURE_BLOCK, CaptureRing
from appliance.commands import BOX, Ping, Shutdown, Transcribe
from appliance.events import Logged, Pong, Ready, Transcribed
from appliance.ipc import WorkerChannel, channel_pair
from appliance.stt import process
from appliance.stt.whisper import load
from appliance.worker import WorkerContext
from tests.benchmarks.speech_clips import noisy, spoken
from tests.speech import steady_voice

pytestmark = [pytest.mark.models, pytest.mark.slow]


def test_speech_in_the_ring_becomes_text() -> None:
    speech = noisy(
        spoken(steady_voice(), "What is the capital of France?"), 25, np.random.default_rng(1)
    )
    ring = CaptureRing(10.0)
    blocks = len(speech) // CAPTURE_BLOCK
    for i in range(blocks):
        ring.write(speech[i * CAPTURE_BLOCK : (i + 1) * CAPTURE_BLOCK].tobytes())
    ours, theirs = channel_pair()
    worker = multiprocessing.get_context("spawn").Process(
        target=process.main,
        args=(
            WorkerContext("stt", theirs),
            {BOX: ring},
            partial(load, "whisper-tiny.en", paths.models_dir(), ("en",), 2),
        ),
        daemon=True,
    )
    worker.start()
    theirs.close()
    main = WorkerChannel(ours)
    try:
        ready = main.receive(60.0)
        assert isinstance(ready, Ready)
        assert ready.detail.startswith("whisper-tiny.en (int8")
        end = blocks * CAPTURE_BLOCK
        main.send(Transcribe(turn_id=1, attempt=1, start=0, end=end))
        heard = main.receive(60.0)
        assert isinstance(heard, Transcribed)
        assert "capital" in heard.text
        assert (heard.start, heard.end, heard.dropped) == (0, end, "")
        for turn_id, (start, stop) in enumerate(((5, 5), (7, 8), (10**9, 10**9 + 5)), 2):
            main.send(Transcribe(turn_id=turn_id, attempt=1, start=start, end=stop))
        events = [main.receive(60.0) for _ in range(4)]
        assert [e.text for e in events if isinstance(e, Transcribed)] == ["", "", ""]
        assert sum(isinstance(e, Logged) for e in events) == 1
        main.send(Ping(n=1))
        pong = main.receive(10.0)
        assert isinstance(pong, Pong)
        assert pong.stats["jobs"] == 4
        main.send(Shutdown())
        worker.join(10.0)
        assert worker.exitcode == 0
    finally:
        worker.kill()
        worker.join()
        main.close()
        ring.close()
