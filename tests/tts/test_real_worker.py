"""The worker as its own process, with the real voice."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from appliance import paths
from appliance.audio.ring_buffer import PlaybackRing
from appliance.clock import monotonic
from appliance.commands import BOX, Cancel, EndSpeech, Ping, Shutdown, Speak
from appliance.events import ClauseSynthesised, Message, Pong, Ready
from appliance.ipc import WorkerChannel, channel_pair
from appliance.settings import TtsSettings
from appliance.tts import process
from appliance.tts.voices import load
from appliance.worker import WorkerContext
from tests.tts.harness import samples, until

pytestmark = [pytest.mark.models, pytest.mark.slow]
CLAUSES = ("Of course,", "the capital of France is Paris,", "and it lies on the river Seine.")


class Running:
    def __init__(self, ring: PlaybackRing) -> None:
        self.ring = ring
        ours, theirs = channel_pair()
        build = partial(load, models_dir=paths.models_dir(), languages=("en", "pt"))
        spawn = multiprocessing.get_context("spawn")
        self.process = spawn.Process(
            target=process.main,
            args=(WorkerContext("tts", theirs), {BOX: ring}, TtsSettings(), build),
            daemon=True,
        )
        self.process.start()
        theirs.close()
        self.main = WorkerChannel(ours)

    def next(self) -> Message:
        message = self.main.receive(60.0)
        assert message is not None
        return message

    def speak(self, turn_id: int, *clauses: str, language: str = "en") -> None:
        for number, text in enumerate(clauses, 1):
            self.main.send(Speak(turn_id=turn_id, clause=number, text=text, language=language))
        self.main.send(EndSpeech(turn_id=turn_id))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    ring = PlaybackRing(4.0)
    ring.rate = 48_000
    made = Running(ring)
    ready = made.next()
    assert isinstance(ready, Ready)
    assert ready.detail == "en_us-joe-medium (en, 22050 Hz)"
    yield made
    made.main.send(Shutdown())
    made.process.join(5.0)
    assert made.process.exitcode == 0
    made.main.close()
    ring.close()


def test_a_reply_reaches_the_ring_whole(running: Running) -> None:
    began = monotonic()
    running.speak(1, *CLAUSES)
    blocks = []
    events: list[ClauseSynthesised] = []
    while not blocks or not blocks[-1].end:
        running.ring.wait_data(10.0)
        blocks.extend(running.ring.drain())
    while len(events) < len(CLAUSES):
        event = running.next()
        assert isinstance(event, ClauseSynthesised)
        events.append(event)
    assert sum(e.samples for e in events) == len(samples(blocks))
    assert [e.clause for e in events] == [1, 2, 3]
    assert began < events[0].first_audio_at < events[1].first_audio_at
    # Nothing jumps where pieces, blocks and clauses meet: at 48 kHz speech is far smoother.
    assert np.abs(np.diff(samples(blocks).astype(int))).max() < 9000


def test_cancel_is_quick_while_nobody_reads_the_ring(running: Running) -> None:
    running.speak(2, *CLAUSES * 4)
    assert until(lambda: running.ring.depth == running.ring.slots, 60.0)
    running.main.send(Ping(n=5))
    pong = running.next()
    while not isinstance(pong, Pong):
        pong = running.next()
    assert pong.n == 5
    assert pong.busy_s < 2.0  # it may still be synthesising ahead
    running.main.send(Cancel(turn_id=2))
    running.main.send(Ping(n=6))
    assert running.next().n == 6  # the cancel was taken before
    assert {block.turn_id for block in running.ring.drain()} == {2}
    running.speak(3, "Yes.")
    event = running.next()
    assert (event.turn_id, event.clause) == (3, 1)
    assert {block.turn_id for block in running.ring.drain()} <= {3}


def test_portuguese_is_spoken_by_espeak(running: Running) -> None:
    running.speak(4, "São três horas da tarde.", language="pt")
    event = running.next()
    assert isinstance(event, ClauseSynthesised)
    assert event.voice == "espeak-ng"
    assert event.samples > 48_000
    time.sleep(0.05)
    list(running.ring.drain())
