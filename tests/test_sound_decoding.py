"""Files that sound, files that only pretend to, and files that want too much."""

from __future__ import annotations

import io
import random
import socket
import struct
import threading
from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from appliance import sandbox
from appliance.errors import UsageError
from appliance.sound_decoding import LIMITS, MAX_SECONDS, RATE, decode, demuxer
from appliance.sound_encoding import encoder

SECONDS = 2


def tone(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def file_of(form: str, samples: np.ndarray, rate: int = RATE) -> bytes:
    made = encoder(form, rate)
    return made.feed(samples.tobytes()) + made.close()


def container(form: str, codec: str, samples: np.ndarray) -> bytes:
    """Return a file as a browser's recorder or a phone makes it."""
    data = io.BytesIO()
    with av.open(data, "w", format=form) as file:
        stream = file.add_stream(codec, rate=48_000)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return data.getvalue()


def sentence_of(data: bytes) -> str:
    """Return what is said about *data*: the refusal, or that it can be heard."""
    try:
        decode(data)
    except UsageError as error:
        return str(error)
    return "the file can be heard"


FILES = {
    **{form: file_of(form, tone()) for form in ("wav", "mp3", "opus", "flac")},
    "webm": container("webm", "libopus", tone(rate=48_000)),
    "m4a": container("ipod", "aac", tone(rate=48_000)),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_in_a_file(name: str) -> None:
    samples = decode(FILES[name])
    assert samples.dtype == np.int16
    assert len(samples) / RATE == pytest.approx(SECONDS, abs=0.15)
    power = np.abs(np.fft.rfft(samples[: SECONDS * RATE - RATE // 2]))
    assert np.argmax(power) * RATE / (SECONDS * RATE - RATE // 2) == pytest.approx(440, abs=2)
    assert 5000 < np.abs(samples.astype(np.int32)).max() < 12000


def test_stereo_of_another_rate_becomes_one_channel() -> None:
    samples = tone(rate=44_100)
    data = io.BytesIO()
    with av.open(data, "w", format="wav") as file:
        stream = file.add_stream("pcm_s16le", rate=44_100, layout="stereo")
        both = np.repeat(samples, 2).reshape(1, -1)
        frame = AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate = 44_100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert len(decode(data.getvalue())) / RATE == pytest.approx(SECONDS, abs=0.01)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_breaks_off_is_heard_as_far_as_it_goes(name: str) -> None:
    try:
        samples = decode(FILES[name][: len(FILES[name]) // 2])
    except UsageError:
        assert name == "m4a"  # what is where in it stands at its end
    else:
        assert 0.3 < len(samples) / RATE < SECONDS


def test_damage_never_does_more_than_fail() -> None:
    generator = random.Random(1)
    for _ in range(5):
        for data in FILES.values():
            damaged = bytearray(data)
            for _ in range(generator.choice((1, 20, 400))):
                damaged[generator.randrange(len(damaged))] = generator.randrange(256)
            assert sentence_of(bytes(damaged)).startswith("the file ")


def test_only_sound_is_read() -> None:
    for data in (b"", b"x", b"\xff\xd8\xff\xe0" + b"\0" * 99, b"%PDF-1.7", b"<svg/>", b"\x89PNG"):
        assert demuxer(data) == ""
        with pytest.raises(UsageError, match="no sound that can be read"):
            decode(data)


def test_a_film_without_sound_has_none() -> None:
    data = io.BytesIO()
    with av.open(data, "w", format="matroska") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        file.mux(stream.encode(None))
    with pytest.raises(UsageError, match="has no sound in it"):
        decode(data.getvalue())


def test_nothing_is_fetched() -> None:
    """Lists that name an address are no sound, whatever they begin like; and nobody connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
        concat = f"ffconcat version 1.0\nfile {url}\n"
        page = f'<?xml version="1.0"?><MPD><BaseURL>{url}</BaseURL></MPD>'
        for text in (playlist, concat, page):
            for begin in (
                b"",
                b"ID3",
                b"OggS",
                b"\xff\xfb",
                b"RIFF\0\0\0\0WAVE",
                b"\0\0\0\x18ftyp",
            ):
                with pytest.raises(UsageError):
                    decode(begin + text.encode())
        with pytest.raises(TimeoutError):
            listener.accept()


FETCH = """
import av
try:
    av.open({address!r}, timeout=2.0)
except av.error.FFmpegError as error:
    said = type(error).__name__
"""


def test_the_decoder_can_open_no_socket() -> None:
    """FFmpeg's own network code, with the same limits: it cannot; without them, it can."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        code = FETCH.format(address=f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        expression = f"(lambda d: (exec({code!r}, d), d['said'].encode())[1])({{}})"
        assert sandbox.run("builtins:eval", expression.encode(), (), LIMITS) == b"PermissionError"
        with pytest.raises(TimeoutError):
            listener.accept()
        free = threading.Thread(target=exec, args=(code, {}))
        free.start()
        listener.accept()[0].close()
        free.join()


def test_too_long_is_said() -> None:
    piece = file_of("mp3", np.zeros(10 * RATE, np.int16))
    with pytest.raises(UsageError, match="is longer than 30 minutes; split it"):
        decode(piece * (MAX_SECONDS // 10 + 10))


def header(rate: int, channels: int = 1, size: int = 20_000_000) -> bytes:
    bytes_per_second = min(2 * rate * channels, 2**32 - 1)
    layout = struct.pack(
        "<IHHIIHH", 16, 1, channels, rate, bytes_per_second, min(2 * channels, 65_535), 16
    )
    sizes = struct.pack("<I", size + 36), struct.pack("<I", size)
    return b"RIFF" + sizes[0] + b"WAVEfmt " + layout + b"data" + sizes[1]


@pytest.mark.parametrize("rate", [1, 7])
def test_a_bomb_ends_with_one_sentence(rate: int) -> None:
    """Each sample of the file would become thousands."""
    with pytest.raises(UsageError, match=r"is longer than|has too much in it|is damaged"):
        decode(header(rate) + b"\x01\x02" * 10_000_000)


def test_many_channels_and_strange_rates() -> None:
    for data in (header(48_000, 60_000), header(0), header(2**31 - 1), header(16_000, 0)):
        assert sentence_of(data + b"\x01\x02" * 100_000).startswith("the file ")


def test_memory_and_time_are_limited() -> None:
    piece = file_of("mp3", tone(10)) * 170
    little = sandbox.Limits(memory_bytes=300 * sandbox.MEGABYTE, output_bytes=60_000_000)
    for limits, sentence in (
        (sandbox.Limits(cpu_s=1, output_bytes=60_000_000), "has too much in it"),
        (sandbox.Limits(wall_s=0.3, output_bytes=60_000_000), "could not be read within"),
        (sandbox.Limits(output_bytes=1_000_000), "has too much|is damaged"),
    ):
        with pytest.raises(UsageError, match=sentence):
            decode(piece, limits)
    with pytest.raises(UsageError):
        decode(header(1) + b"\x01\x02" * 10_000_000, little)
