"""Short signals: heard, failed, nothing more. Synthesised, so that there is no file to lose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_TONES: dict[str, tuple[tuple[float, float], ...]] = {
    # name: (frequency in Hz, seconds) of each tone; musical thirds and fourths sound friendly
    "wake": ((660.0, 0.06), (880.0, 0.08)),
    "error": ((440.0, 0.10), (330.0, 0.16)),
    "done": ((520.0, 0.09),),
    "reminder": ((784.0, 0.14), (988.0, 0.14), (1175.0, 0.3)),
}
_EDGE_S = 0.012
"""Each tone swells and fades for so long; a hard edge would click."""

NAMES = tuple(_TONES)


def synthesise(name: str, rate: int) -> npt.NDArray[np.float32]:
    """Return the signal *name* as float32 in [-1, 1] at *rate* samples per second.

    Raises:
        KeyError: there is no such signal.
    """
    return np.concatenate([_tone(hertz, seconds, rate) for hertz, seconds in _TONES[name]])


def _tone(hertz: float, seconds: float, rate: int) -> npt.NDArray[np.float32]:
    time = np.arange(int(seconds * rate)) / rate
    edge = np.clip(np.minimum(time, time[::-1]) / _EDGE_S, 0.0, 1.0)
    # A raised cosine has no corner where it begins and ends.
    envelope = 0.5 - 0.5 * np.cos(np.pi * edge)
    wave = np.sin(2 * np.pi * hertz * time) + 0.2 * np.sin(4 * np.pi * hertz * time)
    return (envelope * wave / 1.2).astype(np.float32)
