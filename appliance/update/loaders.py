"""The boot partition: systemd-boot's entries, or the files by which a Raspberry Pi chooses.

FAT has no journal. Every file is therefore written beside its place, synced, and only then
renamed; what starts the running slot is never touched while the other slot is being changed.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from appliance.errors import UpdateError
from appliance.storage.files import FileLayer
from appliance.update.slots import (
    SLOTS,
    TRIES,
    Entry,
    entry_text,
    next_boot,
    next_number,
    one_a_slot,
    other,
    parse_entry,
)

MAX_FILE = 64 * 1024
"""Bytes of a text file on the boot partition."""
UNFINISHED = ".new"


class BootLoader(Protocol):
    """What an update needs of a boot loader. All methods raise OSError."""

    def entries(self) -> Mapping[str, Entry]:
        """Return what is known about each slot that can be started."""

    def next(self) -> str:
        """Return the slot that the next start takes."""

    def retire(self, slot: str) -> None:
        """Let *slot* not be started any more: it is about to be overwritten."""

    def try_next(self, slot: str, version: str, command_line: str) -> None:
        """Let the next start try *slot*; a failure brings the other one back."""

    def bless(self, slot: str) -> None:
        """Keep *slot*: it has passed its trial."""

    def prefer(self, slot: str) -> None:
        """Let *slot*, a good one, be started from now on."""

    def restart(self) -> None:
        """Start the machine again, with the slot that :meth:`try_next` named."""


class _Files:
    """Files on the boot partition, each changed whole or not at all."""

    def __init__(self, boot: Path, layer: FileLayer) -> None:
        self.boot = boot
        self.layer = layer

    def read(self, path: Path) -> str:
        if self.layer.size(path) > MAX_FILE:
            raise UpdateError(f"{path} is too large to be a file of the boot loader")
        return self.layer.read(path).decode("utf-8", errors="replace")

    def write(self, path: Path, data: bytes) -> None:
        part = path.with_name(path.name + UNFINISHED)
        descriptor = self.layer.open(part, empty=True)
        try:
            self.layer.write(descriptor, data)
            self.layer.sync(descriptor)
        finally:
            self.layer.close(descriptor)
        self.layer.rename(part, path)
        self.layer.sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.layer.remove(path)
        self.layer.sync_folder(path.parent)


class SystemdBoot(_Files):
    """A machine with EFI firmware: one file an entry, with the tries in its name."""

    @property
    def _folder(self) -> Path:
        return self.boot / "loader/entries"

    def _all(self) -> list[Entry]:
        found = [
            parse_entry(name, self.read(self._folder / name))
            for name in sorted(self.layer.names(self._folder))
            if name.startswith("luna-") and name.endswith(".conf")
        ]
        return [entry for entry in found if entry is not None]

    def entries(self) -> Mapping[str, Entry]:
        """Return what is known about each slot that can be started."""
        return one_a_slot(self._all())

    def next(self) -> str:
        """Return the slot that the next start takes."""
        entry = next_boot(self._all())
        return entry.slot if entry else ""

    def retire(self, slot: str) -> None:
        """Remove all entries of *slot*, also torn ones."""
        for name in self.layer.names(self._folder):
            if re.fullmatch(rf"luna-{slot}[.+].*", name):
                self.layer.remove(self._folder / name)
        self.layer.sync_folder(self._folder)

    def try_next(self, slot: str, version: str, command_line: str) -> None:
        """Write an entry with tries to spare; it counts from the rename on."""
        entry = Entry(slot, next_number(self._all()), version, left=TRIES)
        text = entry_text(slot, entry.number, version, command_line)
        self.write(self._folder / entry.name, text.encode())

    def bless(self, slot: str) -> None:
        """Take the counter away; there is a whole entry at any moment."""
        entry = self.entries().get(slot)
        if entry is None or entry.left is None:
            return
        old = self._folder / entry.name
        good = Entry(slot, entry.number, entry.version)
        self.write(self._folder / good.name, self.read(old).encode())
        self.remove(old)

    def prefer(self, slot: str) -> None:
        """Give the entry of *slot* the highest version."""
        entries = self._all()
        path = self._folder / Entry(slot, 0, "").name
        version = self.entries()[slot].version
        line = f"version {next_number(entries)}-{version}"
        text = re.sub(r"^version[ \t].*$", line, self.read(path), flags=re.M)
        self.write(path, text.encode())

    def restart(self) -> None:
        """Start the machine again."""
        _systemctl("reboot")


class Tryboot(_Files):
    """A Raspberry Pi: ``config.txt`` names the slot, ``tryboot.txt`` that of a single trial.

    The firmware reads ``tryboot.txt`` once, when it is asked to by the restart itself
    (https://www.raspberrypi.com/documentation/computers/config_txt.html#boot_partition-and-tryboot);
    whatever comes then, the start after that reads ``config.txt``.
    """

    _PREFIX = re.compile(r"^os_prefix=([ab])/[ \t]*$", re.M)
    _NOTE = re.compile(r"^# luna (\S+)$", re.M)

    def _slot_of(self, name: str) -> str:
        found = self._PREFIX.search(self.read(self.boot / name))
        if found is None:
            raise UpdateError(f"{self.boot / name} names no slot (os_prefix=a/ or b/)")
        return found[1]

    def entries(self) -> Mapping[str, Entry]:
        """Return what is known about each slot: the folder of one that works has its version."""
        chosen = self.next()
        found = {}
        for slot in SLOTS:
            with contextlib.suppress(FileNotFoundError):
                note = self._NOTE.search(self.read(self.boot / slot / "luna.version"))
                good = "luna.good" in self.layer.names(self.boot / slot) or slot == chosen
                version = note[1] if note else "?"
                found[slot] = Entry(slot, int(slot == chosen), version, None if good else 1)
        found.setdefault(chosen, Entry(chosen, 1, "?"))
        return found

    def next(self) -> str:
        """Return the slot that a start without a trial takes."""
        return self._slot_of("config.txt")

    def retire(self, slot: str) -> None:
        """Forget that *slot* was good."""
        folder = self.boot / slot
        names = self.layer.names(folder)
        for name in ("luna.good", "luna.version"):
            if name in names:
                self.layer.remove(folder / name)
        self.layer.sync_folder(folder)

    def try_next(self, slot: str, version: str, command_line: str) -> None:
        """Write what the trial starts; only :meth:`restart` asks for it."""
        folder = self.boot / slot
        line = command_line.replace("{slot}", slot) + "\n"
        self.write(folder / "cmdline.txt", line.encode())
        self.write(folder / "luna.version", f"# luna {version}\n".encode())
        self._point("tryboot.txt", slot)

    def bless(self, slot: str) -> None:
        """Let every start take *slot*."""
        folder = self.boot / slot
        if "luna.good" not in self.layer.names(folder):
            self.write(folder / "luna.good", b"\n")
        self.prefer(slot)

    def prefer(self, slot: str) -> None:
        """Let ``config.txt`` name *slot*, and ``tryboot.txt`` the other."""
        if self.next() != slot:
            self._point("config.txt", slot)
        self._point("tryboot.txt", other(slot))

    def _point(self, name: str, slot: str) -> None:
        text = self.read(self.boot / "config.txt")
        self.write(self.boot / name, self._PREFIX.sub(f"os_prefix={slot}/", text).encode())

    def restart(self) -> None:
        """Start the machine again, with ``tryboot.txt``."""
        _systemctl("reboot", "--reboot-argument=0 tryboot")


def _systemctl(*words: str) -> None:
    try:
        subprocess.run(["systemctl", *words], check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UpdateError("the machine cannot be restarted; restart it by hand") from error


def find(boot: Path, layer: FileLayer) -> BootLoader:
    """Return the boot loader whose files lie on the partition *boot*.

    Raises:
        UpdateError: there is none.
    """
    if (boot / "loader/entries").is_dir():
        return SystemdBoot(boot, layer)
    if (boot / "config.txt").is_file():
        return Tryboot(boot, layer)
    raise UpdateError(f"{boot} has the files of no boot loader; is the boot partition mounted?")
