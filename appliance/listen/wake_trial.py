"""How often the wake word is missed or falsely heard, by threshold, over labelled recordings.

A positive recording has the wake word in it once; it is missed when no score passes the
threshold. In a negative one each passing is a false accept. As while listening, nothing is
detected for a second after a detection; before the next one the score must have fallen again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE
from appliance.listen.wake_word import REFRACTORY_SAMPLES, WakeWordModel

Samples = npt.NDArray[np.int16]
Scores = npt.NDArray[np.float32]

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)
MARGIN_S = 1.5
"""Quiet before and after each recording: the models need to have heard a while before they say
anything, and are sure only a moment after the word."""
MARGIN_LEVEL = 10.0
"""Effective value of that quiet: a microphone never delivers zeros."""
REFRACTORY_BLOCKS = REFRACTORY_SAMPLES // CAPTURE_BLOCK
ACCEPTS_PER_HOUR = 0.5
"""What is bearable, after the figure that microWakeWord and openWakeWord are trained for."""


@dataclass(frozen=True)
class Recording:
    """What the models said to one recording."""

    name: str
    positive: bool
    seconds: float
    scores: Scores
    """The highest of all words, one for each 20 ms."""

    @property
    def peak(self) -> float:
        return float(self.scores.max(initial=0.0))


@dataclass(frozen=True)
class Row:
    """The mistakes at one threshold."""

    threshold: float
    false_accepts: int
    false_rejects: int


@dataclass
class Tally:
    """All recordings together."""

    recordings: list[Recording] = field(default_factory=list)

    @property
    def positives(self) -> int:
        return sum(one.positive for one in self.recordings)

    @property
    def negative_hours(self) -> float:
        return sum(one.seconds for one in self.recordings if not one.positive) / 3600.0

    def row(self, threshold: float) -> Row:
        """Return the mistakes at *threshold*."""
        accepts = rejects = 0
        for one in self.recordings:
            found = detections(one.scores, threshold)
            if one.positive:
                rejects += not found
            else:
                accepts += found
        return Row(threshold, accepts, rejects)

    def accepts_per_hour(self, row: Row) -> float | None:
        """Return the false accepts an hour; None without a negative recording."""
        return row.false_accepts / self.negative_hours if self.negative_hours else None

    def reject_rate(self, row: Row) -> float | None:
        """Return the part of the wake words that was missed; None without any."""
        return row.false_rejects / self.positives if self.positives else None

    def suggest(self, rows: Sequence[Row]) -> float | None:
        """Return the threshold to use; None where recordings of one kind are missing.

        Of those with bearably few false accepts, the one that misses least; of several that are
        as good, the middle one, which is farthest from both mistakes.
        """
        if not self.positives or not self.negative_hours:
            return None
        bearable = [
            row for row in rows if row.false_accepts / self.negative_hours <= ACCEPTS_PER_HOUR
        ]
        if not bearable:
            fewest = min(row.false_accepts for row in rows)
            bearable = [row for row in rows if row.false_accepts == fewest]
        least = min(row.false_rejects for row in bearable)
        best = sorted(row.threshold for row in bearable if row.false_rejects == least)
        return best[len(best) // 2]


def detections(scores: Scores, threshold: float) -> int:
    """Return how often *scores* pass *threshold*."""
    above = np.concatenate(([False], scores > threshold))
    count = deaf_until = 0
    for block in np.flatnonzero(above[1:] & ~above[:-1]):
        if block >= deaf_until:
            count += 1
            deaf_until = int(block) + REFRACTORY_BLOCKS
    return count


def score(
    name: str, pieces: Iterable[Samples], model: WakeWordModel, *, positive: bool
) -> Recording:
    """Listen to a recording: mono int16 at 16 kHz, in pieces of any length."""
    model.reset()
    margin = int(MARGIN_S * CAPTURE_RATE)
    quiet = np.random.default_rng(0).normal(0.0, MARGIN_LEVEL, margin).astype(np.int16)
    scores: list[float] = []
    rest = np.empty(0, np.int16)
    samples = -2 * margin
    for piece in chain((quiet,), pieces, (quiet,)):
        samples += len(piece)
        rest = np.concatenate((rest, piece))
        whole = len(rest) // CAPTURE_BLOCK * CAPTURE_BLOCK
        for start in range(0, whole, CAPTURE_BLOCK):
            block = rest[start : start + CAPTURE_BLOCK].tobytes()
            scores.append(max(model.scores(block).values()))
        rest = rest[whole:]
    return Recording(name, positive, samples / CAPTURE_RATE, np.array(scores, np.float32))
