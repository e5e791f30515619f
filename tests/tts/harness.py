"""A worker with a test at the other end of its channel, and a voice made of sine waves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from appliance.audio.ring_buffer import PlaybackBlock, PlaybackRing
from appliance.commands import BOX, FILE, PAGE
from appliance.errors import LunaError, ModelError
from appliance.events import Message
from appliance.ipc import WorkerChannel, channel_pair
from appliance.tts.piper import Voice
from appliance.tts.process import TtsWorker


class ToneVoice:
    """50 ms of sound for each word, at 16 kHz; can be told to fail or to wait."""

    def __init__(self, name: str = "tone", fails: bool = False, piece_s: float = 0.0) -> None:
        self.name, self.language, self.rate = name, "en", 16_000
        self.fails, self.piece_s = fails, piece_s
        self.error: LunaError = ModelError(f"voice {name} is broken; repair it")

    def synthesise(self, text: str) -> Iterator[npt.NDArray[np.int16]]:
        for _ in text.split():
            if self.fails:
                raise self.error
            time.sleep(self.piece_s)
            yield np.full(800, 1000, np.int16)


class SomeVoices:
    detail = "tones"

    def __init__(self, *voices: Voice) -> None:
        self.voices = voices

    def candidates(self, language: str) -> Iterator[Voice]:
        yield from self.voices


class Bench:
    """The worker, its ring, and the main process's end of its channel."""

    def __init__(self, voices: SomeVoices, seconds: float, rate: int) -> None:
        self.ring = PlaybackRing(seconds)
        self.ring.rate = rate
        ours, theirs = channel_pair()
        self.main = WorkerChannel(ours)
        self._worker_end = WorkerChannel(theirs)
        self.others = {stream: PlaybackRing(seconds) for stream in (PAGE, FILE)}
        for ring in self.others.values():
            ring.rate = rate
        rings = {BOX: self.ring, **self.others}
        self.worker = TtsWorker(self._worker_end, rings, voices)

    def next(self, timeout: float = 10.0) -> Message:
        message = self.main.receive(timeout)
        assert message is not None, "no event came"
        return message

    def close(self) -> None:
        self.worker.close()
        self.main.close()
        self._worker_end.close()
        for ring in (self.ring, *self.others.values()):
            ring.close()


@contextmanager
def bench(*voices: Voice, seconds: float = 60.0, rate: int = 16_000) -> Iterator[Bench]:
    made = Bench(SomeVoices(*(voices or (ToneVoice(),))), seconds, rate)
    try:
        yield made
    finally:
        made.close()


def until(condition: Callable[[], bool], timeout: float = 10.0) -> bool:
    """Wait until *condition* holds; return whether it did in time."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def samples(blocks: list[PlaybackBlock]) -> npt.NDArray[np.int16]:
    return np.frombuffer(b"".join(block.payload for block in blocks), np.int16)
