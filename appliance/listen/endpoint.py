"""When has the person finished? A pure class, driven by 32 ms steps; it reads no clock.

Silence alone decides badly: short silence cuts off who thinks in mid-sentence, long silence
makes everybody wait. So a short silence only raises the question, a model that has heard the
last seconds answers it, and a longer silence ends the turn whatever the model said.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.listen.vad import CHUNK

RATE = 16_000
START_MARGIN = RATE * 200 // 1000
"""Sound kept before the first speech: the voice activity is sure only after soft consonants."""
END_MARGIN = RATE * 100 // 1000
"""Sound kept after the last speech."""
MIN_SPEECH_MS = 96
"""Speech shorter than this is a click."""
RESUME_CHUNKS = 2
HYSTERESIS = 0.15
"""Speech that has begun goes on down to this much below the threshold (as Silero's own code)."""
ASK_AGAIN_MS = (400, 700)
"""Silences after which the end-of-turn model is asked once more: more silence, better answer."""


@dataclass(frozen=True)
class EndpointOptions:
    """See ``ListenSettings``."""

    vad_threshold: float = 0.5
    pause_ms: int = 200
    speculate_ms: int = 120
    max_silence_ms: int = 1200
    turn_threshold: float = 0.5
    max_utterance_s: float = 28.0
    wait_s: float = 6.0
    min_speech_ms: int = MIN_SPEECH_MS
    held: bool = False
    ask_model: bool = True


@dataclass(frozen=True)
class Started:
    """Speech began at *position*."""

    position: int


@dataclass(frozen=True)
class Paused:
    """The utterance ``[start, end)`` may be over."""

    start: int
    end: int


@dataclass(frozen=True)
class Ask:
    """Ask the end-of-turn model about the sound from *start* up to *position*."""

    start: int
    position: int


@dataclass(frozen=True)
class Resumed:
    """Speech goes on."""

    position: int


@dataclass(frozen=True)
class Ended:
    """The utterance is over."""

    start: int
    end: int
    reason: str
    probability: float
    silence_ms: float


@dataclass(frozen=True)
class Nothing:
    """Nobody spoke."""


Decision = Started | Paused | Ask | Resumed | Ended | Nothing


def _chunks(milliseconds: float) -> int:
    return max(1, round(milliseconds * RATE / 1000 / CHUNK))


class Endpointer:
    """Follows one utterance. After ``Ended`` or ``Nothing`` it has no more to say.

    Args:
        position: where listening begins; the utterance never starts before it.
        options: thresholds.
    """

    def __init__(self, position: int, options: EndpointOptions) -> None:
        self._options = options
        self._opened = position
        self._position = position
        self._start = -1
        self._run = 0
        self._run_start = position
        self._speech_end = position
        self._silent_chunks = 0
        self._paused_end = -1
        self._probability = -1.0
        self._over = False
        self._enough = _chunks(options.min_speech_ms)
        self._speculate = _chunks(min(options.speculate_ms, options.pause_ms))
        self._pause = _chunks(options.pause_ms)
        self._longest = _chunks(options.max_silence_ms)
        self._ask_at = {max(self._speculate, _chunks(ms)) for ms in (0, *ASK_AGAIN_MS)}

    @property
    def speaking(self) -> bool:
        """Speech has begun."""
        return self._start >= 0

    @property
    def over(self) -> bool:
        """The decision has fallen."""
        return self._over

    @property
    def _paused(self) -> bool:
        return self._paused_end >= 0

    def skip_to(self, position: int) -> None:
        """Go on at *position*: the sound before it was lost."""
        self._position = position
        self._run = 0
        if not self.speaking:
            self._opened = position

    def feed(self, probability: float) -> list[Decision]:
        """Take the speech probability of the next 512 samples; return what follows from it."""
        if self._over:
            return []
        begin, self._position = self._position, self._position + CHUNK
        limit = self._options.vad_threshold
        if self.speaking and not self._paused:
            limit -= HYSTERESIS
        if probability >= limit:
            self._run_start = begin if self._run == 0 else self._run_start
            self._run += 1
        else:
            self._run = 0
        return self._in_speech() if self.speaking else self._before_speech()

    def _before_speech(self) -> list[Decision]:
        if self._run >= self._enough:
            self._start = max(self._opened, self._run_start - START_MARGIN)
            self._speech_end = self._position
            return [Started(self._run_start)]
        waited = (self._position - self._opened) / RATE
        if not self._options.held and not self._run and waited >= self._options.wait_s:
            self._over = True
            return [Nothing()]
        return []

    def _in_speech(self) -> list[Decision]:
        decisions: list[Decision] = []
        if self._run and (not self._paused or self._run >= RESUME_CHUNKS):
            if self._paused:
                decisions.append(Resumed(self._run_start))
            self._paused_end = -1
            self._speech_end = self._position
            self._silent_chunks = 0
            self._probability = -1.0
        else:
            self._silent_chunks += 1
            decisions += self._in_silence()
        length = (self._position - self._start) / RATE
        if not self._over and length >= self._options.max_utterance_s:
            decisions.append(self._finish("too_long"))
        return decisions

    def _in_silence(self) -> list[Decision]:
        decisions: list[Decision] = []
        silent = self._silent_chunks
        if silent == self._speculate:
            self._paused_end = self._end()
            decisions.append(Paused(self._start, self._paused_end))
        if self._options.held:
            return decisions
        if self._options.ask_model and silent in self._ask_at:
            decisions.append(Ask(self._start, self._position))
        return decisions + self._decide()

    def answer(self, asked: Ask, probability: float) -> list[Decision]:
        """Take the model's answer; it counts only if nothing was said since it was asked."""
        if self._over or not self._paused or asked.position <= self._speech_end:
            return []
        self._probability = probability
        return self._decide()

    def _decide(self) -> list[Decision]:
        if self._run:  # a click or the next word: one chunk more will tell
            return []
        if self._silent_chunks >= self._longest:
            return [self._finish("silence")]
        sure = self._probability >= self._options.turn_threshold
        if self._paused and sure and self._silent_chunks >= self._pause:
            return [self._finish("complete")]
        return []

    def release(self) -> list[Decision]:
        """The button was let go: what was said so far is the utterance."""
        if self._over:
            return []
        if not self.speaking:
            self._over = True
            return [Nothing()]
        return [self._finish("released")]

    def _end(self) -> int:
        """Return the utterance's end: fixed once it paused, so that the transcript stays valid."""
        if self._paused:
            return self._paused_end
        return min(self._speech_end + END_MARGIN, self._position)

    def _finish(self, reason: str) -> Ended:
        self._over = True
        return Ended(
            self._start,
            self._end(),
            reason,
            self._probability,
            (self._position - self._speech_end) * 1000 / RATE,
        )
