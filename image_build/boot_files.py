"""What lies on the boot partition: systemd-boot's entries, or the Raspberry Pi's files."""

from __future__ import annotations

from pathlib import Path

from image_build import kernel
from image_build.targets import Target

SLOTS = ("a", "b")
TRIES = 2
"""So often a new slot is tried before the old one comes back."""
HERE = Path(__file__).parent

LUNA_TXT = (HERE / "luna.txt").read_bytes()
"""The owner's file, filled in on any computer before the first boot."""


def files(target: Target, root: Path) -> dict[str, bytes]:
    """Return the files of the boot partition, by path, with slot A to boot from."""
    found = {"luna.txt": LUNA_TXT}
    if target.efi_loader:
        found |= _efi(target, root)
    else:
        found |= _raspberry_pi(target)
    return found


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
    return (
        f"root=PARTLABEL=root_{slot} ro systemd.volatile=state luna.slot={slot} "
        f"console={target.console} quiet panic=10"
    )


def _efi(target: Target, root: Path) -> dict[str, bytes]:
    from appliance import __version__

    loader = (root / target.efi_loader).read_bytes()
    initrd = kernel.initrd(root, kernel.busybox(), HERE / "initrd_init")
    return {
        f"EFI/BOOT/{target.efi_name}": loader,
        "loader/loader.conf": b"timeout 0\nconsole-mode keep\neditor no\n",
        "loader/entries/luna-a.conf": entry(target, "a", __version__),
        "a/linux": kernel.kernel_file(root).read_bytes(),
        "a/initrd": initrd,
    }


def _raspberry_pi(target: Target) -> dict[str, bytes]:
    """Return the files by which the Pi's own boot loader chooses a slot (``tryboot``).

    Source: https://www.raspberrypi.com/documentation/computers/config_txt.html#autoboot-txt
    """
    from appliance import __version__

    config = (
        "[all]\narm_64bit=1\nauto_initramfs=0\nos_prefix=SLOT/\ncmdline=cmdline.txt\n"
        "dtparam=i2c_arm=on\ndtparam=spi=on\ndtparam=watchdog=on\nenable_uart=0\n"
    )
    made = {"autoboot.txt": b"[all]\ntryboot_a_b=0\nboot_partition=1\n"}
    for slot in SLOTS:
        made[f"{slot}/cmdline.txt"] = (command_line(target, slot) + " rootwait\n").encode()
    # By these, an update knows that there is a slot to go back to.
    made["a/luna.version"] = f"# luna {__version__}\n".encode()
    made["a/luna.good"] = b"\n"
    made["config.txt"] = config.replace("SLOT", "a").encode()
    made["tryboot.txt"] = config.replace("SLOT", "b").encode()
    return made
