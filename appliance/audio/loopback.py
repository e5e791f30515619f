"""A chirp through speaker and microphone: what it is, and what is to be made of what comes back.

Level, delay and reflections are read from the impulse response of the way between them, which is
what was heard divided by what was played (in the frequency domain: S. Müller and P. Massarani,
"Transfer-Function Measurement with Sweeps", 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from appliance.audio.ring_buffer import CAPTURE_RATE

CHIRP = "chirp"
"""Its name among the signals that the player knows."""
CHIRP_S = 0.4
AMPLITUDE = 0.25
"""Of full scale (-12 dB), whatever the volume is set to: well heard, and no fright."""
_FROM_HZ, _TO_HZ = 300.0, 6000.0
"""What a small speaker plays and a microphone at 16 kHz hears."""
_EDGE_S = 0.01
BEFORE_S = 0.5
"""What is heard before the chirp tells how noisy the room is."""
LONGEST_DELAY_S = 1.2
"""The chirp comes back within less, or not at all."""
FOUND = 0.2
"""Correlation of what was heard with the chirp, from 0 to 1, that is no chance: noise alone
reaches sqrt(2 ln N / (bandwidth x duration)), about 0.1, over the N places looked at."""
_DIRECT_S = 0.02
"""Reflections count from so long after the direct sound on (7 m of way)."""
_REFLECTIONS_S = 0.4
_OVER_NOISE = 6.0
"""A reflection stands so many times above the typical value of the response, or it is none."""
SILENCE_DB = -120.0
"""Stands for digital silence; one step of 16 bits is -90 dB."""
_FULL = 32768.0
_CLIPPED = 32700

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Loopback:
    """What was measured. Levels are in dB of full scale (a square wave at the limit is 0)."""

    found: bool
    """The chirp came back."""
    noise_db: float
    """What the microphone heard before it."""
    level_db: float = SILENCE_DB
    """The chirp as it was heard, mean (RMS)."""
    gain_db: float = 0.0
    """The same, compared with what was played."""
    delay_ms: float = 0.0
    """From handing it to the sound card to hearing it."""
    echo_db: float | None = None
    """The strongest reflection, compared with the direct sound; None: none stands out."""
    echo_ms: float = 0.0
    """How long after the direct sound it came."""
    clipped: float = 0.0
    """Share of the samples at the limit while the chirp was heard."""


def chirp(rate: int) -> npt.NDArray[np.float32]:
    """Return the chirp as float32 in [-1, 1]: a sweep that rises evenly, with soft edges."""
    time = np.arange(int(CHIRP_S * rate)) / rate
    phase = 2 * np.pi * (_FROM_HZ * time + (_TO_HZ - _FROM_HZ) * time**2 / (2 * CHIRP_S))
    edge = np.clip(np.minimum(time, time[::-1]) / _EDGE_S, 0.0, 1.0)
    return (np.sin(phase) * (0.5 - 0.5 * np.cos(np.pi * edge))).astype(np.float32)


def measure(heard: Samples, played_at: int) -> Loopback:
    """Return what is to be made of what was *heard* (16 kHz).

    Args:
        heard: from about :data:`BEFORE_S` before the chirp was played, to as long after it as
            :data:`LONGEST_DELAY_S` and the chirp itself take.
        played_at: at which sample of it the sound card was given the chirp's first one.
    """
    sound = heard.astype(np.float64) / _FULL
    before, after = sound[:played_at], sound[played_at:]
    noise_db = _level(before)
    sent = AMPLITUDE * chirp(CAPTURE_RATE).astype(np.float64)
    if len(after) <= len(sent) or not after.any():
        return Loopback(False, noise_db)
    size = 1 << (len(after) + len(sent)).bit_length()
    sent_spectrum, heard_spectrum = np.fft.rfft(sent, size), np.fft.rfft(after, size)
    places = len(after) - len(sent) + 1

    matched = np.abs(_analytic(heard_spectrum * sent_spectrum.conj(), size)[:places])
    energy = np.concatenate(([0.0], np.cumsum(after**2)))
    alike = energy[len(sent) :] - energy[: -len(sent)]
    scores = matched / np.sqrt(np.maximum(alike, 1e-12) * np.sum(sent**2))
    # Where there is next to nothing, everything is alike: the place itself is the loudest one.
    delay = int(np.argmax(matched))
    if scores[delay] < FOUND:
        return Loopback(False, noise_db, _level(after))

    part = after[delay : delay + len(sent)]
    power = max(float(np.mean(part**2)) - float(np.mean(before**2)) if len(before) else 0.0, 1e-12)
    echo = _echo(_response(heard_spectrum, sent_spectrum, size), delay)
    return Loopback(
        True,
        noise_db,
        level_db=round(10 * float(np.log10(power)), 1),
        gain_db=round(10 * float(np.log10(power / np.mean(sent**2))), 1),
        delay_ms=round(1000 * delay / CAPTURE_RATE, 1),
        echo_db=echo[0],
        echo_ms=echo[1],
        clipped=round(
            float(np.mean(np.abs(heard[played_at + delay :][: len(sent)]) >= _CLIPPED)), 4
        ),
    )


def _level(sound: npt.NDArray[np.float64]) -> float:
    power = float(np.mean(sound**2)) if len(sound) else 0.0
    return round(10 * float(np.log10(power)), 1) if power > 0 else SILENCE_DB


def _analytic(spectrum: npt.NDArray[np.complex128], size: int) -> npt.NDArray[np.complex128]:
    """Return the signal of a half spectrum, whose magnitude is the envelope."""
    whole = np.zeros(size, np.complex128)
    whole[: len(spectrum)] = 2 * spectrum
    return np.fft.ifft(whole)


def _response(
    heard: npt.NDArray[np.complex128], sent: npt.NDArray[np.complex128], size: int
) -> npt.NDArray[np.float64]:
    """Return the envelope of the impulse response, within the band of the chirp."""
    hertz = np.fft.rfftfreq(size, 1 / CAPTURE_RATE)
    inside = (hertz > _FROM_HZ) & (hertz < _TO_HZ)
    # A soft window over the band: hard edges would ring, which looks like reflections.
    window = np.where(
        inside, 0.5 - 0.5 * np.cos(2 * np.pi * (hertz - _FROM_HZ) / (_TO_HZ - _FROM_HZ)), 0.0
    )
    least = 1e-3 * float(np.max(np.abs(sent) ** 2))
    return np.abs(_analytic(window * heard * sent.conj() / (np.abs(sent) ** 2 + least), size))


def _echo(response: npt.NDArray[np.float64], delay: int) -> tuple[float | None, float]:
    """Return level (compared with the direct sound) and lateness (ms) of the reflection."""
    begin = delay + int(_DIRECT_S * CAPTURE_RATE)
    later = response[begin : begin + int(_REFLECTIONS_S * CAPTURE_RATE)]
    if not len(later):
        return None, 0.0
    around = int(0.002 * CAPTURE_RATE)
    direct = float(np.max(response[max(0, delay - around) : delay + around + 1]))
    at = int(np.argmax(later))
    if later[at] < _OVER_NOISE * float(np.median(later)) or later[at] < direct / 1000:
        return None, 0.0
    decibels = round(20 * float(np.log10(later[at] / direct)), 1)
    return decibels, round(1000 * (begin + at - delay) / CAPTURE_RATE, 1)
