"""When the steps of a turn happened, and the figures that come of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.clock import monotonic


@dataclass
class TurnTimes:
    """Moments of one turn in seconds of ``CLOCK_MONOTONIC``; 0 means it has not happened."""

    opened: float = field(default_factory=monotonic)
    speech_started: float = 0.0
    speech_ended: float = 0.0
    endpoint: float = 0.0
    generation_began: float = 0.0
    first_token: float = 0.0
    speech_ordered: float = 0.0
    first_audio: float = 0.0
    playback_started: float = 0.0
    stt_ms: float = 0.0
    tokens_per_second: float = 0.0
    ring_overruns: float = 0.0

    def figures(self) -> dict[str, float]:
        """Return the figures of the turn in milliseconds (see ``docs/events.md``)."""
        # For a question in writing the clock starts when it arrived.
        base = self.speech_ended or self.opened
        figures = {
            "wake_ms": _span(self.opened, self.speech_started),
            "listen_ms": _span(self.speech_started, self.speech_ended),
            "endpoint_ms": _span(self.speech_ended, self.endpoint),
            "stt_ms": self.stt_ms,
            "first_token_ms": _span(base, self.first_token),
            "synthesis_ms": _span(self.speech_ordered, self.first_audio),
            "first_audio_ms": _span(base, self.first_audio),
            "playback_ms": _span(base, self.playback_started),
            "total_ms": (monotonic() - base) * 1000,
            "tokens_per_second": self.tokens_per_second,
            "ring_overruns": self.ring_overruns,
        }
        return {name: round(value, 1) for name, value in figures.items()}


def _span(start: float, end: float) -> float:
    return max(0.0, (end - start) * 1000) if start and end else 0.0
