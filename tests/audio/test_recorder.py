"""What a microphone delivers becomes 20 ms blocks of 16 kHz mono, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from appliance.audio.device import Format
from appliance.audio.recorder import Recorder
from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE, CaptureRing


@pytest.fixture
def ring() -> Iterator[CaptureRing]:
    made = CaptureRing(10.0)
    yield made
    made.close()


def tone(rate: int, seconds: float, hertz: float = 440.0) -> npt.NDArray[np.float64]:
    return 8_000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def captured(ring: CaptureRing) -> npt.NDArray[np.int16]:
    return ring.read_range(0, ring.position)


def strongest(samples: npt.NDArray[np.int16]) -> float:
    """The frequency in Hz that carries most energy."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * CAPTURE_RATE / len(samples))


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_any_rate_and_channel_count(ring: CaptureRing, rate: int, channels: int) -> None:
    recorder = Recorder(ring)
    recorder.configure(Format("microphone", rate, channels))
    mono = tone(rate, 2.0).astype(np.int16)
    frames = np.repeat(mono[:, np.newaxis], channels, axis=1)
    step = rate // 50
    for at in range(0, len(frames), step):
        recorder.feed(frames[at : at + step].tobytes())
    got = captured(ring)
    # The resampler keeps a few milliseconds back.
    assert 1.9 * CAPTURE_RATE <= len(got) <= 2.0 * CAPTURE_RATE
    assert recorder.blocks == ring.blocks_written == len(got) // CAPTURE_BLOCK
    middle = got[CAPTURE_RATE // 2 : CAPTURE_RATE // 2 + CAPTURE_RATE]
    assert strongest(middle) == pytest.approx(440, abs=2)
    assert np.abs(middle).max() == pytest.approx(8_000, rel=0.03)


def test_what_16_khz_cannot_hold_does_not_fold_back(ring: CaptureRing) -> None:
    recorder = Recorder(ring)
    recorder.configure(Format("microphone", 48_000, 1))
    recorder.feed(tone(48_000, 1.0, hertz=12_000).astype(np.int16).tobytes())
    assert np.abs(captured(ring)[CAPTURE_RATE // 4 : -CAPTURE_RATE // 4]).max() < 80


def test_channels_are_averaged_without_overflow(ring: CaptureRing) -> None:
    recorder = Recorder(ring)
    recorder.configure(Format("microphone", CAPTURE_RATE, 4))
    frames = np.tile(np.array([32_767, 32_767, 32_767, -1], np.int16), (CAPTURE_BLOCK, 1))
    recorder.feed(frames.tobytes())
    assert np.all(captured(ring) == 24_575)


def test_odd_pieces_lose_no_sample(ring: CaptureRing) -> None:
    recorder = Recorder(ring)
    recorder.configure(Format("microphone", CAPTURE_RATE, 1))
    stream = np.arange(5_000, dtype=np.int16)
    at = 0
    for length in [1, 319, 320, 321, 7, 1_000, 0, 2_000, 1_032]:
        recorder.feed(stream[at : at + length].tobytes())
        at += length
    whole = 5_000 // CAPTURE_BLOCK * CAPTURE_BLOCK
    assert np.array_equal(captured(ring), stream[:whole])


def test_a_new_microphone_begins_a_new_block(ring: CaptureRing) -> None:
    recorder = Recorder(ring)
    recorder.configure(Format("one", CAPTURE_RATE, 1))
    recorder.feed(np.full(100, 7, np.int16).tobytes())
    recorder.configure(Format("two", CAPTURE_RATE, 2))
    recorder.feed(np.full((CAPTURE_BLOCK, 2), 9, np.int16).tobytes())
    assert np.all(captured(ring) == 9)


def test_blocks_are_heartbeats_and_zeros_are_no_signal(
    ring: CaptureRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("appliance.audio.recorder.monotonic", lambda: now)
    recorder = Recorder(ring)
    recorder.configure(Format("microphone", CAPTURE_RATE, 2))
    assert (recorder.last_block, recorder.last_signal) == (100.0, 100.0)
    now = 101.0
    recorder.feed(bytes(CAPTURE_BLOCK * 4))
    assert (recorder.last_block, recorder.last_signal) == (101.0, 100.0)
    now = 102.0
    recorder.feed(np.full((CAPTURE_BLOCK, 2), 1, np.int16).tobytes())
    assert (recorder.last_block, recorder.last_signal) == (102.0, 102.0)


def test_faint_noise_on_one_of_many_channels_is_a_signal(ring: CaptureRing) -> None:
    recorder = Recorder(ring)
    recorder.configure(Format("microphone", CAPTURE_RATE, 4))
    recorder.last_signal = 0.0
    frames = np.zeros((CAPTURE_BLOCK, 4), np.int16)
    frames[::3, 2] = 1
    recorder.feed(frames.tobytes())
    assert recorder.last_signal > 0.0
