"""Updates a virtual box as its owner would: good, refused and broken bundles, and the way back.

    sudo python -m image_build.trial_updates build/images/luna-virt-amd64.img \
        --root build/images/virt-amd64.work/root --key luna-update.key --folder build --log FILE

The image must have been built with that key's public half (`--update-key`) and with models, as the
gate has Luna say a sentence and understand it. Its microphone is the silent one of snd-aloop.
Every line of the log that begins with `#` was typed in a root shell of the box.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from image_build import boot_partition, make_bundle, qemu, trial_bundles
from image_build.targets import TARGETS, Target

LIMIT_S = 1800.0
"""For anything but the trial: in an emulated machine on a busy computer."""
TRIAL_S = 5400.0
APPLY = "OPENSSL_ia32cap=0 luna update apply /run/updates/{} --no-restart"
"""Emulated vector instructions hash at a third of the speed of none."""
PLUG_IN = "systemctl stop luna; mkdir /run/updates; mount -o ro /dev/vdb /run/updates"
"""Luna stops where nothing is asked of her: there is one emulated processor."""
SERVE = (
    "printf '[update]\\nurl = \"http://127.0.0.1:8000/luna-0.1.6.luna\"\\n' >/etc/luna/luna.toml; "
    "(cd /run/updates; exec python3 -m http.server -b 127.0.0.1 8000 >/run/http.log 2>&1) & sleep 9"
)
"""Stands for the owner's server; /etc/luna is on the data partition."""


class Box:
    """The virtual box, its root shell, and what was found.

    Args:
        image: it is copied.
        stick: a file system with the bundles.
        folder: for the copy, the firmware's variables and the console.
        log: gets what is typed and what is answered.
    """

    def __init__(self, image: Path, target: Target, stick: Path, folder: Path, log: TextIO) -> None:
        self._log, self._began = log, time.monotonic()
        self.failures: list[str] = []
        boot_partition.prepare(image, folder / "disk.img", target.arch, trial_bundles.MORE)
        self._machine = qemu.Machine(
            folder / "disk.img", target.arch, folder, disks=[stick], cpus=qemu.OWN_CLOCK
        )
        self._shell: qemu.Shell | None = None
        self._machine.start()

    def close(self) -> None:
        self._machine.cut_power()

    def say(self, text: str) -> None:
        self._log.write(f"{time.monotonic() - self._began:6.0f} s  {text}\n")
        self._log.flush()

    def check(self, what: str, good: bool) -> None:
        self.say(f"{'ok' if good else 'FAILED'}: {what}")
        if not good:
            self.failures.append(what)

    def run(self, command: str, limit_s: float = LIMIT_S) -> tuple[int, str]:
        """Type a command; return its exit status and what it printed."""
        if self._shell is None:
            self._shell = self._machine.shell(LIMIT_S)
        self.say(f"# {command}")
        code, text = self._shell.run(f"{command} 2>&1", limit_s)
        text = re.sub(r"(?:\w+ing \d+ % ?)+", "", text)
        self._log.writelines(f"          {line}\n" for line in text.splitlines() if line.strip())
        self.say(f"exit status {code}")
        return code, text

    def refuses(self, command: str, sentence: str) -> None:
        """Type a command that must be refused with this sentence, and must change nothing."""
        code, text = self.run(command)
        self.check(f"refused: {sentence}", code != 0 and sentence in text)

    def restart(self, wanted: list[str], limit_s: float, command: str = "systemctl reboot") -> None:
        """Have it restart; check which slots are started, until as many have as are *wanted*."""
        if self._shell is None:
            raise TimeoutError("there is no shell to restart from")
        self._machine.console.write_bytes(b"")
        self.say(f"# {command}")
        self._shell.begin(command)
        started: list[str] = []
        deadline = time.monotonic() + limit_s
        while b"Restarting system" not in self._machine.console.read_bytes():
            if time.monotonic() > deadline:
                raise TimeoutError("it does not restart")
            time.sleep(0.5)
        self._shell.close()
        self._shell = None
        while len(started) < len(wanted) and time.monotonic() < deadline:
            time.sleep(1)
            text = self._machine.console.read_bytes().decode(errors="replace")
            found = re.findall(r"Command line: .*luna\.slot=([ab])", text)
            if found != started:
                self.say(f"it starts from slot {found[-1]}")
            started = found
        self._machine.console.write_bytes(b"")
        self.check(f"it started from {', '.join(wanted)}, in this order", started == wanted)
        self.run("systemctl start boot.mount; cat /proc/cmdline; ls /boot/loader/entries")


