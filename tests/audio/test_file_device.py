"""Files as a sound card: every usual format is read, every useless one is refused in a sentence."""

from __future__ import annotations

import struct
import threading
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from appliance.audio.device import Format
from appliance.audio.file_device import OUTPUT_RATE, FileCard, check_sound_file, read_sound
from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE
from appliance.errors import AudioError

HERTZ = 440.0


def tone(rate: int, seconds: float, channels: int = 1) -> npt.NDArray[np.float64]:
    """Frames (n, channels) in [-1, 1]."""
    mono = 0.5 * np.sin(2 * np.pi * HERTZ * np.arange(int(rate * seconds)) / rate)
    return np.repeat(mono[:, np.newaxis], channels, axis=1)


def write(path: Path, rate: int, channels: int, width: int, data: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)


def write_float(path: Path, rate: int, samples: npt.NDArray[np.float64]) -> None:
    """The `wave` module knows no float: format tag 3."""
    data = samples.astype("<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, rate, rate * 4, 4, 32)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)


def read(path: Path) -> npt.NDArray[np.int16]:
    return np.concatenate(list(read_sound(path)))


def assert_tone(path: Path, seconds: float) -> None:
    assert check_sound_file(path) == pytest.approx(seconds, abs=0.05)
    got = read(path)
    assert got.dtype == np.int16
    assert len(got) == pytest.approx(seconds * CAPTURE_RATE, rel=0.02)
    spectrum = np.abs(np.fft.rfft(got * np.hanning(len(got))))
    assert np.argmax(spectrum) * CAPTURE_RATE / len(got) == pytest.approx(HERTZ, abs=3)
    assert np.abs(got).max() == pytest.approx(16_384, rel=0.06)


def test_16_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, 16_000, 1, 2, (tone(16_000, 1.0) * 32_767).astype("<i2").tobytes())
    assert_tone(path, 1.0)
    assert len(read(path)) == CAPTURE_RATE


def test_8_bit_stereo(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, 22_050, 2, 1, (tone(22_050, 1.0, 2) * 127 + 128).astype(np.uint8).tobytes())
    assert_tone(path, 1.0)


def test_96_khz(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, 96_000, 2, 2, (tone(96_000, 1.0, 2) * 32_767).astype("<i2").tobytes())
    assert_tone(path, 1.0)


def test_24_bit(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = (tone(48_000, 1.0) * (2**23 - 1)).astype("<i4")
    data = samples.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    write(path, 48_000, 1, 3, data)
    assert_tone(path, 1.0)


def test_float(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_float(path, 44_100, tone(44_100, 1.0)[:, 0])
    assert_tone(path, 1.0)


def test_four_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, 48_000, 4, 2, (tone(48_000, 0.5, 4) * 32_767).astype("<i2").tobytes())
    assert len(read(path)) == pytest.approx(CAPTURE_RATE / 2, rel=0.02)
    assert check_sound_file(path) == pytest.approx(0.5, abs=0.05)


def test_cut_off_in_the_middle_yields_what_there_is(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, 16_000, 1, 2, (tone(16_000, 2.0) * 32_767).astype("<i2").tobytes())
    path.write_bytes(path.read_bytes()[: 44 + 16_000 * 2 + 1])
    check_sound_file(path)
    assert len(read(path)) == pytest.approx(CAPTURE_RATE, abs=CAPTURE_BLOCK)


@pytest.mark.parametrize("length", [1, 3, 11, 20, 43, 44])
def test_cut_off_in_the_header_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.wav"
    write(path, 16_000, 1, 2, bytes(3_200))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(AudioError, match=r"a\.wav"):
        check_sound_file(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.wav", b""),
        ("text.wav", b"this is no sound at all\n" * 50),
        ("noise.wav", np.random.default_rng(0).bytes(50_000)),
        ("zeros.wav", bytes(10_000)),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(200)),
    ],
)
def test_not_sound(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError, match=name) as error:
        check_sound_file(path)
    assert "\n" not in str(error.value)


