"""The sound card: what the audio process needs of one, and PortAudio's.

PortAudio's callbacks run in its own threads. They only copy (microphone) or let the player
render (speaker); everything that can fail or wait happens in the thread that opens and closes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from appliance.audio.ring_buffer import BLOCK_MS, CAPTURE_RATE, MAX_PLAYBACK_RATE
from appliance.errors import AudioError
from appliance.realtime import hurry

Deliver = Callable[[bytes], None]
Render = Callable[[npt.NDArray[np.int16]], int]
Configure = Callable[["Format"], None]

_LATENCY_S = {"input": 0.2, "output": 0.06}
"""Buffer asked of PortAudio. Captured blocks come every 20 ms whatever the buffer's length, and
a long one is cheaper and forgives more; what lies in the speaker's buffer cannot be unsaid."""


@dataclass(frozen=True)
class Format:
    """How a device was opened."""

    device: str
    rate: int
    channels: int


class SoundCard(Protocol):
    """A microphone and a speaker. All methods are called from one thread."""

    def open_microphone(self, configure: Configure, deliver: Deliver) -> Format:
        """Begin to capture: *deliver* gets interleaved int16 frames, from a thread of the card's.

        *configure* is called with the format before the first frame is delivered. An empty
        delivery stands for sound that the card has lost.

        Raises:
            AudioError: there is none, or it cannot be opened.
        """

    def close_microphone(self) -> None:
        """Stop capturing; never raises."""

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        """Begin to play: *render* fills int16 frames (n, channels), from a thread of the card's.

        *configure* is called with the format before the first frame is asked for.

        Raises:
            AudioError: there is none, or it cannot be opened.
        """

    def close_speaker(self) -> None:
        """Stop playing; never raises."""

    def look_again(self) -> None:
        """Find devices that were plugged in; called only while nothing is open."""


class PortAudioCard:
    """The machine's own devices, through PortAudio (ALSA, PulseAudio, PipeWire)."""

    def __init__(self, input_device: str = "", output_device: str = "") -> None:
        self._input_name = input_device
        self._output_name = output_device
        self._input: Any = None
        self._output: Any = None
        with _quiet():
            self._sd = _sounddevice()

    def open_microphone(self, configure: Configure, deliver: Deliver) -> Format:
        prepared = False

        def callback(data: Any, _frames: int, _time: Any, status: Any) -> None:
            nonlocal prepared
            if not prepared:
                hurry()
                prepared = True
            if status.input_overflow:
                deliver(b"")
            deliver(bytes(data))

        self._input, opened = self._open("input", self._sd.RawInputStream, callback, configure)
        return opened

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        prepared = False
        channels = 1

        def callback(data: Any, frames: int, _time: Any, _status: Any) -> None:
            nonlocal prepared
            if not prepared:
                hurry()
                prepared = True
            render(np.frombuffer(data, np.int16).reshape(frames, channels))

        def before_start(opened: Format) -> None:
            nonlocal channels
            channels = opened.channels
            configure(opened)

        self._output, opened = self._open(
            "output", self._sd.RawOutputStream, callback, before_start
        )
        return opened

    def _open(
        self,
        kind: str,
        stream: Callable[..., Any],
        callback: Callable[..., None],
        before_start: Configure,
    ) -> tuple[Any, Format]:
        """Open with the first format that the device takes."""
        name = self._input_name if kind == "input" else self._output_name
        with _quiet():
            index, info = self._find(kind, name)
            last: Exception | None = None
            for rate, channels in self._formats(kind, info):
                opened = None
                try:
                    opened = stream(
                        device=index,
                        samplerate=rate,
                        channels=channels,
                        dtype="int16",
                        blocksize=rate * BLOCK_MS // 1000,
                        latency=_LATENCY_S[kind],
                        callback=callback,
                    )
                    found = Format(info["name"], rate, channels)
                    before_start(found)
                    opened.start()
                except (self._sd.PortAudioError, ValueError) as error:
                    last = error
                    if opened is not None:
                        # It would keep the device busy for the formats that are tried next.
                        opened.close(ignore_errors=True)
                    continue
                return opened, found
        raise AudioError(f"{info['name']} cannot be opened: {last}")

    def _find(self, kind: str, name: str) -> tuple[int, dict[str, Any]]:
        channels = f"max_{kind}_channels"
        word = "microphone" if kind == "input" else "speaker"
        try:
            if not name:
                info = self._sd.query_devices(kind=kind)
                return info["index"], info
            devices = self._sd.query_devices()
        except (self._sd.PortAudioError, ValueError) as error:
            raise AudioError(f"there is no {word}") from error
        for info in devices:
            if info[channels] > 0 and name.lower() in info["name"].lower():
                return info["index"], info
        raise AudioError(f"there is no {word} called {name!r} (see `luna devices`)")

    @staticmethod
    def _formats(kind: str, info: dict[str, Any]) -> Iterator[tuple[int, int]]:
        """Yield formats to try: what costs least first, then whatever the device offers."""
        own = int(info["default_samplerate"])
        most = max(1, int(info[f"max_{kind}_channels"]))
        rates = [CAPTURE_RATE, own] if kind == "input" else [own]
        rates += [48_000, 44_100, 32_000, 16_000, 8_000]
        for rate in dict.fromkeys(r for r in rates if 0 < r <= MAX_PLAYBACK_RATE):
            # Cards list up to 64 channels of which few exist; then 1 and 2 are what works.
            for channels in dict.fromkeys((1, 2, min(most, 8))):
                if channels <= most:
                    yield rate, channels

    def close_microphone(self) -> None:
        self._close(self._input)
        self._input = None

    def close_speaker(self) -> None:
        self._close(self._output)
        self._output = None

    def _close(self, stream: Any) -> None:
        if stream is not None:
            with _quiet(), contextlib.suppress(self._sd.PortAudioError):
                # A stream whose device is gone reports it once more when it is closed.
                stream.abort(ignore_errors=True)
                stream.close(ignore_errors=True)

    def look_again(self) -> None:
        # PortAudio lists the devices once, when it is initialised.
        with _quiet():
            self._sd._terminate()
            self._sd._initialize()


@dataclass(frozen=True)
class DeviceInfo:
    """A device, for `luna devices`."""

    name: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool


def list_devices() -> list[DeviceInfo]:
    """Return the devices that PortAudio finds.

    Raises:
        AudioError: PortAudio is not installed, or does not start.
    """
    with _quiet():
        sd = _sounddevice()
        try:
            devices = list(sd.query_devices())
            default_input, default_output = sd.default.device
        except sd.PortAudioError as error:
            raise AudioError(f"the sound devices cannot be listed: {error}") from error
    return [
        DeviceInfo(
            name=info["name"],
            inputs=info["max_input_channels"],
            outputs=info["max_output_channels"],
            rate=int(info["default_samplerate"]),
            default_input=info["index"] == default_input,
            default_output=info["index"] == default_output,
        )
        for info in devices
    ]


def hardware() -> str:
    """Return the kernel's list of sound cards: it changes when one is plugged in or out."""
    try:
        return Path("/proc/asound/cards").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # no sound driver is loaded


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise AudioError(
            f"PortAudio cannot be used ({error}); install it: apt-get install libportaudio2"
        ) from error
    return sounddevice


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what ALSA and JACK print about devices that nobody asked for."""
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
