"""Text to speech: first audio of a reply, and gaps between its clauses.

A real tts process with the real voice fills a real playback ring, which is read at the speed of
a 48 kHz speaker. Against it stands what a naive pipeline does: stock Piper makes the reply's
first sentence whole. Both take turns, sentence by sentence.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import piper

from appliance import paths
from appliance.audio.ring_buffer import BLOCK_MS, PlaybackRing
from appliance.commands import BOX, EndSpeech, Shutdown, Speak
from appliance.events import ClauseSynthesised, Ready
from appliance.ipc import WorkerChannel, channel_pair
from appliance.models.catalogue import load_catalogue
from appliance.settings import TtsSettings
from appliance.tts import process
from appliance.tts.voices import load
from appliance.worker import WorkerContext

RATE = 48_000
REPLIES = (
    ("The capital of France is Paris.", "It lies on the river Seine."),
    ("Sure, I can help you with that.", "Which room do you mean?"),
    ("Two plus two is four.", "That is easy."),
    (
        "Photosynthesis is how plants turn sunlight, water and carbon dioxide into sugar.",
        "Oxygen is what remains, and it goes into the air.",
    ),
    ("I have set a timer for ten minutes.", "I will tell you when it is over."),
    ("It is half past six in the evening.", "The sun sets in an hour."),
    (
        "A battery stores energy in chemicals, and when you connect it, electrons flow.",
        "That flow is what lights the lamp.",
    ),
    (
        "The moon is about three hundred and eighty thousand kilometres away.",
        "Light needs a second.",
    ),
    ("Here is a joke for you.", "Why did the robot cross the road?"),
    ("Yes, it will rain in the afternoon, so take an umbrella with you.", "Tomorrow is dry."),
    ("I am sorry, I did not understand that.", "Please say it again."),
    (
        "Romeo and Juliet was written by William Shakespeare around fifteen ninety five.",
        "It is sad.",
    ),
)


class Speaker(threading.Thread):
    """Reads the ring at the speed of a sound card and counts the gaps inside a turn."""

    def __init__(self, ring: PlaybackRing) -> None:
        super().__init__(daemon=True)
        self._ring = ring
        self.gaps = 0
        self.gap_ms = 0.0
        self.ended = threading.Semaphore(0)
        self.stopping = False

    def run(self) -> None:
        in_turn = False
        due = 0.0
        while not self.stopping:
            if not in_turn:
                if not self._ring.wait_data(0.1):
                    continue
                due = time.monotonic()
            block = self._ring.read()
            if block is None:
                if not in_turn:
                    continue  # woken by a block that was read already
                while not self.stopping and not self._ring.wait_data(0.1):
                    pass
                self.gaps += 1
                self.gap_ms += (time.monotonic() - due) * 1000
                due = time.monotonic()
                continue
            in_turn = not block.end
            if block.end:
                self.ended.release()
            due += len(block.payload) / 2 / RATE
            time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def running(ring: PlaybackRing) -> Iterator[WorkerChannel]:
    """Run the tts process on *ring*."""
    ours, theirs = channel_pair()
    build = partial(load, models_dir=paths.models_dir(), languages=("en",))
    worker = multiprocessing.get_context("spawn").Process(
        target=process.main,
        args=(WorkerContext("tts", theirs), {BOX: ring}, TtsSettings(), build),
        daemon=True,
    )
    worker.start()
    theirs.close()
    channel = WorkerChannel(ours)
    try:
        assert isinstance(channel.receive(60.0), Ready)
        yield channel
        channel.send(Shutdown())
        worker.join(5.0)
    finally:
        worker.kill()
        worker.join()
        channel.close()


def run(quick: bool) -> dict[str, float]:
    """Return median and p95 of first audio (ms) both ways, their ratio, and the gaps."""
    catalogue = load_catalogue()
    folder = catalogue.get(catalogue.voice("en")).folder(paths.models_dir())
    stock = piper.PiperVoice.load(next(folder.glob("*.onnx")))
    list(stock.synthesize("Warm up, please."))
    ring = PlaybackRing(8.0)
    ring.rate = RATE
    speaker = Speaker(ring)
    speaker.start()
    first: list[float] = []
    whole: list[float] = []
    try:
        with running(ring) as channel:
            for turn_id, reply in enumerate(REPLIES * (1 if quick else 3), 1):
                began = time.monotonic()
                for chunk in stock.synthesize(reply[0]):
                    chunk.audio_int16_bytes  # noqa: B018 - making the bytes is part of the work
                whole.append((time.monotonic() - began) * 1000)
                began = time.monotonic()
                for number, clause in enumerate(reply, 1):
                    channel.send(Speak(turn_id=turn_id, clause=number, text=clause, language="en"))
                channel.send(EndSpeech(turn_id=turn_id))
                event = channel.receive(30.0)
                assert isinstance(event, ClauseSynthesised)
                first.append((event.first_audio_at - began) * 1000)
                assert channel.receive(30.0) is not None
                assert speaker.ended.acquire(timeout=60.0)
    finally:
        speaker.stopping = True
        speaker.join()
        ring.close()
    return {
        "replies": len(first),
        "first_audio_median_ms": statistics.median(first),
        "first_audio_p95_ms": statistics.quantiles(first, n=20)[-1],
        "sentence_whole_median_ms": statistics.median(whole),
        "sentence_whole_p95_ms": statistics.quantiles(whole, n=20)[-1],
        "first_audio_ratio": statistics.median(first) / statistics.median(whole),
        "first_audio_p95_ratio": statistics.quantiles(first, n=20)[-1]
        / statistics.quantiles(whole, n=20)[-1],
        "gaps": speaker.gaps,
        "gap_ms": speaker.gap_ms,
        "block_ms": BLOCK_MS,
    }


if __name__ == "__main__":
    print(json.dumps(run("--quick" in sys.argv), indent=1))
