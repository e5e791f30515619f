"""What lies on the boot partition: systemd-boot's entries, or the Raspberry Pi's files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance import __version__
from appliance.update.loaders import AUTOBOOT, BOARD, NOT_MOUNTED, autoboot
from appliance.update.slots import SLOTS
from image_build import kernel
from image_build.targets import Target

HERE = Path(__file__).parent

LUNA_TXT = (HERE / "luna.txt").read_bytes()
"""The owner's file, filled in on any computer before the first boot."""


def files(target: Target, root: Path) -> dict[str, bytes]:
    """Return the files below /boot, by path, with slot A to boot from."""
    found = {"luna.txt": LUNA_TXT}
    if target.efi_loader:
        found |= _efi(target, root)
    else:
        found |= _raspberry_pi(target, root)
    return found


def by_partition(target: Target, found: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Return the files of each boot partition: those of a slot may lie on one of its own."""
    if not target.slot_boot_mebibytes:
        return {"esp": dict(found)}
    shared = {name: data for name, data in found.items() if name[:2] not in ("a/", "b/")}
    parts = {"esp": shared}
    for slot in SLOTS:
        parts[f"boot_{slot}"] = {
            name[2:]: data for name, data in found.items() if name.startswith(f"{slot}/")
        }
        shared[f"{slot}/{NOT_MOUNTED}"] = b"The partition of this slot is not mounted here.\n"
    return parts


def entry(target: Target, slot: str, version: str) -> bytes:
    """Return the boot entry of a slot.

    The entry that sorts last is taken: by version, and after those that were tried in vain
    (https://uapi-group.org/specifications/specs/boot_loader_specification).
    """
    lines = (
        f"title Luna {version} (slot {slot})",
        "sort-key luna",
        f"version {version}",
        f"linux /{slot}/linux",
        f"initrd /{slot}/initrd",
        f"options {command_line(target, slot)}",
    )
    return ("\n".join(lines) + "\n").encode()


def command_line(target: Target, slot: str) -> str:
    """Return the kernel's command line of a slot."""
    words = (
        f"root=PARTLABEL=root_{slot} ro systemd.volatile=state luna.slot={slot} "
        f"console={target.console} quiet panic=10"
    )
    if target.efi_loader:
        return words
    # No initrd waits for the card, and Raspberry Pi's kernel has no memory limits unless asked.
    return f"{words} rootfstype=ext4 rootwait cgroup_enable=memory"


def _efi(target: Target, root: Path) -> dict[str, bytes]:
    loader = (root / target.efi_loader).read_bytes()
    initrd = kernel.initrd(root, HERE / "initrd_init")
    return {
        f"EFI/BOOT/{target.efi_name}": loader,
        "loader/loader.conf": b"timeout 0\nconsole-mode keep\neditor no\n",
        "loader/entries/luna-a.conf": entry(target, "a", __version__),
        "a/linux": kernel.kernel_file(root).read_bytes(),
        "a/initrd": initrd,
    }


CONFIG_TXT = """\
# Luna's. Overlays of the board that is plugged on are in board.txt; see luna.txt.
[all]
arm_64bit=1
kernel=kernel_2712.img
cmdline=cmdline.txt
auto_initramfs=0
dtparam=i2c_arm=on
dtparam=spi=on
dtparam=watchdog=on
include board.txt
"""
"""Raspberry Pi's own names: https://www.raspberrypi.com/documentation/computers/config_txt.html"""


def _raspberry_pi(target: Target, root: Path) -> dict[str, bytes]:
    """Return the files by which the Pi's own boot loader chooses a slot, and those of slot A.

    Its partition and slot B's have the same names in them; ``autoboot.txt`` names one, and the
    other for a trial. The box itself writes ``board.txt`` at its first start. The vendor's kernel,
    device trees and overlays are there only if the root has them.
    """
    made = {
        AUTOBOOT: autoboot("a").encode(),
        "a/config.txt": CONFIG_TXT.encode(),
        f"a/{BOARD}": b"# No board.\n",
        "a/cmdline.txt": (command_line(target, "a") + "\n").encode(),
        # By these, an update knows that there is a slot to go back to.
        "a/luna.version": f"# luna {__version__}\n".encode(),
        "a/luna.good": b"\n",
    }
    if any((root / "boot").glob("vmlinuz-*")):
        file = kernel.kernel_file(root)
        vendor = root / "usr/lib" / file.name.replace("vmlinuz", "linux-image")
        made["a/kernel_2712.img"] = file.read_bytes()
        for tree in sorted((vendor / "broadcom").glob("bcm2712*.dtb")):
            made[f"a/{tree.name}"] = tree.read_bytes()
        for overlay in sorted((vendor / "overlays").iterdir()):
            made[f"a/overlays/{overlay.name}"] = overlay.read_bytes()
    return made
