"""A room whose only sound is what is put into a folder: ``NNN.wav`` is played when it appears."""

from __future__ import annotations

import threading
import time
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from appliance.audio.device import Configure, Deliver, Format, Render
from appliance.audio.ring_buffer import BLOCK_MS, CAPTURE_BLOCK, CAPTURE_RATE

RATE = 22_050


class RoomCard:
    """Capture in real time from the folder; playback at real-time pace to nobody."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._silent = threading.Event()

    @staticmethod
    def say(folder: Path, number: int, samples: npt.NDArray[np.int16]) -> Path:
        """Say something (16 kHz) in the room of *folder*; returns the file that tells when.

        It appears when the card begins to say it and holds the card's block number then.
        """
        said = folder / f"{number:03}.wav"
        with wave.open(str(said.with_suffix(".part")), "wb") as file:
            file.setparams((1, 2, CAPTURE_RATE, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        said.with_suffix(".part").rename(said)
        return said.with_suffix(".position")

    def open_microphone(self, configure: Configure, deliver: Deliver) -> Format:
        opened = Format("room", CAPTURE_RATE, 1)
        configure(opened)
        self._stop = threading.Event()
        threading.Thread(target=self._capture, args=(deliver, self._stop), daemon=True).start()
        return opened

    def _capture(self, deliver: Deliver, stop: threading.Event) -> None:
        generator = np.random.default_rng(0)
        # A new process goes on after what the one before it has said.
        next_file = len(list(self._folder.glob("*.position")))
        number, rest = 0, b""
        started = time.monotonic()
        while not stop.is_set():
            said = self._folder / f"{next_file:03}.wav"
            if not rest and said.exists():
                with wave.open(str(said)) as file:
                    rest = file.readframes(file.getnframes())
                said.with_suffix(".position").write_text(str(number))
                next_file += 1
            block, rest = rest[: CAPTURE_BLOCK * 2], rest[CAPTURE_BLOCK * 2 :]
            if len(block) < CAPTURE_BLOCK * 2:
                block = generator.normal(0, 10, CAPTURE_BLOCK).astype(np.int16).tobytes()
                rest = b""
            deliver(block)
            number += 1
            time.sleep(max(0.0, started + number * BLOCK_MS / 1000 - time.monotonic()))

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        opened = Format("room", RATE, 1)
        configure(opened)
        self._silent = threading.Event()
        threading.Thread(target=self._play, args=(render, self._silent), daemon=True).start()
        return opened

    def _play(self, render: Render, stop: threading.Event) -> None:
        frames = np.zeros((RATE * BLOCK_MS // 1000, 1), np.int16)
        started, number = time.monotonic(), 0
        while not stop.is_set():
            render(frames)
            number += 1
            time.sleep(max(0.0, started + number * BLOCK_MS / 1000 - time.monotonic()))

    def close_microphone(self) -> None:
        self._stop.set()

    def close_speaker(self) -> None:
        self._silent.set()

    def look_again(self) -> None:
        """The room has no plugs."""
