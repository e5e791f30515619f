"""Pulls the plug of a virtual box again and again, and looks what that did.

    sudo python -m image_build.power_cuts build/images/virt-amd64.work/root --cuts 51 --log cuts.log

The tree of an image becomes a small box (``cut_box.py``) and two updates for it. Each round starts
the box from the same disk, lets it work, and kills QEMU at a random moment: while reminders are
saved, while an update is written, while its boot entry is, while the new slot is tried, while it is
kept, and while the system starts. The disk has a volatile cache (``lossy_disk.py``): what was not
flushed is lost in part, and out of order. Then it is looked from outside whether every reminder
that was acknowledged is there, whether the file systems are sound, and whether each slot that the
boot loader may start is, byte by byte, the version that its entry names.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from image_build import cut_box, cut_checks, qemu
from image_build.lossy_disk import LossyDisk
from image_build.targets import TARGETS, Target

KINDS = (
    *("reminders", "update", "start", "entry", "reminders", "start"),
    *("update", "reminders", "start", "trial", "update", "reminders", "start"),
    *("bless", "reminders", "update", "start"),
)
"""What the box does when the power fails; the rounds go through it again and again."""
LIMIT_S = 600.0
"""For anything: in an emulated machine on a busy computer."""
START_S = 45.0
"""About what a start takes."""
GUEST = (Path(__file__).parent / "keep_reminders.py").read_text(encoding="utf-8")
CPU = {"amd64": ("-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt"), "arm64": ()}
"""Emulated vector instructions are slower than none."""
KEEP = (  # the service's folder, as systemd makes it
    "cd /; install -d -o luna -g luna -m 700 /var/lib/luna; "
    "STATE_DIRECTORY=/var/lib/luna PYTHONPATH=/opt/luna/lib "
    "setpriv --reuid=luna --regid=luna --clear-groups python3 /run/keep.py"
)
LOOK = (
    "systemctl is-system-running --wait; systemctl --failed --plain --no-legend; "
    "findmnt -no TARGET,OPTIONS /data; findmnt -no TARGET,OPTIONS /boot; cat /proc/cmdline"
)
WAIT_UNTIL_KEPT = (
    "s=$(sed -n 's/.*luna.slot=\\(.\\).*/\\1/p' /proc/cmdline); "
    "until [ -e /boot/loader/entries/luna-$s.conf ]; do sleep 1; done"
)


@dataclass
class Tally:
    """What was found in all rounds."""

    starts: int = 0
    """That were waited for; each succeeded, or is among the failures."""
    cut: Counter[str] = field(default_factory=Counter)
    """By what the box was doing."""
    acknowledged: set[int] = field(default_factory=set)
    asked: int = 0
    unflushed: int = 0
    lost: int = 0
    repaired: int = 0
    """How often FAT had something that the check at the next start puts right."""
    slots: Counter[str] = field(default_factory=Counter)
    """That the box was started from."""
    failures: list[str] = field(default_factory=list)


class Run:
    """The rounds on one disk.

    Args:
        root: tree of an image.
        target: what it was built for.
        folder: for the disk and all else.
        log: gets a line for each thing that happens.
        seed: of the moments.
    """

    def __init__(self, root: Path, target: Target, folder: Path, log: TextIO, seed: int) -> None:
        self._folder, self._log, self._target = folder, log, target
        self._rng = random.Random(seed)  # noqa: S311 - not for secrets
        key, tree = Ed25519PrivateKey.generate(), folder / "tree"
        cut_box.make_tree(root, tree)
        self._file = cut_box.make_disk(folder / "disk.img", target, root, tree, key)
        self._updates = [
            cut_box.make_version(name, target, root, tree, key, folder)
            for name in ("0.1.1", "0.1.2")
        ]
        own = cut_checks.version_on(self._file, "a")
        self._versions = {version.name: version for version in (own, *self._updates)}
        self._update = self._updates[0]
        self._disk = LossyDisk(self._file, folder)
        self.tally = Tally()

    def round(self, kind: str) -> None:
        """Start, work, pull the plug, look at the disk."""
        began, used = time.monotonic(), sum(os.times()[2:4])
        if kind == "update":
            self._update = self._rng.choice(self._updates)
        (self._folder / "console.log").write_bytes(b"")
        machine = qemu.Machine(
            self._file,
            self._target.arch,
            self._folder,
            disks=[self._update.bundle] if self._update.bundle else [],
            cpus=1,
            drive=self._disk.begin(),
            options=CPU[self._target.arch],
        )
        machine.start()
        try:
            self._work(machine, kind)
        except (TimeoutError, OSError) as error:
            self._fail(f"the box did not start, or hung: {error}")
        finally:
            machine.cut_power()
        lost = self._disk.settle(self._rng)
        self.tally.unflushed += lost.unflushed
        self.tally.lost += lost.lost
        self._say(f"{lost.unflushed} writes were not flushed, {lost.lost} of them are lost")
        self._look_at_disk()
        processor = sum(os.times()[2:4]) - used
        self._say(f"{time.monotonic() - began:.0f} s, {processor:.0f} s of them of a processor")

    def end(self) -> None:
        """Start once more, and let the box itself say what it has."""
        self._say("the last start")
        (self._folder / "console.log").write_bytes(b"")
        machine = qemu.Machine(
            self._file, self._target.arch, self._folder, cpus=1, options=CPU[self._target.arch]
        )
        machine.start()
        try:
            self._reminders(self._started(machine), None)
        except (TimeoutError, OSError) as error:
            self._fail(f"the box did not start, or hung: {error}")
        finally:
            machine.cut_power()

    # --- work -------------------------------------------------------------------------------

    def _work(self, machine: qemu.Machine, kind: str) -> None:
        if kind == "start":
            self._cut(kind, self._rng.uniform(1.0, START_S))
            return
        shell = self._started(machine)
        if kind == "reminders":
            self._reminders(shell, self._rng.uniform(0.0, 6.0))
            return
        shell.run(WAIT_UNTIL_KEPT, LIMIT_S)
        shell.begin("luna update apply /dev/vdb --no-restart --force")
        if kind == "update":
            self._half_an_update(shell)
        elif kind == "entry":
            shell.until(lambda text: _percent(text) >= 100, LIMIT_S)  # noqa: PLR2004
            self._cut(kind, self._rng.uniform(0.0, 1.5))
        else:
            shell.until(lambda text: "is in place" in text, LIMIT_S)
            self._trial(machine, shell, kind)

    def _started(self, machine: qemu.Machine) -> qemu.Shell:
        """Return a shell of the box, which has started as it should."""
        shell = machine.shell(LIMIT_S)
        _, text = shell.run(LOOK, LIMIT_S)
        self.tally.starts += 1
        slot = text.partition("luna.slot=")[2][:1]
        self.tally.slots[slot] += 1
        state, *_ = text.splitlines()
        mounts = re.findall(r"^(/data|/boot) +rw,", text, re.MULTILINE)
        if state != "running" or len(mounts) != 2:  # noqa: PLR2004
            self._fail(f"it started, but not well: {text}")
        self._say(f"it started from slot {slot}: {state}")
        return shell

    def _reminders(self, shell: qemu.Shell, seconds: float | None) -> None:
        """Let the box tell its reminders; then save more for so long, None: save none."""
        shell.run(f"cat >/run/keep.py <<'END'\n{GUEST}END", LIMIT_S)
        first = self.tally.asked + 1
        shell.begin(f"{KEEP} {first}")
        text = shell.until(lambda text: re.search(r"^HAVE.*\n", text, re.M) is not None, LIMIT_S)
        have = set(map(int, re.findall(r"\d+", text[text.index("HAVE") :].splitlines()[0])))
        self._compare("the box says", have)
        if seconds is None:
            return
        text += shell.until(lambda text: "SAVED" in text or "REFUSED" in text, LIMIT_S)
        text += shell.rest(seconds)
        if "REFUSED" in text:
            self._fail(f"a reminder was refused: {text[text.index('REFUSED') :][:300]}")
        # A line that is not whole has not reached its reader.
        numbers = set(map(int, re.findall(r"^SAVED (\d+)\n", text, re.MULTILINE)))
        self.tally.acknowledged |= numbers
        self.tally.asked = max([self.tally.asked, *numbers]) + 1  # one may be on its way
        self.tally.cut["reminders"] += 1
        self._say(f"cut: reminders, {seconds:.1f} s and {len(numbers)} answers after the first")

    def _half_an_update(self, shell: qemu.Shell) -> None:
        goal = self._rng.choice((0, self._rng.randrange(100), self._rng.randrange(100)))
        text = shell.until(lambda text: _percent(text) >= goal, LIMIT_S)
        text += shell.rest(self._rng.uniform(0.0, 1.5))
        where = "entry" if "is in place" in text else "update"
        self.tally.cut[where] += 1
        self._say(f"cut: {where}, at {_percent(text)} % of {self._update.name}")

    def _trial(self, machine: qemu.Machine, shell: qemu.Shell, kind: str) -> None:
        """Restart into the new slot, and cut while it is tried or kept."""
        shell.begin("systemctl reboot")
        deadline = time.monotonic() + LIMIT_S
        while b"Restarting system" not in machine.console.read_bytes():
            if time.monotonic() > deadline:
                raise TimeoutError("it does not restart")
            time.sleep(0.2)
        if kind == "trial":
            self._cut(kind, self._rng.uniform(0.0, START_S))
            return
        machine.console.write_bytes(b"")
        shell.close()
        shell = machine.shell(LIMIT_S)
        shell.run("until systemctl show -p ActiveState luna-health | grep -q acti; do :; done", 300)
        self._cut(kind, self._rng.uniform(0.0, 20.0))

    def _cut(self, kind: str, seconds: float) -> None:
        time.sleep(seconds)
        self.tally.cut[kind] += 1
        self._say(f"cut: {kind}, after {seconds:.1f} s")

    # --- looking ----------------------------------------------------------------------------

    def _look_at_disk(self) -> None:
        found = cut_checks.examine(self._file, self._folder, self._versions)
        self._compare("the disk has", found.reminders)
        self.tally.repaired += bool(found.repaired)
        for text in found.failures:
            self._fail(text)
        repaired = f"; FAT: {found.repaired}" if found.repaired else ""
        self._say(f"slots: {found.slots}{repaired}")

    def _compare(self, who: str, have: set[int]) -> None:
        if lost := sorted(self.tally.acknowledged - have):
            self._fail(f"acknowledged reminders are lost: {lost}")
        self._say(f"{who} {len(have)} reminders; acknowledged {len(self.tally.acknowledged)}")

    def _fail(self, text: str) -> None:
        self.tally.failures.append(text)
        self._say(f"FAILED: {text}")

    def _say(self, text: str) -> None:
        self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._log.flush()


def _percent(text: str) -> int:
    """Return how far `luna update apply` is; -1: it has not begun.

    Raises:
        TimeoutError: it failed.
    """
    if "luna: " in text:
        raise TimeoutError(text[text.index("luna: ") :][:300])
    return max(map(int, re.findall(r"ing (\d+) %", text)), default=-1)


def main() -> int:
    """Carry out the command line; return 0 where nothing was lost."""
    parser = argparse.ArgumentParser(prog="image_build.power_cuts", description=__doc__)
    parser.add_argument("root", type=Path, help="the root tree of an image")
    parser.add_argument("--target", choices=sorted(TARGETS), default="virt-amd64")
    parser.add_argument("--cuts", type=int, default=51)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True, help="beside the tree; needs 3 GB")
    parser.add_argument("--log", type=Path, required=True)
    arguments = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        arguments.log.open("w", encoding="utf-8") as log,
    ):
        target = TARGETS[arguments.target]
        run = Run(arguments.root, target, Path(folder), log, arguments.seed)
        for number in range(arguments.cuts):
            kind = KINDS[number % len(KINDS)]
            log.write(f"--- round {number + 1}: {kind}\n")
            run.round(kind)
        run.end()
        tally = run.tally
        result = {
            "cuts": tally.cut.total(),
            "by kind": tally.cut,
            "starts": tally.starts,
            "started from": tally.slots,
            "reminders": len(tally.acknowledged),
            "writes not flushed": tally.unflushed,
            "writes lost": tally.lost,
            "FAT repaired": tally.repaired,
            "minutes": round((time.monotonic() - began) / 60),
            "failures": tally.failures,
        }
        log.write(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
