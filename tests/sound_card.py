"""A virtual sound card for tests: a private PulseAudio with null sinks, reached through ALSA.

What a test plays into ``luna_mic_feed`` is what Luna's microphone hears; what Luna plays into
``luna_speaker`` can be recorded from its monitor. The server listens on a Unix socket in a
temporary folder only, and ends with the fixture.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

START_LIMIT_S = 15.0
ASOUNDRC = """
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
# Without rewinds a null sink works in steps of 50 ms. Otherwise in steps of up to 2 s: whoever
# opens it gets nothing until the present step is over, which looks like a dead device.
MODULES = """
load-module module-native-protocol-unix socket={socket} auth-anonymous=1
load-module module-null-sink sink_name=luna_speaker norewinds=1 rate={rate} channels={channels}
load-module module-null-sink sink_name=luna_mic_feed norewinds=1 rate={rate} channels={channels}
load-module module-remap-source master=luna_mic_feed.monitor source_name=luna_microphone
set-default-sink luna_speaker
set-default-source luna_microphone
"""


class VirtualSoundCard:
    """Starts and stops the server; plays and records."""

    def __init__(self, folder: Path, rate: int = 48_000, channels: int = 2) -> None:
        if not shutil.which("pulseaudio"):
            raise RuntimeError("these tests need PulseAudio: `make test` installs it")
        self.folder = folder
        self._rate = rate
        self._channels = channels
        self._server: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        self._socket = folder / "pulse.sock"
        (folder / "asound.conf").write_text(ASOUNDRC)
        self.env = {
            **os.environ,
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
        }

    def start(self) -> None:
        """Start the server and wait until it answers."""
        script = self.folder / "modules.pa"
        script.write_text(
            MODULES.format(socket=self._socket, rate=self._rate, channels=self._channels)
        )
        self._socket.unlink(missing_ok=True)
        (self.folder / "pid").unlink(missing_ok=True)
        self._server = subprocess.Popen(
            [
                "pulseaudio",
                "-n",
                f"--file={script}",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--disallow-exit",
                "--use-pid-file=no",
                "--realtime=no",
                "--high-priority=no",
            ],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "pulse.log").open("wb"),
        )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            answer = self._run("pactl", "info", check=False)
            if answer.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"PulseAudio did not start: {(self.folder / 'pulse.log').read_text()}")

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait(10)
            self._server = None

    def stop(self) -> None:
        """End everything that was started."""
        for player in self._players:
            player.kill()
            player.wait(10)
        self.kill()

    def _run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, env=self.env, check=check, capture_output=True, timeout=10)

    def play(self, path: Path, wait: bool = True) -> None:
        """Say a WAV file into Luna's microphone."""
        player = subprocess.Popen(
            ["paplay", "--device=luna_mic_feed", "--latency-msec=20", str(path)], env=self.env
        )
        self._players.append(player)
        if wait:
            player.wait(120)

    def noise(self, seconds: float = 600.0) -> None:
        """Keep a faint noise on the microphone, as every real one has."""
        path = self.folder / "noise.wav"
        samples = np.random.default_rng(0).normal(0, 12, int(16_000 * seconds)).astype(np.int16)
        write_wav(path, samples, 16_000)
        self.play(path, wait=False)
        time.sleep(0.3)

    @contextmanager
    def recording(self, path: Path) -> Iterator[None]:
        """Record what Luna plays while the context lasts, as 16 kHz mono WAV."""
        recorder = subprocess.Popen(
            [
                "parec",
                "--device=luna_speaker.monitor",
                "--file-format=wav",
                "--rate=16000",
                "--channels=1",
                "--format=s16le",
                "--latency-msec=20",
                str(path),
            ],
            env=self.env,
        )
        time.sleep(0.3)
        try:
            yield
        finally:
            time.sleep(0.3)
            recorder.send_signal(signal.SIGINT)
            recorder.wait(10)


@contextmanager
def virtual_sound_card(rate: int = 48_000, channels: int = 2) -> Iterator[VirtualSoundCard]:
    """Run a virtual sound card while the context lasts."""
    # A short path: Unix sockets have room for about 100 characters.
    with tempfile.TemporaryDirectory(prefix="luna-") as name:
        card = VirtualSoundCard(Path(name), rate, channels)
        try:
            card.start()
            yield card
        finally:
            card.stop()


def write_wav(path: Path, samples: npt.NDArray[np.int16], rate: int) -> None:
    """Write mono int16 samples."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


def read_wav(path: Path) -> npt.NDArray[np.int16]:
    """Read mono int16 samples; copes with the open-ended header of an interrupted recorder."""
    data = path.read_bytes()
    return np.frombuffer(data[44 : 44 + (len(data) - 44) // 2 * 2], np.int16)
