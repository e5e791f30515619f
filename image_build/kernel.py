"""The kernel of an image: which modules stay, and the small initrd that finds the root slot.

Debian's own initrd is of no use here: making one for arm64 on another machine takes many minutes,
and a slot must be found by its name alone.
"""

from __future__ import annotations

import gzip
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path

KEPT = (
    r"kernel/arch/.*crc",
    r"kernel/crypto/(crc|lz4|lzo|zstd|xor)",
    r"kernel/drivers/(block/(virtio_blk|zram|loop)|virtio|char/(virtio|hw_random))",
    r"kernel/drivers/net/(virtio_net|net_failover|wireless|phy|usb|ethernet/(intel/e1000|realtek))",
    r"kernel/drivers/(ata|scsi/(sd_mod|scsi_mod|scsi_common|virtio_scsi)|nvme|mmc|usb/(core|host|"
    r"common|storage|serial|class|xhci)|hid|input|firmware|gpio|i2c/(i2c-dev|busses)|spi|thermal|rtc)",
    r"kernel/fs/(ext4|jbd2|mbcache|fat|nls|overlayfs|fuse|efivarfs|autofs|configfs)",
    r"kernel/lib/(crc|libcrc|lz4|zstd|raid6)",
    r"kernel/net/(core/failover|packet|ipv6|wireless|mac80211|rfkill|netfilter|unix|llc|802)",
    r"kernel/sound/(core|drivers/snd-aloop|usb|soundcore|hda|pci/(hda|ac97)|soc|virtio)",
    r"kernel/mm/",
)
"""What a voice appliance and its virtual machine need; the rest of Debian's 4,000 modules goes."""

INITRD_MODULES = ("virtio_pci", "virtio_blk", "ahci", "sd_mod", "nvme", "ext4")
"""Modules that reach the root slot; what they depend on comes along."""

VENDOR_FOLDERS = ("boot", "lib/modules", "lib/firmware", "usr/lib/modules", "usr/lib/firmware")


def prune_modules(root: Path) -> None:
    """Remove the modules that no image needs, and write the tables of those that stay."""
    wanted = re.compile("|".join(KEPT))
    for release in _releases(root):
        table = _table(release)
        kept = {path for path, _ in table.values() if wanted.match(path)}
        kept |= {needed for path, needs in table.values() if path in kept for needed in needs}
        for module in list(release.rglob("*.ko")):
            if str(module.relative_to(release)) not in kept:
                module.unlink()
        subprocess.run(["depmod", "--basedir", root, release.name], check=True)


def add_vendor(root: Path, vendor: Path) -> None:
    """Put a kernel that Debian has none of into *root*: the vendor's packages, unpacked.

    Args:
        root: the tree of an image.
        vendor: what ``dpkg -x`` makes of the packages; of it, the kernel, its device trees and
            overlays, modules and firmware are taken.

    Raises:
        FileNotFoundError: there is no kernel in it, or more than one.
    """
    kernel_file(vendor)
    for name in VENDOR_FOLDERS:
        if (vendor / name).is_dir():
            # /lib is a link to usr/lib in Debian, and not in every package.
            place = root / ("usr" if name.startswith("lib") else "") / name
            shutil.copytree(vendor / name, place, symlinks=True, dirs_exist_ok=True)
    for tree in sorted((vendor / "usr/lib").glob("linux-image-*")):
        shutil.copytree(tree, root / "usr/lib" / tree.name, symlinks=True, dirs_exist_ok=True)
    for release in _releases(root):
        subprocess.run(["depmod", "--basedir", root, release.name], check=True)


def kernel_file(root: Path) -> Path:
    """Return the kernel in *root*.

    Raises:
        FileNotFoundError: there is none, or more than one.
    """
    found = sorted((root / "boot").glob("vmlinuz-*"))
    if len(found) != 1:
        raise FileNotFoundError(f"{root}/boot: one kernel is needed, not {len(found)}")
    return found[0]


def initrd(root: Path, init: Path) -> bytes:
    """Return the initrd: the root's busybox, *init* and the modules that reach a root slot."""
    (release,) = _releases(root)
    files: list[tuple[str, int, bytes]] = [
        (name, stat.S_IFDIR | 0o755, b"")
        for name in ("bin", "dev", "proc", "sys", "newroot", "modules")
    ]
    files.append(("init", stat.S_IFREG | 0o755, init.read_bytes()))
    files.append(("bin/busybox", stat.S_IFREG | 0o755, (root / "usr/bin/busybox").read_bytes()))
    for number, module in enumerate(_with_dependencies(release, INITRD_MODULES)):
        name = f"modules/{number:02}-{module.name}"
        files.append((name, stat.S_IFREG | 0o644, module.read_bytes()))
    return gzip.compress(b"".join(_cpio(files)), 9, mtime=0)


def _releases(root: Path) -> list[Path]:
    folder = root / "usr/lib/modules"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _with_dependencies(release: Path, names: Iterable[str]) -> list[Path]:
    """Return the modules in the order in which they can be loaded."""
    table = _table(release)
    ordered: list[str] = []
    soft = ("crc32c_generic", "crc32c_intel") if "crc32c_generic" in table else ()
    for name in (*soft, *names):
        if name in table:  # else it is built into the kernel
            path, depends = table[name]
            ordered += [file for file in (*reversed(depends), path) if file not in ordered]
    return [release / path for path in ordered]


def _table(release: Path) -> dict[str, tuple[str, list[str]]]:
    """Return the path of each module, and those of all that it needs (modules.dep(5))."""
    table = {}
    for line in (release / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, needs = line.partition(":")
        table[Path(path).stem.replace("-", "_")] = (path, needs.split())
    return table


def _cpio(files: Iterable[tuple[str, int, bytes]]) -> Iterable[bytes]:
    """Yield an archive in the ``newc`` form that the kernel reads (cpio(5)), without times."""
    for number, (name, mode, data) in enumerate([*files, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = "070701" + "".join(f"{field:08X}" for field in fields)
        entry = head.encode() + name.encode() + b"\0"
        yield entry + b"\0" * (-len(entry) % 4)
        yield data + b"\0" * (-len(data) % 4)
