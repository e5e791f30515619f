"""Makes the root tree: Debian, Luna with her Python packages, and the files that set it up."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from appliance.update.slots import SLOTS
from image_build import debian_packages, kernel, python_tree, service_files
from image_build.targets import DEBIAN, Target

OVERLAY = Path(__file__).parent / "root"
LIBRARY = "opt/luna/lib"
DEBIAN_LIBRARIES = ("usr/lib/python3.11", "usr/lib/python3")
OWNER = "owner"
"""Who logs in over SSH."""
LEFT_BEHIND = (
    "boot/initrd*",
    "etc/*-",  # passwd- and its like
    "etc/ssh/ssh_host_*",  # made on the box, at its first start
    "etc/apt/sources.list.d/*",
    "var/cache/*/*",
    "var/lib/apt/lists/*",
    "var/lib/dbus/machine-id",
    "var/lib/initramfs-tools/*",
    "var/log/*",
)
"""What is made on the box, or says when and where the image was built."""


def make_root(
    root: Path, target: Target, cache: Path, llama_wheel: Path, vendor: Path | None, epoch: int
) -> None:
    """Make the whole tree in *root*, which is emptied first.

    Args:
        root: the folder.
        target: the machine it is for.
        cache: where Debian's packages, once unpacked, and wheels are kept for the next build.
        llama_wheel: llama-cpp-python for the target.
        vendor: unpacked packages with the kernel of a machine that Debian has none for.
        epoch: SOURCE_DATE_EPOCH.
    """
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with tarfile.open(debian_packages.archive(target, cache)) as archive:
        archive.extractall(root, filter="fully_trusted")  # noqa: S202 - made by mmdebstrap
    if target.efi_loader:
        kernel.prune_modules(root)
    elif vendor is not None:
        kernel.add_vendor(root, vendor)
    python_tree.install(root / LIBRARY, target, llama_wheel, cache)
    shutil.copytree(OVERLAY, root, symlinks=True, dirs_exist_ok=True)
    service_files.put_for_an_image(root)
    _settle(root, target, epoch)
    python_tree.compile_all(root, (LIBRARY, *DEBIAN_LIBRARIES))
    python_tree.set_times(root, epoch)


def _settle(root: Path, target: Target, epoch: int) -> None:
    """Make users, switch units on, lock what has no password, and leave no trace of the build."""
    run = ["chroot", str(root)]
    (root / "etc/machine-id").write_text("", encoding="ascii")
    (root / "etc/hostname").write_text("luna\n", encoding="ascii")
    sources = f"deb http://deb.debian.org/debian {DEBIAN} main\n"
    (root / "etc/apt/sources.list").write_text(sources, encoding="ascii")
    for name, place in (
        ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
        ("etc/localtime", "/data/system/localtime"),
    ):
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(place)
    if target.slot_boot_mebibytes:
        with (root / "etc/fstab").open("a", encoding="ascii") as fstab:
            for slot in SLOTS:
                fstab.write(
                    f"PARTLABEL=boot_{slot} /boot/{slot} vfat noatime,umask=0077,nofail 0 2\n"
                )
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True)
    subprocess.run(
        [
            *(*run, "useradd", "--uid=1000", "--shell=/bin/bash", "--home-dir=/data/home"),
            *("--no-create-home", "--groups=sudo,luna,audio,systemd-journal", OWNER),
        ],
        check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )
    for user in ("root", OWNER):
        # `*` has no password that fits, but unlike `!` it does not close the account to keys.
        subprocess.run([*run, "usermod", "--password=*", user], check=True)
    subprocess.run(["systemctl", "--quiet", f"--root={root}", "preset-all"], check=True)
    for folder in ("data", "etc/luna", "opt/luna"):
        (root / folder).mkdir(exist_ok=True, parents=True)
    _forget_password_days(root / "etc/shadow")
    for pattern in LEFT_BEHIND:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _forget_password_days(shadow: Path) -> None:
    """Empty the third field, the day on which a password was set: it is the day of the build."""
    lines = [line.split(":") for line in shadow.read_text(encoding="ascii").splitlines()]
    text = "".join(":".join([*line[:2], "", *line[3:]]) + "\n" for line in lines)
    shadow.write_text(text, encoding="ascii")  # in place: owner and mode stay
