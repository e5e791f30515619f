"""Make a voice's clauses join: no silence of its own around them, a measured pause after them.

Piper puts 30 to 60 ms of silence before a clause and 130 to 250 ms after it, whatever the
punctuation. Spoken one after the other such clauses limp. Here each is cut to its sound, gets
a short fade at both ends, so that no edge clicks, and the pause that its punctuation asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

COMMA_PAUSE_S = 0.1
SENTENCE_PAUSE_S = 0.25
NO_PAUSE_S = 0.03
"""After a text that ends without punctuation, as when a long clause was divided."""

_THRESHOLD = 0.005
"""Amplitude that counts as sound (full scale is 1); Piper's own silence is at 0.0002."""
_LEAD_S = 0.005
_TAIL_S = 0.03
"""Kept before the first and after the last sound: soft consonants begin and end below it."""
_FADE_S = 0.003

_CLOSING = " \"'\u201d\u2019»)]*_"
_FULL_STOPS = frozenset(".!?…")
_COMMAS = frozenset(",;:-\u2013\u2014")

Floats = npt.NDArray[np.float32]
Samples = npt.NDArray[np.int16]


def pause_after(text: str) -> float:
    """Return the seconds of silence that the end of *text* asks for."""
    end = text.rstrip(_CLOSING)[-1:]
    if end in _FULL_STOPS:
        return SENTENCE_PAUSE_S
    return COMMA_PAUSE_S if end in _COMMAS else NO_PAUSE_S


def joined(chunks: Iterable[Floats], rate: int, pause_s: float) -> Iterator[Samples]:
    """Yield *chunks* (amplitudes, full scale 1) as int16, trimmed, faded, with a pause after.

    Works on the stream: what may still turn out to be the silence at the end is held back
    until sound follows. Chunks without any sound yield nothing at all.
    """
    fade = np.linspace(0.0, 1.0, max(2, int(_FADE_S * rate)), dtype=np.float32)
    lead, tail = int(_LEAD_S * rate), int(_TAIL_S * rate)
    held: Floats = np.zeros(0, np.float32)
    begun = False
    for chunk in chunks:
        held = np.concatenate((held, chunk))
        loud = np.flatnonzero(np.abs(held) > _THRESHOLD)
        if not loud.size:
            if not begun:
                held = held[-lead:]
            continue
        if not begun:
            held = held[max(0, int(loud[0]) - lead) :]
            begun = True
            n = min(fade.size, held.size)
            held[:n] *= fade[:n]
        # The last sound and the tail after it wait for what follows, so that the end can fade.
        ready = max(0, int(np.flatnonzero(np.abs(held) > _THRESHOLD)[-1]) + 1 - fade.size)
        if ready:
            yield _int16(held[:ready])
            held = held[ready:]
    if begun:
        end = held[: fade.size + tail].copy()
        n = min(fade.size, end.size)
        end[-n:] *= fade[:n][::-1]
        yield _int16(np.concatenate((end, np.zeros(int(pause_s * rate), np.float32))))


def _int16(samples: Floats) -> Samples:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
