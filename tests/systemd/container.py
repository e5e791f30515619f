"""A Debian in a folder, booted: systemd runs in it as on a machine of its own.

It has this machine's kernel and speed, no network but its own loopback, and no devices. A sound
card comes as the socket of a PulseAudio.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.systemd.debian_root import DebianRoot

START_LIMIT_S = 90.0
STOP_LIMIT_S = 60.0
SOUND = Path("/sound")
"""Where the sound card's folder is seen inside."""
PLUGIN = "alsa-lib/libasound_module_pcm_pulse.so"
"""ALSA's way to PulseAudio. Debian's package of it brings 100 MB along that are not needed here."""
ASOUND_CONF = """
pcm_type.pulse { lib /usr/local/lib/libasound_module_pcm_pulse.so }
pcm.!default { type pulse server "unix:/sound/pulse.sock" }
"""


class Container:
    """A booted Debian.

    Args:
        process: systemd-nspawn.
        leader: process id of the container's systemd, on this machine.
    """

    def __init__(self, process: subprocess.Popen[bytes], leader: int) -> None:
        self._process = process
        self.leader = leader

    def run(
        self, *command: str, check: bool = True, limit_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in there as root."""
        done = subprocess.run(
            [
                *("nsenter", f"--target={self.leader}", "--all", "--root", "--wd"),
                *(
                    "env",
                    "-i",
                    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                    "HOME=/root",
                    "LC_ALL=C.UTF-8",
                ),
                *command,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit, as `systemctl show` knows it."""
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").stdout.strip()

    def health(self) -> dict[str, object]:
        """Return what `luna status` knows."""
        report: dict[str, object] = json.loads(self.run("luna", "status", "--json").stdout)
        return report

    def stop(self) -> None:
        """Switch it off in order; what does not end is killed."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def booted(
    debian: DebianRoot, read: Sequence[Path], write: Sequence[Path], sound: Path
) -> Iterator[Container]:
    """Boot *debian* while the context lasts.

    Args:
        debian: the folder.
        read: folders of this machine that can be read at the same place inside.
        write: folders that can also be written.
        sound: folder with PulseAudio's socket ``pulse.sock``.
    """
    _give_sound(debian)
    sound.chmod(0o755)  # the service's user is another than the test's
    log = debian.folder.with_name("console.log")
    with log.open("wb") as console:
        process = subprocess.Popen(
            [
                *("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--boot"),
                *("--private-network", "--directory", str(debian.folder)),
                *(f"--bind-ro={path}" for path in read),
                *(f"--bind={path}" for path in write),
                f"--bind={sound}:{SOUND}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    container: Container | None = None
    try:
        container = _started(process, log)
        yield container
    finally:
        if container is not None:
            container.stop()
        else:
            process.kill()
            process.wait()


def _give_sound(debian: DebianRoot) -> None:
    """Put this machine's plugin, and the libraries that it needs, into the container."""
    plugin = next(Path("/usr/lib").glob(f"*/{PLUGIN}"))
    wanted = subprocess.run(["ldd", plugin], check=True, capture_output=True, text=True).stdout
    there = {file.name for file in (debian.folder / "usr/lib").rglob("*.so*")}
    for file in (plugin, *map(Path, re.findall(r"=> (/\S+)", wanted))):
        if file.name not in there:
            shutil.copy(file, debian.folder / "usr/local/lib" / file.name)
    debian.run("ldconfig")
    (debian.folder / "etc/asound.conf").write_text(ASOUND_CONF)


def _started(process: subprocess.Popen[bytes], log: Path) -> Container:
    """Return the container as soon as its systemd has reached its target."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
        for child in children.read_text().split():
            container = Container(process, int(child))
            state = container.run("systemctl", "is-system-running", check=False).stdout.strip()
            if state in ("running", "degraded"):
                return container
    raise AssertionError(f"the container did not start: {log.read_text(errors='replace')[-3000:]}")
