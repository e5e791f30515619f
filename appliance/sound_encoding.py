"""From samples to the bytes of a sound file, piece by piece, while the sound is still made."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, Protocol, cast

import numpy as np

from appliance.errors import UsageError

PCM_RATE = 24_000
"""Of raw samples, which cannot tell it themselves: what OpenAI's ``pcm`` has."""
_ENDLESS = 0xFFFFFFFF
"""The length in the header of a WAV whose end is not known yet."""
_FORMATS: dict[str, tuple[str, str, int, str, int, dict[str, str]]] = {
    "mp3": ("mp3", "libmp3lame", 24_000, "s16p", 64_000, {"write_xing": "0"}),
    "opus": ("ogg", "libopus", 48_000, "s16", 32_000, {"page_duration": "100000"}),
    "aac": ("adts", "aac", 24_000, "fltp", 64_000, {}),
    "flac": ("flac", "flac", 0, "s16", 0, {}),
}
"""Muxer, codec, samples per second (0: as they come), their form, bits per second, options."""
FORMATS = (*_FORMATS, "wav", "pcm")


class Encoder(Protocol):
    """Encodes mono int16 samples. It computes: call it on a thread."""

    def feed(self, samples: bytes) -> bytes:
        """Return what can be sent by now."""

    def close(self) -> bytes:
        """Return the rest."""


def encoder(form: str, rate: int) -> Encoder:
    """Return an encoder for one file.

    Args:
        form: one of ``FORMATS``.
        rate: samples per second of what will be fed.

    Raises:
        UsageError: there is no such format.
    """
    if form not in FORMATS:
        raise UsageError(f"the format {form[:20]!r} is not known: use {', '.join(FORMATS)}")
    if form == "wav":
        return _Wav(rate)
    return _Pcm(rate) if form == "pcm" else _File(form, rate)


class _Wav:
    """The samples behind a header."""

    def __init__(self, rate: int) -> None:
        # http://soundfile.sapp.org/doc/WaveFormat: PCM, mono, 16 bits.
        layout = struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
        data = b"data" + struct.pack("<I", _ENDLESS)
        self._header = b"RIFF" + struct.pack("<I", _ENDLESS) + b"WAVEfmt " + layout + data

    def feed(self, samples: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + samples

    def close(self) -> bytes:
        return self._header


class _Pcm:
    """The samples alone."""

    def __init__(self, rate: int) -> None:
        import soxr

        self._resampler = soxr.ResampleStream(rate, PCM_RATE, 1, dtype="int16")

    def feed(self, samples: bytes) -> bytes:
        return self._made(np.frombuffer(samples, np.int16), last=False)

    def close(self) -> bytes:
        return self._made(np.empty(0, np.int16), last=True)

    def _made(self, samples: np.ndarray[Any, Any], *, last: bool) -> bytes:
        return bytes(self._resampler.resample_chunk(samples, last=last).tobytes())


class _File:
    """A compressed file, made by FFmpeg."""

    def __init__(self, form: str, rate: int) -> None:
        import av
        from av.audio.resampler import AudioResampler

        muxer, codec, own_rate, samples, bits, options = _FORMATS[form]
        self._rate = rate
        self._sink = _Sink()
        self._file = av.open(
            self._sink, "w", format=muxer, options={"flush_packets": "1", **options}
        )
        self._stream = cast(Any, self._file.add_stream(codec, rate=own_rate or rate))
        self._stream.layout = "mono"
        self._stream.format = samples
        if bits:
            self._stream.bit_rate = bits
        self._stream.open()
        self._resampler = AudioResampler(
            samples, "mono", own_rate or rate, frame_size=self._stream.frame_size or None
        )
        self._position = 0

    def feed(self, samples: bytes) -> bytes:
        from av.audio.frame import AudioFrame

        values = np.frombuffer(samples, np.int16).reshape(1, -1)
        if values.size:
            frame = AudioFrame.from_ndarray(values, format="s16", layout="mono")
            frame.sample_rate = self._rate
            frame.time_base = Fraction(1, self._rate)
            frame.pts = self._position
            self._position += values.size
            self._encode(frame)
        return self._sink.take()

    def close(self) -> bytes:
        if self._position:
            self._encode(None)
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._sink.take()

    def _encode(self, frame: Any) -> None:
        for piece in self._resampler.resample(frame):
            self._file.mux(self._stream.encode(piece))


class _Sink:
    """A file that can only be written on, and is emptied as it fills."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken
