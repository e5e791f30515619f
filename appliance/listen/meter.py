"""What the microphone delivers: level, noise floor, clipping, and how near the wake word is.

Levels are in dBFS as in AES17: 0 dB is the effective value of the loudest sine wave that fits,
so that a sine wave has the same level and peak.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from appliance.audio.ring_buffer import CAPTURE_RATE
from appliance.events import SoundMeasured
from appliance.listen.wake_word import WakeWordModel

WINDOW = CAPTURE_RATE // 10
"""Samples of one measurement (100 ms)."""
NOISE_WINDOWS = 100
NOISE_SHARE = 0.1
"""The noise floor is the level that the quietest tenth of the last ten seconds stays below:
speech has more pauses than that."""
FULL_SCALE = 32_768.0
CLIP = 32_700
"""Samples from here on count as clipped; resampling moves a clipped one a little."""
LOWEST_DB = -100.0
"""Stands for nothing at all; one bit is -90 dB."""


def decibel(part: float) -> float:
    """Return *part* of full scale in dB, ``LOWEST_DB`` at least."""
    return max(LOWEST_DB, 20.0 * math.log10(part)) if part > 0.0 else LOWEST_DB


class Meter:
    """Measures the capture stream, a tenth of a second at a time."""

    def __init__(self, wake_word: WakeWordModel | None = None) -> None:
        self._wake_word = wake_word
        self._rest = b""
        self._levels: deque[float] = deque(maxlen=NOISE_WINDOWS)

    def feed(self, audio: bytes) -> Iterator[SoundMeasured]:
        """Take the next piece of the stream (16 kHz mono int16); yield what is complete."""
        self._rest += audio
        while len(self._rest) >= 2 * WINDOW:
            window, self._rest = self._rest[: 2 * WINDOW], self._rest[2 * WINDOW :]
            yield self._measure(window)

    def skip(self) -> None:
        """Go on after a gap in the stream."""
        self._rest = b""
        if self._wake_word is not None:
            self._wake_word.reset()

    def _measure(self, window: bytes) -> SoundMeasured:
        samples = np.frombuffer(window, np.int16).astype(np.float64)
        loudest = float(np.abs(samples).max())
        # A sine wave's effective value is its peak divided by the root of 2.
        level = decibel(math.sqrt(2.0) * float(samples.std()) / FULL_SCALE)
        self._levels.append(level)
        words = self._wake_word
        return SoundMeasured(
            level_db=round(level, 1),
            peak_db=round(decibel(loudest / FULL_SCALE), 1),
            noise_db=round(float(np.quantile(self._levels, NOISE_SHARE)), 1),
            offset=round(float(samples.mean()) / FULL_SCALE, 4),
            clipped=int((np.abs(samples) >= CLIP).sum()),
            silent=loudest == 0.0,
            scores={w: round(s, 3) for w, s in words.scores(window).items()} if words else {},
            limits=dict(words.limits) if words else {},
        )


# --- what is to be thought of it -----------------------------------------------------------------

FEW_WINDOWS = 10
SILENT_SHARE = 0.95
MANY_CLIPPED = 20
"""Samples; fewer may be a single knock."""
NOISY_DB = -45.0
QUIET_DB = -40.0
"""Speech at arm's length is at -30 to -15 dBFS with the gain that boards are set up with."""
SPEECH_ABOVE_NOISE_DB = 10.0
MUCH_OFFSET = 0.01
LOUD_SHARE = 0.95
NEARLY = 0.5
"""A score from this part of its limit on was nearly the wake word."""


@dataclass
class Summary:
    """All measurements of a test together."""

    windows: int = 0
    silent: int = 0
    clipped: int = 0
    peak_db: float = LOWEST_DB
    offset: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    """The highest of each wake word."""
    limits: dict[str, float] = field(default_factory=dict)
    _levels: list[float] = field(default_factory=list)
    _offsets: float = 0.0

    def add(self, measured: SoundMeasured) -> None:
        """Take one more measurement."""
        self.windows += 1
        self.silent += measured.silent
        self.clipped += measured.clipped
        self.peak_db = max(self.peak_db, measured.peak_db)
        self._offsets += measured.offset
        self.offset = self._offsets / self.windows
        self._levels.append(measured.level_db)
        self.limits = measured.limits
        for word, score in measured.scores.items():
            self.scores[word] = max(score, self.scores.get(word, 0.0))

    @property
    def noise_db(self) -> float:
        """The level that the quietest tenth stays below."""
        return float(np.quantile(self._levels, NOISE_SHARE)) if self._levels else LOWEST_DB

    @property
    def speech_db(self) -> float:
        """The level that only the loudest twentieth exceeds."""
        return float(np.quantile(self._levels, LOUD_SHARE)) if self._levels else LOWEST_DB

    @property
    def seconds(self) -> float:
        return self.windows * WINDOW / CAPTURE_RATE

    @property
    def dead(self) -> bool:
        """Whether this was no living microphone."""
        return self.windows > 0 and self.silent >= SILENT_SHARE * self.windows

    def heard(self) -> list[str]:
        """Return the wake words that would have been heard."""
        return [word for word, score in self.scores.items() if score > self.limits[word]]

    def advice(self) -> list[str]:
        """Return what is to be said of it, the most important first: keys ``mic.advice.*``."""
        if self.windows < FEW_WINDOWS:
            return ["too_short"]
        if self.dead:
            return ["silence"]
        return list(self._mistakes()) or ["good"]

    def _mistakes(self) -> Iterable[str]:
        if self.clipped > MANY_CLIPPED:
            yield "clipping"
        if abs(self.offset) > MUCH_OFFSET:
            yield "offset"
        if self.noise_db > NOISY_DB:
            yield "noise"
        if self.speech_db < max(self.noise_db, LOWEST_DB + 1) + SPEECH_ABOVE_NOISE_DB:
            yield "nobody"
        elif self.speech_db < QUIET_DB:
            yield "quiet"
        best = max(self.scores, key=lambda word: self.scores[word] / self.limits[word], default="")
        if best and not self.heard() and self.scores[best] > NEARLY * self.limits[best]:
            yield "nearly"
