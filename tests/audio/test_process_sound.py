"""The real audio worker in a process of its own, on a real sound server without hardware."""

from __future__ import annotations

import functools
import multiprocessing
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from appliance.audio.device import PortAudioCard
from appliance.audio.process import main
from appliance.audio.ring_buffer import CAPTURE_RATE, CaptureRing, PlaybackRing
from appliance.commands import (
    Cancel,
    Command,
    PausePlayback,
    Ping,
    PreparePlayback,
    ResumePlayback,
    SetMuted,
    Shutdown,
)
from appliance.events import (
    MicrophoneChanged,
    PlaybackFinished,
    PlaybackStarted,
    Pong,
    Ready,
    SpeakerChanged,
)
from appliance.ipc import WorkerChannel, channel_pair
from appliance.settings import AudioSettings
from appliance.worker import WorkerContext
from tests.sound_card import VirtualSoundCard, read_wav, write_wav

pytestmark = pytest.mark.sound

Samples = npt.NDArray[np.int16]
LIMIT_S = 30.0
LOUD = 1_000

T = TypeVar("T")


class AudioProcess:
    """The worker, its rings, and the main process's end of its channel."""

    def __init__(self, settings: AudioSettings) -> None:
        self.capture = CaptureRing(60.0)
        self.playback = PlaybackRing(30.0)
        ours, theirs = channel_pair()
        self._channel = WorkerChannel(ours)
        self.seen: list[object] = []
        context = WorkerContext("audio", theirs)
        self.process = multiprocessing.get_context("spawn").Process(
            target=main,
            args=(context, self.capture, self.playback, settings, functools.partial(PortAudioCard)),
        )
        self.process.start()
        theirs.close()

    def send(self, command: Command) -> None:
        self._channel.send(command)

    def until(self, kind: type[T], where: Callable[[T], bool] = lambda _: True) -> T:
        """The next event of this kind for which *where* holds."""
        deadline = time.monotonic() + LIMIT_S
        while (left := deadline - time.monotonic()) > 0:
            event = self._channel.receive(left)
            if event is not None:
                self.seen.append(event)
            if isinstance(event, kind) and where(event):
                return event
        raise AssertionError(f"no such {kind.__name__}; there were {self.seen}")

    def microphone(self, status: str) -> MicrophoneChanged:
        return self.until(MicrophoneChanged, lambda event: event.status == status)

    def speaker(self, status: str) -> SpeakerChanged:
        return self.until(SpeakerChanged, lambda event: event.status == status)

    def wait_for_blocks(self, count: int) -> None:
        """Wait until the ring has so many blocks more."""
        wanted = self.capture.blocks_written + count
        deadline = time.monotonic() + LIMIT_S
        while self.capture.blocks_written < wanted:
            assert time.monotonic() < deadline, "nothing is captured"
            time.sleep(0.02)

    def open_speaker(self) -> int:
        """Have the speaker opened; returns its rate."""
        self.send(PreparePlayback())
        return self.speaker("open").rate

    def reply(self, turn: int, seconds: float, hertz: float = 880.0) -> None:
        """Put a tone into the playback ring."""
        rate = self.playback.rate
        tone = sine(rate, seconds, hertz)
        for at in range(0, len(tone), rate // 50):
            payload = tone[at : at + rate // 50].tobytes()
            assert self.playback.write(payload, turn_id=turn, clause=1)
        assert self.playback.write(b"", turn_id=turn, clause=1, end=True)

    def close(self) -> None:
        try:
            if self.process.is_alive():
                self.send(Shutdown())
            self.process.join(10)
            assert self.process.exitcode == 0
        finally:
            self.process.kill()
            self.process.join()
            self._channel.close()
            self.capture.close()
            self.playback.close()


Start = Callable[..., AudioProcess]


@pytest.fixture
def start(sound_card: VirtualSoundCard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start the worker on the virtual sound card."""
    for name, value in sound_card.env.items():
        monkeypatch.setenv(name, value)
    made: list[AudioProcess] = []

    def build(**settings: float) -> AudioProcess:
        made.append(AudioProcess(AudioSettings(**settings)))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for audio in made:
        audio.close()


def sine(rate: int, seconds: float, hertz: float) -> Samples:
    wave = 12_000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    return wave.astype(np.int16)


def strongest(samples: Samples, rate: int = CAPTURE_RATE) -> float:
    """The frequency in Hz that carries most energy."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def loud_part(samples: Samples) -> Samples:
    """From the first loud sample to the last."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > LOUD)
    assert len(loud), "nothing but silence"
    return samples[loud[0] : loud[-1] + 1]


def test_what_is_played_to_the_microphone_is_captured(
    start: Start, sound_card: VirtualSoundCard, tmp_path: Path
) -> None:
    sound_card.noise()
    audio = start()
    opened = audio.microphone("open")
    assert opened.rate > 0
    assert audio.until(Ready).detail == opened.device
    write_wav(tmp_path / "tone.wav", sine(44_100, 1.0, 440.0), 44_100)
    audio.wait_for_blocks(5)
    before = audio.capture.position
    sound_card.play(tmp_path / "tone.wav")
    audio.wait_for_blocks(25)
    heard = loud_part(audio.capture.read_range(before, audio.capture.position))
    assert len(heard) == pytest.approx(CAPTURE_RATE, rel=0.05)
    assert strongest(heard) == pytest.approx(440, abs=3)
    audio.send(Ping(n=1))
    stats = audio.until(Pong).stats
    assert stats["device_overflows"] == 0
    assert stats["blocks_captured"] == pytest.approx(audio.capture.blocks_written, abs=10)


def test_a_reply_is_heard_from_the_speaker_without_a_gap(
    start: Start, sound_card: VirtualSoundCard, tmp_path: Path
) -> None:
    audio = start()
    audio.open_speaker()
    with sound_card.recording(tmp_path / "heard.wav"):
        audio.reply(1, 1.5)
        audio.until(PlaybackStarted)
        end = audio.until(PlaybackFinished)
        time.sleep(0.3)  # what is rendered is still on its way through the server
    assert (end.turn_id, end.cut, end.clause) == (1, False, 1)
    assert end.clause_samples == int(1.5 * audio.playback.rate)
    heard = loud_part(read_wav(tmp_path / "heard.wav"))
    assert len(heard) == pytest.approx(1.5 * CAPTURE_RATE, rel=0.03)
    assert strongest(heard) == pytest.approx(880, abs=3)
    audio.send(Ping(n=1))
    assert audio.until(Pong).stats["underruns"] == 0


class Listener:
    """Records the speaker and knows at any moment how much it has recorded."""

    def __init__(self, card: VirtualSoundCard) -> None:
        self._recorder = subprocess.Popen(
            [
                "parec",
                "--device=luna_speaker.monitor",
                "--rate=16000",
                "--channels=1",
                "--format=s16le",
                "--latency-msec=10",
            ],
            env=card.env,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._recorder.stdout is not None
        while piece := self._recorder.stdout.read(4_096):
            self.data += piece

    @property
    def samples(self) -> Samples:
        data = bytes(self.data)
        return np.frombuffer(data[: len(data) // 2 * 2], np.int16)

    def wait_for_sound(self, begin: int) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not (np.abs(self.samples[begin:].astype(int)) > LOUD).any():
            assert time.monotonic() < deadline, "nothing is heard"
            time.sleep(0.02)

    def close(self) -> None:
        self._recorder.terminate()
        self._recorder.wait(10)
        self._thread.join(10)


def test_cancel_silences_within_200_ms(start: Start, sound_card: VirtualSoundCard) -> None:
    """From the command to the last sample that left the virtual speaker; median of five."""
    audio = start(speaker_idle_s=0)
    audio.speaker("open")
    listener = Listener(sound_card)
    took: list[float] = []
    try:
        for turn in range(1, 6):
            begin = len(listener.samples)
            audio.reply(turn, 10.0)
            listener.wait_for_sound(begin)
            time.sleep(0.3)
            at = len(listener.samples)
            audio.send(Cancel(turn_id=turn))
            end = audio.until(PlaybackFinished)
            assert (end.turn_id, end.cut) == (turn, True)
            time.sleep(0.7)
            after = np.abs(listener.samples[at:].astype(int)) > LOUD
            assert not after[-CAPTURE_RATE // 10 :].any()
            loud = np.flatnonzero(after)
            took.append((loud[-1] + 1) / CAPTURE_RATE if len(loud) else 0.0)
    finally:
        listener.close()
    print("silent after", took)
    assert statistics.median(took) <= 0.2, took


def test_pause_keeps_the_place(start: Start, sound_card: VirtualSoundCard, tmp_path: Path) -> None:
    """As much is heard as was written, with a silence in the middle."""
    audio = start(speaker_idle_s=0)
    audio.speaker("open")
    with sound_card.recording(tmp_path / "heard.wav"):
        audio.reply(1, 2.0)
        audio.until(PlaybackStarted)
        time.sleep(0.5)
        audio.send(PausePlayback(turn_id=1))
        time.sleep(1.0)
        audio.send(ResumePlayback(turn_id=1))
        end = audio.until(PlaybackFinished)
        time.sleep(0.3)
    assert (end.cut, end.clause_samples) == (False, 2 * audio.playback.rate)
    heard = loud_part(read_wav(tmp_path / "heard.wav"))
    windows = np.abs(heard[: len(heard) // 160 * 160].astype(int)).reshape(-1, 160).max(axis=1)
    loud = np.count_nonzero(windows > LOUD) / 100
    assert loud == pytest.approx(2.0, abs=0.1)
    assert len(windows) / 100 - loud > 0.7
    audio.send(Ping(n=1))
    assert audio.until(Pong).stats["underruns"] == 0


def test_the_server_dies_during_capture(
    start: Start, sound_card: VirtualSoundCard, tmp_path: Path
) -> None:
    sound_card.noise()
    audio = start()
    audio.microphone("open")
    audio.wait_for_blocks(10)
    sound_card.kill()
    audio.until(MicrophoneChanged, lambda e: e.status in {"deaf", "missing", "lost"})
    audio.microphone("missing")
    sound_card.start()
    sound_card.noise()
    back = time.monotonic()
    audio.microphone("open")
    assert time.monotonic() - back < 15
    audio.wait_for_blocks(25)
    write_wav(tmp_path / "tone.wav", sine(16_000, 0.5, 440.0), 16_000)
    before = audio.capture.position
    sound_card.play(tmp_path / "tone.wav")
    audio.wait_for_blocks(20)
    heard = loud_part(audio.capture.read_range(before, audio.capture.position))
    assert strongest(heard) == pytest.approx(440, abs=5)


def test_the_server_dies_during_playback(
    start: Start, sound_card: VirtualSoundCard, tmp_path: Path
) -> None:
    sound_card.noise()
    audio = start()
    audio.open_speaker()
    audio.reply(1, 20.0)
    audio.until(PlaybackStarted)
    sound_card.kill()
    audio.speaker("lost")
    sound_card.start()
    sound_card.noise()
    audio.speaker("open")
    with sound_card.recording(tmp_path / "rest.wav"):
        time.sleep(0.5)
    assert strongest(loud_part(read_wav(tmp_path / "rest.wav"))) == pytest.approx(880, abs=5)
    audio.send(Cancel(turn_id=1))
    assert audio.until(PlaybackFinished).cut
    with sound_card.recording(tmp_path / "next.wav"):
        audio.reply(2, 0.5, hertz=600.0)
        assert not audio.until(PlaybackFinished).cut
    assert strongest(loud_part(read_wav(tmp_path / "next.wav"))) == pytest.approx(600, abs=5)


def test_digital_zeros_are_a_deaf_microphone(start: Start, sound_card: VirtualSoundCard) -> None:
    audio = start(zeros_after_s=1.5)
    audio.microphone("open")
    assert "digital silence" in audio.microphone("deaf").detail
    sound_card.noise()
    audio.microphone("open")
    audio.wait_for_blocks(150)
    audio.send(Ping(n=1))
    assert audio.until(Pong).stats["reopened"] >= 1


def test_not_one_block_while_muted(
    start: Start, sound_card: VirtualSoundCard, tmp_path: Path
) -> None:
    sound_card.noise()
    audio = start()
    audio.microphone("open")
    audio.wait_for_blocks(10)
    audio.send(SetMuted(muted=True))
    audio.microphone("muted")
    before = audio.capture.blocks_written
    write_wav(tmp_path / "tone.wav", sine(16_000, 1.0, 440.0), 16_000)
    sound_card.play(tmp_path / "tone.wav")
    time.sleep(0.5)
    assert audio.capture.blocks_written == before
    audio.send(SetMuted(muted=False))
    audio.microphone("open")
    audio.wait_for_blocks(20)
    after = audio.capture.read_range(before * 320, audio.capture.position)
    assert np.abs(after.astype(int)).max() < LOUD, "something from before was kept"


def test_no_sound_card_at_all(sound_card: VirtualSoundCard, start: Start, tmp_path: Path) -> None:
    """The worker is ready, says so once, and takes the card when there is one."""
    sound_card.kill()
    audio = start()
    assert audio.microphone("missing").detail
    assert audio.until(Ready).detail == "no microphone"
    sound_card.start()
    sound_card.noise()
    audio.microphone("open")
    audio.wait_for_blocks(10)
    said = [e for e in audio.seen if isinstance(e, MicrophoneChanged) and e.status == "missing"]
    assert len(said) == 1
