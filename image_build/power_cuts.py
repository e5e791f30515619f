"""Pulls the plug of a virtual box again and again, and looks what that did.

    sudo python -m image_build.power_cuts build/luna-virt-amd64.img --cuts 50 --log cuts.log
    ... --bundle luna-0.2.0.luna      (some of the cuts hit an update while it is written)

Each round boots the same disk, checks that every reminder that was ever acknowledged is there,
lets the box work, and kills QEMU at a random moment: while reminders are saved, while an update
is written, or while the system starts. Then the file systems are checked on a copy.

Killing QEMU loses what the guest had not yet given to its disk. It does not lose or reorder what
the disk had taken without having been told to keep it; that is what the simulated cards in
``tests/storage`` and ``tests/update`` are for.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from image_build import disk, qemu
from image_build.targets import MEBIBYTE, TARGETS

BOOT_LIMIT_S = 600.0
"""In an emulated machine on a busy computer."""
FAT_STATE = 65
"""Where the boot sector of FAT32 has its dirty bit (BS_Reserved1)."""
SAVE_REMINDERS = """
import json, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect("/run/luna/control.sock")
answers = line.makefile("rb")
for number in range(int(sys.argv[1]), 10**9):
    order = {"type": "reminders_requested", "action": "add", "language": "en",
             "request": str(number), "text": f"remind me to check item {number} in 300 days"}
    line.sendall(json.dumps(order).encode() + b"\\n")
    for text in answers:
        answer = json.loads(text)
        if answer["type"] == "reminders_answered" and answer["request"] == str(number):
            print("SAVED" if answer["ok"] else "REFUSED", number, flush=True)
            break
