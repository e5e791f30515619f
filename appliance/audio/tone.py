"""The tone of `luna speaker test`: synthesised, on one side or on both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HERTZ = 440.0
SECONDS = 1.0
LEVEL_DB = -12.0
"""Peak of the tone at full volume; 0 is full scale."""
SIDES = {"both": slice(None), "left": slice(0, 1), "right": slice(1, 2)}
"""The channels of each side, of two or more."""
_EDGE_S = 0.02
"""It swells and fades for so long; a hard edge would click."""


def synthesise(rate: int) -> npt.NDArray[np.float32]:
    """Return the tone as float32 in [-1, 1] at *rate* samples per second."""
    time = np.arange(int(SECONDS * rate)) / rate
    edge = np.clip(np.minimum(time, time[::-1]) / _EDGE_S, 0.0, 1.0)
    tone = 10 ** (LEVEL_DB / 20) * np.sin(2 * np.pi * HERTZ * time) * edge
    return tone.astype(np.float32)
