"""The listen worker with a test at the other end of its channel, in this process or in its own."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from appliance import paths
from appliance.audio.ring_buffer import BLOCK_MS, CAPTURE_BLOCK, CAPTURE_RATE, CaptureRing
from appliance.commands import BOX, PAGE, Shutdown
from appliance.events import Message
from appliance.ipc import WorkerChannel, channel_pair
from appliance.listen import process
from appliance.listen.process import ListenWorker
from appliance.listen.turn_model import SmartTurn, TurnModel
from appliance.listen.vad import SileroVoiceActivity, VoiceActivity
from appliance.listen.wake_word import Detection, MicroWakeWords, WakeWordModel
from appliance.models.catalogue import load_catalogue
from appliance.settings import ListenSettings
from appliance.worker import WorkerContext

Samples = npt.NDArray[np.int16]
M = TypeVar("M", bound=Message)

QUIET = np.zeros(CAPTURE_BLOCK, np.int16)
LOUD = np.full(CAPTURE_BLOCK, 8000, np.int16)
WAKE = np.full(CAPTURE_BLOCK, -20_000, np.int16)
"""One block of this is the wake word of :class:`ToneWakeWord`."""


class ToneWakeWord:
    """Hears any block that holds only the value of ``WAKE``."""

    def process(self, audio: bytes) -> Detection | None:
        return Detection("test", 1.0) if audio == WAKE.tobytes() else None

    def scores(self, audio: bytes) -> dict[str, float]:
        return {"test": float(WAKE.tobytes() in audio)}

    @property
    def limits(self) -> dict[str, float]:
        return {"test": 0.5}

    def reset(self) -> None:
        pass


class LoudnessVad:
    """Loud is speech."""

    def probability(self, chunk: bytes) -> float:
        return float(np.abs(np.frombuffer(chunk, np.int16).astype(np.int32)).mean() > 1000)

    def reset(self) -> None:
        pass


class FixedTurnModel:
    """Always the same answer."""

    def __init__(self, probability: float = 1.0) -> None:
        self.value = probability
        self.asked: list[int] = []

    def probability(self, samples: Samples) -> float:
        self.asked.append(len(samples))
        return self.value


class Bench:
    """A ring that the test fills, and what the worker says to it."""

    def __init__(self, ring: CaptureRing, channel: WorkerChannel) -> None:
        self.ring = ring
        self.channel = channel

    def say(self, sound: Samples, pace: float = 0.0) -> None:
        """Write *sound* in whole blocks, sleeping *pace* times its real duration."""
        started = time.monotonic()
        for number in range(len(sound) // CAPTURE_BLOCK):
            self.ring.write(sound[number * CAPTURE_BLOCK : (number + 1) * CAPTURE_BLOCK].tobytes())
            due = started + (number + 1) * BLOCK_MS / 1000 * pace
            time.sleep(max(0.0, due - time.monotonic()))

    def blocks(self, block: Samples, count: int, pace: float = 0.0) -> None:
        """Write *count* times the same block."""
        self.say(np.tile(block, count), pace)

    def next(self, kind: type[M], timeout: float = 20.0) -> M:
        message = self.channel.receive(timeout)
        assert isinstance(message, kind), f"wanted {kind.__name__}, got {message}"
        return message

    def drain(self, wait: float = 0.3) -> list[Message]:
        """Return what still comes."""
        messages = []
        while (message := self.channel.receive(wait)) is not None:
            messages.append(message)
        return messages


class InProcess(Bench):
    def __init__(
        self, ring: CaptureRing, channel: WorkerChannel, worker: ListenWorker, page: CaptureRing
    ) -> None:
        super().__init__(ring, channel)
        self.worker = worker
        self.page = Bench(page, channel)
        """The same worker; what is said here is said in a browser."""


@contextmanager
def bench(
    settings: ListenSettings | None = None,
    build_turn_model: Callable[[], TurnModel] | None = FixedTurnModel,
    build_vad: Callable[[], VoiceActivity] = LoudnessVad,
    wake_word: WakeWordModel | None = None,
    seconds: float = 30.0,
) -> Iterator[InProcess]:
    """The worker in this process, with a real ring and doubles for the models."""
    ring, page = CaptureRing(seconds), CaptureRing(seconds)
    ours, theirs = channel_pair()
    main, end = WorkerChannel(ours), WorkerChannel(theirs)
    worker = ListenWorker(
        end,
        {BOX: ring, PAGE: page},
        settings or ListenSettings(),
        wake_word or ToneWakeWord(),
        build_vad,
        build_turn_model,
        ToneWakeWord,
    )
    try:
        yield InProcess(ring, main, worker, page)
    finally:
        worker.close()
        main.close()
        end.close()
        ring.close()
        page.close()


@contextmanager
def real_process(
    settings: ListenSettings, turn_model: Callable[[], TurnModel] | None = None
) -> Iterator[Bench]:
    """The worker in a process of its own, with the real models."""
    ring = CaptureRing(60.0)
    ours, theirs = channel_pair()
    worker = multiprocessing.get_context("spawn").Process(
        target=process.main,
        args=(
            WorkerContext("listen", theirs),
            {BOX: ring},
            settings,
            partial(MicroWakeWords, settings.wake_words, settings.wake_threshold),
            SileroVoiceActivity,
            turn_model
            or partial(SmartTurn, load_catalogue().default("endpoint"), paths.models_dir()),
        ),
        daemon=True,
    )
    worker.start()
    theirs.close()
    channel = WorkerChannel(ours)
    try:
        yield Bench(ring, channel)
        channel.send(Shutdown())
        worker.join(10.0)
        assert worker.exitcode == 0
    finally:
        worker.kill()
        worker.join()
        channel.close()
        ring.close()


def hush(seconds: float, level: float = 12.0, seed: int = 5) -> Samples:
    """Return the faint noise of a quiet room."""
    noise = np.random.default_rng(seed).normal(0, level, int(seconds * CAPTURE_RATE))
    return noise.clip(-32768, 32767).astype(np.int16)
