"""Turns what the microphone delivers into the capture ring's blocks: 16 kHz, mono, 20 ms.

Runs in a thread of its own, so that the device's callback only has to copy. Every block that
arrives is a heartbeat of the microphone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from appliance.audio.device import Format
from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE, CaptureRing
from appliance.clock import monotonic


class Recorder:
    """Downmixes, resamples and writes; one thread only."""

    def __init__(self, ring: CaptureRing) -> None:
        self._ring = ring
        self._rest = np.empty(0, np.int16)
        self._channels = 1
        self._resampler: object | None = None
        self.last_block = 0.0
        """When sound last came in."""
        self.last_signal = 0.0
        """When it last was anything but digital zeros."""
        self.blocks = 0

    def configure(self, device: Format) -> None:
        """Get ready for a microphone of this format."""
        self._channels = device.channels
        self._rest = self._rest[:0]
        self._resampler = None
        if device.rate != CAPTURE_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(device.rate, CAPTURE_RATE, 1, dtype="int16")
        self.last_block = self.last_signal = monotonic()

    def feed(self, raw: bytes) -> None:
        """Take interleaved int16 frames and write the blocks that become whole."""
        now = self.last_block = monotonic()
        samples = np.frombuffer(raw, np.int16)
        if samples.any():
            # Asked before the mean is taken, which rounds faint noise on one channel to zero.
            self.last_signal = now
        if self._channels > 1:
            # The mean of all channels: with a microphone on one of them it is only quieter.
            frames = samples.reshape(-1, self._channels)
            samples = frames.mean(axis=1, dtype=np.float32).astype(np.int16)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)  # type: ignore[attr-defined]
        self._write(samples)

    def _write(self, samples: npt.NDArray[np.int16]) -> None:
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        whole = len(samples) // CAPTURE_BLOCK * CAPTURE_BLOCK
        for start in range(0, whole, CAPTURE_BLOCK):
            self._ring.write(samples[start : start + CAPTURE_BLOCK].tobytes())
            self.blocks += 1
        self._rest = samples[whole:]