def test_a_file_without_one_sample(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    write(path, 16_000, 1, 2, b"")
    with pytest.raises(AudioError, match=r"none\.wav"):
        check_sound_file(path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="there is no file"):
        check_sound_file(tmp_path / "missing.wav")
    with pytest.raises(AudioError, match="is not a file"):
        check_sound_file(tmp_path)


def test_ten_minutes_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    minute = (tone(16_000, 60.0) * 32_767).astype("<i2").tobytes()
    write(path, 16_000, 1, 2, minute * 10)
    assert check_sound_file(path) == pytest.approx(600, abs=0.1)
    tracemalloc.start()
    try:
        total = sum(len(piece) for piece in read_sound(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 600 * CAPTURE_RATE
    assert peak < 2_000_000


# --- the card ---


class Room:
    """Collects what the card delivers and gives it what to play."""

    def __init__(self, wanted: int, reply: npt.NDArray[np.int16]) -> None:
        self.blocks: list[bytes] = []
        self.formats: list[Format] = []
        self.enough = threading.Event()
        self.said = threading.Event()
        self._wanted = wanted
        self._reply = reply

    def deliver(self, raw: bytes) -> None:
        self.blocks.append(raw)
        if len(self.blocks) >= self._wanted:
            self.enough.set()

    def render(self, frames: npt.NDArray[np.int16]) -> int:
        """The reply, at its place in silence that belongs to no reply."""
        count = min(len(frames), len(self._reply))
        frames[:] = 0
        frames[:count, 0] = self._reply[:count]
        self._reply = self._reply[count:]
        if not count:
            self.said.set()
        return count


def test_recording_in_and_reply_out(tmp_path: Path) -> None:
    source, target = tmp_path / "q.wav", tmp_path / "a.wav"
    question = np.arange(1, CAPTURE_BLOCK * 2 + 101, dtype=np.int16)
    write(source, CAPTURE_RATE, 1, 2, question.tobytes())
    reply = np.arange(1, 2_001, dtype=np.int16)
    room = Room(wanted=6, reply=reply)
    card = FileCard(source, target)
    opened = card.open_microphone(room.formats.append, room.deliver)
    assert room.formats == [opened]
    assert (opened.rate, opened.channels) == (CAPTURE_RATE, 1)
    assert room.enough.wait(10)
    card.open_speaker(room.formats.append, room.render)
    assert room.said.wait(10)
    card.close_microphone()
    card.close_speaker()
    assert {len(block) for block in room.blocks} == {CAPTURE_BLOCK * 2}
    got = np.frombuffer(b"".join(room.blocks), np.int16)
    assert np.array_equal(got[: len(question)], question)
    # After the recording there is a quiet room, not a dead microphone.
    after = got[CAPTURE_BLOCK * 3 :]
    assert after.any()
    assert np.abs(after).max() <= 1
    with wave.open(str(target)) as file:
        assert file.getframerate() == OUTPUT_RATE
        assert np.array_equal(np.frombuffer(file.readframes(10_000), np.int16), reply)


def test_digital_silence_in_a_recording_is_no_dead_microphone(tmp_path: Path) -> None:
    """It would be opened again, and the recording would begin anew."""
    source = tmp_path / "q.wav"
    write(source, CAPTURE_RATE, 1, 2, bytes(CAPTURE_BLOCK * 2 * 3))
    room = Room(wanted=3, reply=np.zeros(0, np.int16))
    card = FileCard(source, tmp_path / "a.wav")
    card.open_microphone(room.formats.append, room.deliver)
    assert room.enough.wait(10)
    card.close_microphone()
    for block in room.blocks:
        samples = np.frombuffer(block, np.int16)
        assert samples.any()
        assert np.abs(samples).max() <= 1


def test_closing_what_is_not_open() -> None:
    card = FileCard(Path("q.wav"), Path("a.wav"))
    card.close_microphone()
    card.close_speaker()
    card.look_again()
