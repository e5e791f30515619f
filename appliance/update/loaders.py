"""The boot partition: systemd-boot's entries, or the files by which a Raspberry Pi chooses.

One slot can be started at any moment: what starts it is on the disk, whole, before what starts the
other one is touched.
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
from appliance.update import fat
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

# Of a Raspberry Pi:
AUTOBOOT = "autoboot.txt"
BOOT_PARTITIONS = {"a": 2, "b": 3}
"""Number of each slot's boot partition on the card."""
BOARD = "board.txt"
"""Lines for the board that is plugged on; ``config.txt`` includes them."""
NOT_MOUNTED = "not-mounted"
"""A file that is seen in a slot's folder while its partition is not mounted there."""


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
    """Files on the boot partition."""

    def __init__(self, boot: Path, layer: FileLayer) -> None:
        self.boot = boot
        self.layer = layer

    def read(self, path: Path) -> str:
        if self.layer.size(path) > MAX_FILE:
            raise UpdateError(f"{path} is too large to be a file of the boot loader")
        return self.layer.read(path).decode("utf-8", errors="replace")

    def write(self, path: Path, data: bytes) -> None:
        fat.put(path, data, self.layer)

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
    """A Raspberry Pi: each slot has a boot partition, and ``autoboot.txt`` names the one to take.

    The slots' partitions are mounted at their folders. For a trial the restart itself asks the
    firmware to go by the ``[tryboot]`` line once; whatever comes then, the start after that goes
    by the other one
    (https://www.raspberrypi.com/documentation/computers/config_txt.html#autoboot-txt).
    """

    _CHOSEN = re.compile(r"^\[all\]\s+tryboot_a_b=1\s+boot_partition=(\d+)[ \t]*$", re.M)
    _NOTE = re.compile(r"^# luna (\S+)$", re.M)

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
        found = self._CHOSEN.search(self.read(self.boot / AUTOBOOT))
        slots = {str(number): slot for slot, number in BOOT_PARTITIONS.items()}
        if found is None or found[1] not in slots:
            raise UpdateError(f"{self.boot / AUTOBOOT} names no slot (boot_partition=2 or 3)")
        return slots[found[1]]

    def retire(self, slot: str) -> None:
        """Forget that *slot* was good."""
        folder = self.boot / slot
        names = self.layer.names(folder)
        if NOT_MOUNTED in names:
            raise UpdateError(f"the partition boot_{slot} is not mounted at {folder}; restart")
        for name in ("luna.good", "luna.version"):
            if name in names:
                self.layer.remove(folder / name)
        self.layer.sync_folder(folder)

    def try_next(self, slot: str, version: str, command_line: str) -> None:
        """Write what the trial starts, for the same board; only :meth:`restart` asks for it."""
        folder = self.boot / slot
        line = command_line.replace("{slot}", slot) + "\n"
        self.write(folder / "cmdline.txt", line.encode())
        if BOARD in self.layer.names(self.boot / other(slot)):
            self.write(folder / BOARD, self.read(self.boot / other(slot) / BOARD).encode())
        self.write(folder / "luna.version", f"# luna {version}\n".encode())

    def bless(self, slot: str) -> None:
        """Let every start take *slot*."""
        folder = self.boot / slot
        if "luna.good" not in self.layer.names(folder):
            self.write(folder / "luna.good", b"\n")
        self.prefer(slot)

    def prefer(self, slot: str) -> None:
        """Let ``autoboot.txt`` name *slot*, and the other one for a trial."""
        if self.next() != slot:
            fat.change(self.boot / AUTOBOOT, autoboot(slot).encode(), self.layer)

    def restart(self) -> None:
        """Start the machine again, by the line for a trial."""
        _systemctl("reboot", "--reboot-argument=0 tryboot")


def autoboot(slot: str) -> str:
    """Return an ``autoboot.txt`` by which *slot* is started, and the other one tried."""
    return (
        f"[all]\ntryboot_a_b=1\nboot_partition={BOOT_PARTITIONS[slot]}\n"
        f"[tryboot]\nboot_partition={BOOT_PARTITIONS[other(slot)]}\n"
    )


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
    if (boot / AUTOBOOT).is_file():
        return Tryboot(boot, layer)
    raise UpdateError(f"{boot} has the files of no boot loader; is the boot partition mounted?")