"""
"""Runs in the guest: what it prints was acknowledged."""


@dataclass
class Tally:
    """What was found in all rounds."""

    booted: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    """By what the box was doing."""
    acknowledged: set[int] = field(default_factory=set)
    asked: int = 0
    failures: list[str] = field(default_factory=list)


class Run:
    """The rounds on one disk.

    Args:
        image: it is copied.
        folder: for the copy, the firmware's variables and the console.
        bundle: an update that is written in some rounds; None: none is.
        log: gets a line for each thing that happens.
        seed: of the moments.
    """

    def __init__(
        self, image: Path, arch: str, folder: Path, bundle: Path | None, log: TextIO, seed: int
    ) -> None:
        self._folder, self._log, self._arch = folder, log, arch
        self._rng = random.Random(seed)  # noqa: S311 - not for secrets
        self._disk = folder / "disk.img"
        subprocess.run(["cp", "--sparse=always", image, self._disk], check=True)
        self._bundle = _padded(bundle, folder) if bundle else None
        self.tally = Tally()

    def round(self, work: str) -> None:
        """Boot, check, work, pull the plug, check the file systems."""
        self._say(f"round: {work}")
        self._folder.joinpath("console.log").write_bytes(b"")
        # An update writes entries of its own; the gate wants a microphone, be it a silent one.
        qemu.open_shell(self._disk, self._arch, "modules_load=snd-aloop")
        disks = [self._bundle] if self._bundle else []
        machine = qemu.Machine(self._disk, self._arch, self._folder, 0, disks)
        machine.start()
        try:
            if work == "start":
                self._wait(self._rng.uniform(1.0, 40.0))
            else:
                shell = machine.shell(BOOT_LIMIT_S)
                shell.run("until [ -S /run/luna/control.sock ]; do sleep 1; done", BOOT_LIMIT_S)
                self.tally.booted += 1
                self._check_reminders(shell)
                self._work(shell, work)
        except TimeoutError as error:
            self._fail(f"the box did not start, or hung: {error}")
        finally:
            machine.cut_power()
        self.tally.cut[work] = self.tally.cut.get(work, 0) + 1
        self._check_file_systems()

    def _work(self, shell: qemu.Shell, work: str) -> None:
        if work == "reminders":
            shell.run(f"cat >/run/save.py <<'END'\n{SAVE_REMINDERS}END")
            first = self.tally.asked + 1
            saved = shell.watch(
                f"python3 /run/save.py {first}", self._rng.uniform(2.0, 30.0)
            ).decode(errors="replace")
            numbers = [int(row.split()[1]) for row in saved.splitlines() if _is_whole(row)]
            self.tally.acknowledged |= set(numbers)
            self.tally.asked = max([self.tally.asked, *numbers]) + 1  # one may be on its way
            self._say(f"acknowledged {len(numbers)} reminders, {len(self.tally.acknowledged)} now")
        elif work == "update":
            shell.watch(
                "luna update apply /dev/vdb --no-restart --force", self._rng.uniform(5.0, 120.0)
            )

    def _check_reminders(self, shell: qemu.Shell) -> None:
        code, text = shell.run("luna reminders --json 2>&1", 120.0)
        if code:
            self._fail(f"the reminders cannot be read: {text[-300:]}")
            return
        lost = [n for n in self.tally.acknowledged if f"item {n} " not in f"{text} "]
        lost = [n for n in lost if f'item {n}"' not in text]
        if lost:
            self._fail(f"acknowledged reminders are lost: {sorted(lost)}")
        _, slots = shell.run("luna update slots 2>&1", 120.0)
        self._say(f"{len(self.tally.acknowledged) - len(lost)} reminders are there; {slots}")

    def _check_file_systems(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            for label, (offset, size) in disk.partitions(self._disk).items():
                part = Path(name) / label
                copying = ["dd", f"if={self._disk}", f"of={part}", "bs=1M", "conv=sparse"]
                copying += [f"skip={offset // MEBIBYTE}", f"count={size // MEBIBYTE}"]
                subprocess.run([*copying, "status=none"], check=True)
                os.truncate(part, size)
                if label == "esp":
                    _forget_mount(part)
                for command in _checks(label):
                    done = subprocess.run([*command, part], capture_output=True, check=False)
                    if done.returncode > (1 if "-p" in command else 0):
                        self._fail(f"{label}: {' '.join(command)}: {done.stdout.decode()[-400:]}")
                part.unlink()

    def _wait(self, seconds: float) -> None:
        self._say(f"the plug is pulled after {seconds:.1f} s")
        time.sleep(seconds)

    def _fail(self, text: str) -> None:
        self.tally.failures.append(text)
        self._say(f"FAILED: {text}")

    def _say(self, text: str) -> None:
        self._log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self._log.flush()


def _forget_mount(fat: Path) -> None:
    """Clear the bit by which FAT32 tells that it is mounted; it is no damage."""
    with fat.open("r+b") as file:
        file.seek(FAT_STATE)
        file.write(b"\0")


def _checks(label: str) -> list[list[str]]:
    """Return the commands by which a partition is checked, in order.

    What a journal holds is played back first, as the kernel does at the next start. A slot that
    an update was just written to is none: nothing starts from it.
    """
    if label == "esp":
        return [["fsck.vfat", "-n"]]
    if label == "data":
        return [["e2fsck", "-p", "-E", "journal_only"], ["e2fsck", "-fn"]]
    return [["e2fsck", "-fn"]] if label == "root_a" else []


def _is_whole(row: str) -> bool:
    words = row.split()
    return len(words) == 2 and words[0] == "SAVED" and words[1].isdecimal()  # noqa: PLR2004


def _padded(bundle: Path, folder: Path) -> Path:
    """Return a copy that can be a disk: a multiple of a sector long."""
    copy = folder / "bundle.raw"
    subprocess.run(["cp", "--sparse=always", bundle, copy], check=True)
    os.truncate(copy, -(-copy.stat().st_size // disk.SECTOR) * disk.SECTOR)
    return copy


def main() -> int:
    """Carry out the command line; return 0 where nothing was lost."""
    parser = argparse.ArgumentParser(prog="image_build.power_cuts", description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--target", choices=sorted(TARGETS), default="virt-amd64")
    parser.add_argument("--bundle", type=Path, help="an update for this image")
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for the disk; it needs the image's size")
    parser.add_argument("--log", type=Path, required=True)
    arguments = parser.parse_args()
    kinds = ["reminders", "update", "start"] if arguments.bundle else ["reminders", "start"]
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as folder,
        arguments.log.open("a", encoding="utf-8") as log,
    ):
        run = Run(
            arguments.image,
            TARGETS[arguments.target].arch,
            Path(folder),
            arguments.bundle,
            log,
            arguments.seed,
        )
        for number in range(arguments.cuts):
            run.round(kinds[number % len(kinds)])
        tally = run.tally
        result = {
            "cuts": tally.cut,
            "booted": tally.booted,
            "reminders": len(tally.acknowledged),
            "failures": tally.failures,
        }
        log.write(json.dumps(result) + "\n")
    print(json.dumps(result, indent=1))
    return 1 if run.tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
