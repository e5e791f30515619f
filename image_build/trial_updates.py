"""Updates a virtual box as its owner would: good, refused and broken bundles, and the way back.

    sudo python -m image_build.trial_updates build/images/luna-virt-amd64.img \
        --root build/images/virt-amd64.work/root --key luna-update.key --folder build --log FILE

The image must have been built with that key's public half (`--update-key`) and with models, as the
gate has Luna say a sentence and understand it. Its microphone is the silent one of snd-aloop.
Every line of the log that begins with `#` was typed in a root shell of the box.
"""

from __future__ import annotations

import argparse
import py_compile
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.update.bundle import HEAD_BYTES, SIGNATURE_BYTES
from image_build import boot_files, cut_box, disk, make_bundle, qemu
from image_build.targets import MEBIBYTE, TARGETS, Target

LIMIT_S = 1800.0
"""For anything but the trial: in an emulated machine on a busy computer."""
TRIAL_S = 5400.0
MORE = "modules_load=snd-aloop mitigations=off"
"""A silent microphone; and nothing that an emulated processor cannot have, but must pay for."""
LIBRARY = "opt/luna/lib"
NEEDED = "PARTLABEL=nowhere /srv ext4 x-systemd.device-timeout=10 0 2\n"
"""A line of fstab that nothing can fulfil."""
APPLY = "OPENSSL_ia32cap=0 luna update apply /run/updates/{} --no-restart"
"""Emulated vector instructions hash at a third of the speed of none."""
PLUG_IN = "systemctl stop luna; mkdir /run/updates; mount -o ro /dev/vdb /run/updates"
"""Luna stops where nothing is asked of her: there is one emulated processor."""


class Bundles:
    """Writes the bundles into *folder*.

    Args:
        folder: becomes the content of a stick.
        work: beside the root tree, whose files are shared.
    """

    def __init__(
        self, folder: Path, work: Path, target: Target, root: Path, key: Ed25519PrivateKey
    ) -> None:
        self._folder, self._work, self._target = folder, work, target
        self._root, self._key = root, key
        self.boot = make_bundle.slot_files(target, root)
        line = boot_files.command_line(target, "{slot}").replace(" quiet", "")
        self._line = f"{line} systemd.debug_shell={qemu.SHELL_TTY[target.arch]} {MORE}"

    def luna(self, version: str, changes: Mapping[str, str]) -> None:
        """Pack the image's own root as another version, with some files changed."""
        tree = self._work / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run(["cp", "-al", self._root, tree], check=True)
        change(tree, f"{LIBRARY}/appliance/__init__.py", f'__version__ = "{version}"\n')
        for name, content in changes.items():
            change(tree, name, content)
        self.pack(version, self._image(tree, self._target.root_mebibytes))

    def small(self, version: str, fstab: str) -> None:
        """Pack the small system of the power cuts, with *fstab* more to mount."""
        tree = self._work / "tree"
        cut_box.make_tree(self._root, tree)
        change(tree, "etc/fstab", (tree / "etc/fstab").read_text() + fstab)
        self.pack(version, self._image(tree, cut_box.ROOT_MEBIBYTES))

    def pack(
        self,
        version: str,
        root: Path,
        *,
        name: str = "",
        key: Ed25519PrivateKey | None = None,
        target: str = "",
        boot: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write a bundle."""
        out = self._folder / f"luna-{name or version}.luna"
        make_bundle.write_bundle(
            out,
            key or self._key,
            version=version,
            target=target or self._target.name,
            command_line=self._line,
            boot=self.boot if boot is None else boot,
            root=root,
        )
        return out

    def garbage(self) -> Path:
        """Return the image of a root that cannot be mounted."""
        file = self._work / "garbage"
        file.write_bytes(random.Random(1).randbytes(MEBIBYTE))  # noqa: S311 - not for secrets
        return file

    def refused(self) -> None:
        """Write what must not be installed."""
        root, boot = self.garbage(), {"linux": b"kernel", "initrd": b"initrd"}
        data = bytearray(self.pack("0.1.9", root, boot=boot).read_bytes())
        damaged = data[:-1] + bytes([data[-1] ^ 1])
        unsigned = data.copy()
        unsigned[HEAD_BYTES - SIGNATURE_BYTES : HEAD_BYTES] = bytes(SIGNATURE_BYTES)
        for name, content in (
            ("damaged", damaged),
            ("cut-off", data[:-100]),
            ("unsigned", unsigned),
            ("no-bundle", data[1:]),
        ):
            (self._folder / f"luna-{name}.luna").write_bytes(content)
        other = Ed25519PrivateKey.generate()
        self.pack("0.1.9", root, boot=boot, key=other, name="other-key")
        self.pack("0.1.9", root, boot=boot, target="pi5", name="other-machine")
        self.pack("0.1.0", root, boot=boot, name="same")
        self.pack("0.0.9", root, boot=boot, name="older")

    def _image(self, tree: Path, mebibytes: int) -> Path:
        image = self._work / "root.ext4"
        image.unlink(missing_ok=True)  # it may be of another size
        disk.write_ext4(image, mebibytes, "root", tree, 0)
        return image


def change(tree: Path, name: str, content: str) -> None:
    """Write a file of *tree*, which shares its files with another."""
    file = tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(content)
    file.chmod(0o644)
    if file.suffix == ".py":
        compiled = file.parent / "__pycache__" / f"{file.stem}.cpython-311.pyc"
        compiled.unlink(missing_ok=True)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(file), str(compiled), f"/{name}", True, invalidation_mode=mode)


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
        qemu.prepare(image, folder / "disk.img", target.arch, MORE)
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

    def restart(self, wanted: list[str], limit_s: float) -> None:
        """Restart; check which slots are started, until as many have as are *wanted*."""
        if self._shell is None:
            raise TimeoutError("there is no shell to restart from")
        self._machine.console.write_bytes(b"")
        self.say("# systemctl reboot")
        self._shell.begin("systemctl reboot")
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
        self.run("cat /proc/cmdline; ls /boot/loader/entries")


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


def write_stick(
    stick: Path, work: Path, target: Target, root: Path, key: Ed25519PrivateKey
) -> None:
    """Write all bundles, and a file system with them."""
    folder = work / "bundles"
    folder.mkdir()
    bundles = Bundles(folder, work, target, root, key)
    bundles.luna("0.1.1", {})
    broken = {f"{LIBRARY}/appliance/app.py": 'raise RuntimeError("broken on purpose")\n'}
    bundles.luna("0.1.2", broken)
    bundles.small("0.1.3", NEEDED)
    bundles.pack("0.1.4", bundles.garbage())
    bundles.pack("0.1.5", bundles.garbage(), boot={**bundles.boot, "initrd": b"garbage"})
    bundles.refused()
    shutil.rmtree(work / "tree")
    size = sum(file.stat().st_size for file in folder.iterdir())
    disk.write_ext4(stick, size // MEBIBYTE + 64, "updates", folder, 0)
    shutil.rmtree(folder)


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
            write_stick(stick, work, target, arguments.root, key)
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
