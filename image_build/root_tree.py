"""Makes the root tree: Debian, Luna with her Python packages, and the files that set it up."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from image_build import kernel, python_tree, service_files
from image_build.targets import COMMON_PACKAGES, DEBIAN, Target

OVERLAY = Path(__file__).parent / "root"
LIBRARY = "opt/luna/lib"
LEFT_OUT = ("usr/share/man/*", "usr/share/doc/*", "usr/share/locale/*", "usr/share/info/*")
"""Of Debian's packages: 200 MB that nobody reads on the box."""
OWNER = "owner"
"""Who logs in over SSH."""


def make_root(root: Path, target: Target, cache: Path, llama_wheel: Path, epoch: int) -> None:
    """Make the whole tree in *root*, which is emptied first.

    Args:
        root: the folder.
        target: the machine it is for.
        cache: where Debian's packages, once unpacked, and wheels are kept for the next build.
        llama_wheel: llama-cpp-python for the target.
        epoch: SOURCE_DATE_EPOCH.
    """
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with tarfile.open(debian(target, cache, epoch)) as archive:
        archive.extractall(root, filter="fully_trusted")  # noqa: S202 - made by mmdebstrap
    kernel.prune_modules(root)
    for useless in (root / "boot").glob("initrd*"):
        useless.unlink()
    python_tree.install(root / LIBRARY, target, llama_wheel, cache)
    python_tree.compile_all(root, root / LIBRARY)
    shutil.copytree(OVERLAY, root, symlinks=True, dirs_exist_ok=True)
    service_files.put_for_an_image(root)
    _settle(root)
    python_tree.clear_times(root, epoch)


def debian(target: Target, cache: Path, epoch: int) -> Path:
    """Return an archive with the target's Debian packages; the network is needed the first time."""
    packages = sorted({*COMMON_PACKAGES, *target.packages})
    mirror = os.environ.get("DEBIAN_MIRROR", "")
    key = hashlib.sha256(" ".join([DEBIAN, target.arch, mirror, *packages, *LEFT_OUT]).encode())
    archive = cache / f"debian-{target.name}-{key.hexdigest()[:16]}.tar"
    if archive.is_file():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    part = archive.with_suffix(f".{os.getpid()}.tar")
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--architectures={target.arch}",
        f"--include={','.join(packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude=/{pattern}" for pattern in LEFT_OUT),
        DEBIAN,
        str(part),
        *([mirror] if mirror else []),
    ]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)})
    part.rename(archive)
    return archive


def _settle(root: Path) -> None:
    """Make users, switch units on, and lock what has no password."""
    run = ["chroot", str(root)]
    (root / "etc/machine-id").write_text("", encoding="ascii")
    (root / "etc/hostname").write_text("luna\n", encoding="ascii")
    for name, target in (
        ("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
        ("etc/localtime", "/data/system/localtime"),
    ):
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()  # made on the box, at its first start
    subprocess.run(["systemd-sysusers", f"--root={root}"], check=True)
    subprocess.run(
        [
            *(*run, "useradd", "--uid=1000", "--shell=/bin/bash", "--home-dir=/data/home"),
            *("--no-create-home", "--groups=sudo,luna,audio,systemd-journal", OWNER),
        ],
        check=True,
    )
    for user in ("root", OWNER):
        # `*` has no password that fits, but unlike `!` it does not close the account to keys.
        subprocess.run([*run, "usermod", "--password=*", user], check=True)
    subprocess.run(["systemctl", f"--root={root}", "preset-all"], check=True)
    for folder in ("data", "etc/luna", "opt/luna"):
        (root / folder).mkdir(exist_ok=True, parents=True)
