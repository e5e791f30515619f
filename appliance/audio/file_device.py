"""A sound card made of two files: a recording is the microphone, another file the speaker.

Time runs as in a room: 20 ms of sound take 20 ms. After the recording there is silence.
"""

from __future__ import annotations

import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from appliance.audio.device import Configure, Deliver, Format, Render
from appliance.audio.ring_buffer import BLOCK_MS, CAPTURE_BLOCK, CAPTURE_RATE
from appliance.errors import AudioError

Samples = npt.NDArray[np.int16]
OUTPUT_RATE = 22_050
_BLOCK_S = BLOCK_MS / 1000


def check_sound_file(path: Path) -> float:
    """Return the length of a sound file in seconds (0 when the file does not say).

    Raises:
        AudioError: it is not there, or there is no sound in it that can be read.
    """
    for _ in read_sound(path):
        break
    else:
        raise AudioError(f"{path} holds no sound; record the question again")
    with _open(path) as container:
        stream = container.streams.audio[0]
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
    return 0.0


def read_sound(path: Path) -> Iterator[Samples]:
    """Yield a sound file of any common format as pieces of 16 kHz mono int16.

    Raises:
        AudioError: it cannot be read. A file that is cut off yields what there is.
    """
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=CAPTURE_RATE)
    with _open(path) as container:
        try:
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    yield piece.to_ndarray().reshape(-1).astype(np.int16)
        except av.error.EOFError:
            pass
        except (av.error.FFmpegError, ValueError) as error:
            raise AudioError(f"{path} is damaged: {error}") from error
        for piece in resampler.resample(None):
            yield piece.to_ndarray().reshape(-1).astype(np.int16)


def _open(path: Path) -> Any:
    import av

    if not path.exists():
        raise AudioError(f"there is no file {path}")
    if not path.is_file():
        raise AudioError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise AudioError(f"{path} is empty; record the question again")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise AudioError(f"{path} is not a sound file that can be read") from error
    if not container.streams.audio:
        container.close()
        raise AudioError(f"{path} holds no sound")
    return container


class FileCard:
    """Reads *source* as the microphone and writes the replies to *target*.

    Signals (earcons) and silence outside the replies are not written.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._source = source
        self._target = target
        self._stop_microphone = threading.Event()
        self._stop_speaker = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def open_microphone(self, configure: Configure, deliver: Deliver) -> Format:
        opened = Format(self._source.name, CAPTURE_RATE, 1)
        configure(opened)
        self._stop_microphone.clear()
        self._run("microphone", lambda: self._play_source(deliver))
        return opened

    def _play_source(self, deliver: Deliver) -> None:
        # In the place of digital zeros, which would be taken for a dead microphone: the file
        # would then begin anew.
        quiet = np.zeros(CAPTURE_BLOCK, np.int16)
        quiet[::2] = 1
        due = time.monotonic()
        for block in _blocks(read_sound(self._source)):
            deliver((block if block.any() else quiet).tobytes())
            due = self._pace(due, self._stop_microphone)
            if self._stop_microphone.is_set():
                return
        while not self._stop_microphone.is_set():
            deliver(quiet.tobytes())
            due = self._pace(due, self._stop_microphone)

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        opened = Format(self._target.name, OUTPUT_RATE, 1)
        configure(opened)
        self._stop_speaker.clear()
        self._run("speaker", lambda: self._record_target(render))
        return opened

    def _record_target(self, render: Render) -> None:
        due = time.monotonic()
        frames = np.zeros((OUTPUT_RATE * BLOCK_MS // 1000, 1), np.int16)
        try:
            with wave.open(str(self._target), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(OUTPUT_RATE)
                while not self._stop_speaker.is_set():
                    if played := render(frames):
                        file.writeframes(frames[:played].tobytes())
                    due = self._pace(due, self._stop_speaker)
        except OSError as error:
            raise AudioError(f"{self._target} cannot be written: {error.strerror}") from error

    @staticmethod
    def _pace(due: float, stop: threading.Event) -> float:
        """Wait until the next block is due; one that is late does not delay those after it."""
        due += _BLOCK_S
        stop.wait(max(0.0, due - time.monotonic()))
        return due

    def _run(self, name: str, target: Callable[[], None]) -> None:
        self._threads[name] = threading.Thread(target=target, name=f"file-{name}", daemon=True)
        self._threads[name].start()

    def close_microphone(self) -> None:
        self._stop_microphone.set()
        self._join("microphone")

    def close_speaker(self) -> None:
        self._stop_speaker.set()
        self._join("speaker")

    def _join(self, name: str) -> None:
        if thread := self._threads.pop(name, None):
            thread.join(1.0)

    def look_again(self) -> None:
        """Files do not come and go."""


def _blocks(pieces: Iterator[Samples]) -> Iterator[Samples]:
    """Cut pieces of any length into capture blocks; the last one is filled with zeros."""
    rest = np.empty(0, np.int16)
    for piece in pieces:
        rest = np.concatenate((rest, piece))
        while len(rest) >= CAPTURE_BLOCK:
            yield rest[:CAPTURE_BLOCK]
            rest = rest[CAPTURE_BLOCK:]
    if len(rest):
        yield np.pad(rest, (0, CAPTURE_BLOCK - len(rest)))
