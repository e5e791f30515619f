"""The box whose plug ``power_cuts.py`` pulls: an image's own system, made small and fast to start.

What an emulated machine would need minutes for and what no cut concerns is left out: the models'
libraries, the network, most drivers, the service as a whole. What is there is the image's own: boot
loader, kernel, initrd, partitions, mounts, first start, store of reminders, `luna update`, the boot
counter, and the gate, of which only the examination is left out (there is no voice to examine).
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.update.bundle import Chunk, Manifest, digest_of, read_keys, read_manifest
from appliance.update.source import FileSource
from image_build import boot_files, boot_partition, disk, make_bundle
from image_build.targets import Target

ROOT_MEBIBYTES = 384
DATA_MEBIBYTES = 256
FILLER_MEBIBYTES = 32
"""By so much two versions differ, beside their boot files."""
LIBRARIES = (
    *("_cffi_backend", "annotated_types", "appliance", "cffi", "cryptography", "dateutil"),
    *("pydantic", "pydantic_core", "rapidfuzz", "six", "text_to_num", "tinydb"),
    *("typing_extensions", "typing_inspection"),
)
"""What the reminders and `luna update` import."""
DRIVERS = (
    *("kernel/sound", "kernel/net", "kernel/drivers/net", "kernel/drivers/mmc"),
    *("kernel/drivers/usb", "kernel/drivers/hid", "kernel/drivers/input", "kernel/drivers/i2c"),
    *("kernel/drivers/scsi", "kernel/drivers/ata", "kernel/drivers/nvme", "kernel/drivers/spi"),
)
FILES = (
    *("boot", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/perl-base"),
    *("usr/lib/x86_64-linux-gnu/espeak-ng-data", "usr/share/perl", "usr/share/sounds"),
    *("usr/share/X11", "usr/lib/udev/hwdb.bin", "usr/lib/udev/hwdb.d", "var/lib/dpkg/info"),
    "etc/systemd/zram-generator.conf",
)
MASKED = (
    *("avahi-daemon.service", "avahi-daemon.socket", "luna.service", "luna-backup.timer"),
    *("ssh.service", "systemd-logind.service", "systemd-networkd.service"),
    *("systemd-networkd.socket", "systemd-networkd-wait-online.service", "dbus.socket"),
    *("systemd-resolved.service", "systemd-timesyncd.service", "dbus.service"),
    *("systemd-network-generator.service", "systemd-pstore.service", "getty.target"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"),
    *("modprobe@configfs.service", "modprobe@dm_mod.service", "modprobe@drm.service"),
    *("modprobe@efi_pstore.service", "modprobe@fuse.service", "modprobe@loop.service"),
    *("sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount"),
    *("sys-kernel-tracing.mount", "dev-hugepages.mount", "dev-mqueue.mount"),
    *("e2scrub_all.timer", "e2scrub_reap.service", "systemd-user-sessions.service"),
)
GATE = """[Service]
ExecStart=
ExecStart=/usr/bin/python3 -P -c "from appliance.update.updater import *; Updater(Places()).bless()"
Environment=PYTHONPATH=/opt/luna/lib
"""
"""Instead of `luna health --boot`: what it does once Luna has passed."""
FASTER = "mitigations=off"
"""Each change of the page table costs an emulated machine dearly."""


@dataclass(frozen=True)
class Version:
    """A version of the box's system: what a slot must hold that has it."""

    name: str
    root: list[Chunk]
    boot: dict[str, bytes]
    bundle: Path | None
    """None: it is what the disk was made with."""

    def differs(self, image: Path, offset: int) -> str:
        """Return how a root slot differs from this version; empty: it does not."""
        with image.open("rb") as file:
            file.seek(offset)
            for number, chunk in enumerate(self.root):
                if digest_of(file.read(chunk.bytes)) != chunk.sha256:
                    return f"piece {number} of {len(self.root)}"
        return ""


def make_tree(root: Path, tree: Path) -> None:
    """Make the small tree from an image's *root*, of which it shares the files."""
    shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["cp", "-al", root, tree], check=True)
    library = tree / "opt/luna/lib"
    for entry in library.iterdir():
        if entry.name.partition(".")[0] not in LIBRARIES:
            _remove(entry)
    (modules,) = (tree / "usr/lib/modules").iterdir()
    for name in DRIVERS:
        _remove(modules / name)
    for name in FILES:
        _remove(tree / name)
    (tree / "boot").mkdir()
    units = tree / "etc/systemd/system"
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    (units / "luna-health.service.d").mkdir()
    (units / "luna-health.service.d/cuts.conf").write_text(GATE)


def make_disk(image: Path, target: Target, root: Path, tree: Path, key: Ed25519PrivateKey) -> Path:
    """Write the disk: the tree in slot A; return the small *target*'s disk."""
    small = _small(target)
    _put_key(tree, key)
    data = image.with_suffix(".data")
    for name in ("luna", "cache/models", "etc", "system/ssh", "home"):
        (data / name).mkdir(parents=True, exist_ok=True)
    boot = boot_files.by_partition(small, boot_files.files(small, root))
    disk.write_disk(image, small, boot=boot, root=tree, data=data, epoch=0)
    shutil.rmtree(data)
    boot_partition.open_shell(image, target.arch, FASTER)
    return image


def make_version(
    name: str, target: Target, root: Path, tree: Path, key: Ed25519PrivateKey, folder: Path
) -> Version:
    """Write the bundle of another version."""
    (tree / "filler").write_bytes(os.urandom(FILLER_MEBIBYTES << 20))
    image = folder / "root.ext4"
    disk.write_ext4(image, ROOT_MEBIBYTES, "root", tree, 0)
    (tree / "filler").unlink()
    boot = make_bundle.slot_files(target, root)
    bundle = folder / f"luna-{name}.luna"
    make_bundle.write_bundle(
        bundle,
        key,
        version=name,
        target=target.name,
        command_line=boot_partition.command_line(target, FASTER),
        boot=boot,
        root=image,
    )
    image.unlink()
    manifest = _manifest(bundle, tree)
    # A disk is a whole number of sectors long.
    os.truncate(bundle, -(-bundle.stat().st_size // disk.SECTOR) * disk.SECTOR)
    return Version(name, manifest.root, boot, bundle)


def _small(target: Target) -> Target:
    return dataclasses.replace(target, root_mebibytes=ROOT_MEBIBYTES, data_mebibytes=DATA_MEBIBYTES)


def _manifest(bundle: Path, tree: Path) -> Manifest:
    with bundle.open("rb") as file:
        return read_manifest(FileSource(file), read_keys([tree / "usr/share/luna/update.pub"]))


def _put_key(tree: Path, key: Ed25519PrivateKey) -> None:
    file = tree / "usr/share/luna/update.pub"
    file.unlink(missing_ok=True)  # it may be the image's own
    file.write_bytes(make_bundle.public_key(key))
    file.chmod(0o644)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
