"""An image that runs in QEMU, with somebody who speaks to it and listens.

Its clock is its own (see ``qemu.OWN_CLOCK``): time in the box is not time here.

The kernel's loopback sound card stands for microphone and speaker. What is played into its other
end is what Luna hears: a faint noise without end, as every room has, and the question in its
place when it is asked for.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from image_build import boot_partition, qemu
from image_build.targets import TARGETS

TARGET = TARGETS[os.environ.get("LUNA_BOOT_TARGET", "virt-amd64")]
"""What is built and booted. `virt-arm64` takes longer than a CI run may."""
RATE = 16_000
LIMIT_S = 3000.0
"""Of this machine's time, for anything: it may have much else to do."""
ANSWER_S = 300
"""Sound of an answer that there is room for; a slow voice makes pauses."""
GUEST = Path(__file__).parent / "guest"
FORMAT = "-q -D plughw:Loopback,1,0 -t raw -f S16_LE -r 16000 -c 1"
QUESTION, ANSWER, NOISE = "/dev/vdb", "/dev/vdc", "/dev/vdd"
FEED = (
    f"(while :; do if [ -e /run/ask ]; then rm /run/ask; cat {QUESTION}; else cat {NOISE}; fi; "
    f"done | aplay {FORMAT}) 2>/run/feed.log &"
)

Sound = npt.NDArray[np.int16]


class Box:
    """A machine from a copy of *image*.

    Args:
        image: it is copied.
        folder: for the copy, the console's log and sound.
        question: what can be asked, 16 kHz.
    """

    def __init__(self, image: Path, folder: Path, question: Sound) -> None:
        copy = folder / "disk.img"
        # One pair of ends: whoever closes and opens the microphone gets the same again.
        more = "mitigations=off modules_load=snd-aloop snd_aloop.pcm_substreams=1"
        boot_partition.prepare(image, copy, TARGET.arch, more)
        self._answer = folder / "answer.raw"
        noise = np.random.default_rng(1).normal(0, 12, RATE * 2 // 5).astype(np.int16)
        for name, sound in (
            ("question.raw", question),
            ("answer.raw", np.zeros(RATE * ANSWER_S, np.int16)),
            ("noise.raw", noise),
        ):
            data = sound.tobytes()
            (folder / name).write_bytes(data + bytes(-len(data) % 512))
        disks = [folder / name for name in ("question.raw", "answer.raw", "noise.raw")]
        self.machine = qemu.Machine(copy, TARGET.arch, folder, disks=disks, cpus=qemu.OWN_CLOCK)
        self._shell: qemu.Shell | None = None

    def start(self) -> None:
        """Switch it on, and wait until there is a shell and something to hear."""
        self.machine.start()
        self._shell = self.machine.shell(LIMIT_S)
        for script in GUEST.glob("*.py"):
            text = base64.encodebytes(script.read_bytes()).decode()
            self.run(f"base64 -d >/run/{script.name} <<'END'\n{text}END")
        self.run("until [ -e /proc/asound/Loopback ]; do sleep 0.2; done")
        self.run(FEED)

    def run(self, command: str, limit_s: float = LIMIT_S) -> str:
        """Carry out a command as root; return what it printed.

        Raises:
            AssertionError: it failed.
        """
        assert self._shell is not None
        code, text = self._shell.run(command, limit_s)
        assert code == 0, f"`{command}` failed with {code}:\n{text}"
        return text

    def script(self, name: str, *arguments: object) -> str:
        """Carry out one of the scripts in ``guest``; return what it printed."""
        return self.run(shlex.join(["python3", "-IS", f"/run/{name}", *map(str, arguments)]))

    def ready(self, *gone: int) -> dict[str, Any]:
        """Wait until all workers are ready, by none of the processes *gone*; return the report."""
        report: dict[str, Any] = json.loads(self.script("line.py", "ready", *gone))
        return report

    def property(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run(f"systemctl show {unit} --property {name} --value")

    def ask(self) -> tuple[list[dict[str, Any]], Sound]:
        """Press the button and say the question; return the turn's events and what was heard."""
        self.run(f"(arecord {FORMAT} /run/answer.raw 2>/run/record.log) & sleep 1")
        events = self.script("line.py", "ask")
        # What is in the buffers when the turn ends is still to be heard.
        self.run("sleep 5; pkill arecord; sleep 1; dd if=/run/answer.raw of=/dev/vdc bs=1M; sync")
        heard = np.fromfile(self._answer, np.int16)
        loud = np.flatnonzero(np.abs(heard.astype(np.int32)) > 200)
        around = slice(max(0, loud[0] - RATE // 2), loud[-1] + RATE // 2) if len(loud) else slice(0)
        return [json.loads(line) for line in events.splitlines()], heard[around]

    def last_words(self) -> str:
        """Return the end of the console's log and of Luna's."""
        said = self.machine.console.read_bytes()[-3000:].decode(errors="replace")
        if self.machine.running and self._shell is not None:
            with contextlib.suppress(TimeoutError, OSError):
                _, log = self._shell.run("journalctl --no-pager -o short-monotonic | tail -60", 60)
                said += f"\n\n{log}"
        return said

    def stop(self) -> None:
        """Switch it off."""
        self.machine.cut_power()
