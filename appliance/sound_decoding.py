"""From the bytes of a sound file to samples.

The file may come from anywhere and its decoders are written in C, so they run in a process that
can harm nothing (see :mod:`appliance.sandbox`). The format is told by the content and forced: a
playlist that names other files or addresses is never taken for sound.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from appliance import sandbox
from appliance.errors import UsageError

Samples = npt.NDArray[np.int16]

RATE = 16_000
MAX_SECONDS = 30 * 60
MAX_CHANNELS = 8
NAMES = "WAV, MP3, OGG, FLAC, WebM or M4A"
LIMITS = sandbox.Limits(
    memory_bytes=640 * sandbox.MEGABYTE, cpu_s=60, wall_s=120.0, output_bytes=60_000_000
)
"""Half an hour of MP3 takes 4 s of one x86 core, and 58 MB of samples."""

_TOO_LONG = f"is longer than {MAX_SECONDS // 60} minutes; split it"


def decode(data: bytes, limits: sandbox.Limits = LIMITS) -> Samples:
    """Return the sound in a file: mono at 16 kHz. Waits; belongs on a thread.

    Raises:
        UsageError: it is none of the formats, damaged, too long, or has no sound in it.
        StorageError: no process could be started.
    """
    if not demuxer(data):
        raise UsageError(f"the file is no sound that can be read: use {NAMES}")
    try:
        pcm = sandbox.run(f"{__name__}:pcm", data, limits=limits)
    except UsageError as error:
        raise UsageError(f"the file {error}") from error
    return np.frombuffer(pcm, np.int16)


def demuxer(data: bytes) -> str:
    """Return FFmpeg's name of the format that *data* begins like; empty for any other."""
    head = data[:12]
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        return "mp4"
    for begins, name in (
        (b"OggS", "ogg"),
        (b"fLaC", "flac"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"ID3", "mp3"),
    ):
        if head.startswith(begins):
            return name
    # MPEG audio without a tag: eleven bits set, version and layer not reserved.
    sync = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0  # noqa: PLR2004
    return "mp3" if sync and head[1] & 0x18 != 0x08 and head[1] & 0x06 else ""  # noqa: PLR2004


# --- in the process ----------------------------------------------------------------------------


def pcm(data: bytes) -> bytes:
    """Return mono int16 samples at 16 kHz; damaged packets are left out.

    Raises:
        UsageError: there is no sound in it, or too much. It has no subject.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(io.BytesIO(data), format=demuxer(data), metadata_errors="replace") as file:
            if not file.streams.audio:
                raise UsageError("has no sound in it")
            stream = file.streams.audio[0]
            if stream.channels > MAX_CHANNELS:
                raise UsageError(f"has {stream.channels} channels; at most {MAX_CHANNELS} are read")
            return _samples(file, stream)
    except FFmpegError as error:
        raise UsageError("is damaged; try another copy of it") from error


def _samples(file: Any, stream: Any) -> bytes:
    from av.audio.resampler import AudioResampler
    from av.error import FFmpegError

    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    made = bytearray()

    def take(frame: Any) -> None:
        for done in resampler.resample(frame):
            made.extend(memoryview(done.planes[0])[: done.samples * 2])
            if len(made) > MAX_SECONDS * RATE * 2:
                raise UsageError(_TOO_LONG)

    packets = file.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = stream.decode(packet) if packet is not None else ()
        except FFmpegError:
            if packet is None:
                break  # the file ends in the middle
            continue
        if packet is None:
            break
        for frame in frames:
            take(frame)
    if made:
        take(None)
    if not made:
        raise UsageError("has no sound in it")
    return bytes(made)