def carry_out(box: Box) -> None:
    """Go through everything, in an order in which each thing finds what it needs."""
    box.run(f"{PLUG_IN}; ls -l /run/updates")
    box.say("=== a bundle that is not as it should be")
    for name, sentence in (
        ("damaged", "the update bundle is damaged"),
        ("cut-off", "the update bundle is cut off"),
        ("unsigned", "not signed with a key of this box"),
        ("other-key", "not signed with a key of this box"),
        ("no-bundle", "this is not an update bundle"),
        ("other-machine", "this update is for pi5"),
        ("same", "is what runs already"),
        ("older", "older than 0.1.0"),
    ):
        box.refuses(APPLY.format(f"luna-{name}.luna"), sentence)
    _, text = box.run("luna update slots")
    box.check("slot a is what starts", "good  running, next" in text)
    box.say("=== a good one")
    box.run("luna update check /run/updates/luna-0.1.1.luna")
    code, _ = box.run(APPLY.format("luna-0.1.1.luna"))
    box.check("installed", code == 0)
    box.restart(["b"], LIMIT_S)
    box.run(
        "until [ -e /boot/loader/entries/luna-b.conf ] || systemctl is-failed -q luna-health; "
        "do sleep 5; done; journalctl -u luna-health -o cat --no-pager",
        TRIAL_S,
    )
    _, text = box.run(
        "systemctl is-system-running --wait; systemctl is-active boot-complete.target; "
        "luna --version; luna update slots; cat /data/system/update.json; systemctl --failed"
    )
    box.check("Luna 0.1.1 was kept", "slot b: 0.1.1    good  running, next" in text)
    box.check("no unit failed", "0 loaded units listed" in text)
    box.say("=== back")
    box.run("systemctl stop luna; luna update rollback")
    box.restart(["a"], LIMIT_S)
    box.run(PLUG_IN)
    _, text = box.run("luna --version; luna update slots")
    box.check("Luna 0.1.0 runs", "slot a: 0.1.0    good  running, next" in text)
    box.say("=== older than what has passed a trial here")
    box.refuses(APPLY.format("luna-older.luna"), "older than 0.1.1")
    for what, name in (
        ("a Luna that does not start", "0.1.2"),
        ("a system that cannot mount what it needs", "0.1.3"),
        ("a root that is garbage", "0.1.4"),
        ("an initrd that is garbage: the kernel panics", "0.1.5"),
    ):
        box.say(f"=== {what}")
        code, _ = box.run(APPLY.format(f"luna-{name}.luna"))
        box.check("installed", code == 0)
        box.restart(["b", "b", "a"], TRIAL_S)
        box.run(PLUG_IN)
        _, text = box.run("luna update slots")
        box.check("Luna 0.1.0 is back by herself", f"Luna {name} did not pass" in text)
    box.say("=== by the unit, from an address; a small system that only keeps its slot")
    box.run(f"{SERVE}; luna update check")
    box.restart(["b"], LIMIT_S, "systemctl start luna-update")
    _, text = box.run("systemctl is-system-running --wait; luna update slots; systemctl --failed")
    box.check("0.1.6 was kept", "slot b: 0.1.6    good  running, next" in text)
    box.check("no unit failed", "0 loaded units listed" in text)


def main() -> int:
    """Carry out the command line; return 0 where everything ended as it should."""
    parser = argparse.ArgumentParser(prog="image_build.trial_updates", description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("--root", type=Path, required=True, help="the root tree of that image")
    parser.add_argument("--key", type=Path, required=True, help="the private key of its updates")
    parser.add_argument("--target", choices=sorted(TARGETS), default="virt-amd64")
    parser.add_argument("--folder", type=Path, required=True, help="beside the tree; needs 8 GB")
    parser.add_argument("--stick", type=Path, help="the bundles of an earlier run")
    parser.add_argument("--log", type=Path, required=True)
    arguments = parser.parse_args()
    target = TARGETS[arguments.target]
    with (
        tempfile.TemporaryDirectory(dir=arguments.folder) as name,
        arguments.log.open("w", encoding="utf-8") as log,
    ):
        work = Path(name)
        stick: Path = arguments.stick or work / "stick"
        if not stick.exists():
            key = make_bundle.read_key(arguments.key)
            trial_bundles.write_stick(stick, work, target, arguments.root, key)
        box = Box(arguments.image, target, stick, work, log)
        try:
            carry_out(box)
        except (TimeoutError, OSError) as error:
            box.check(f"the box answers ({error})", False)
        finally:
            box.close()
        box.say(f"end: {len(box.failures)} failures")
    print(f"{len(box.failures)} failures; see {arguments.log}")
    return 1 if box.failures else 0


if __name__ == "__main__":
    sys.exit(main())
