"""Debian's part of an image: its packages, unpacked once, and the lock of their versions."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from email.parser import HeaderParser
from pathlib import Path

from image_build.targets import COMMON_PACKAGES, DEBIAN, Target

LEFT_OUT = ("usr/share/man/*", "usr/share/doc/*", "usr/share/locale/*", "usr/share/info/*")
"""200 MB that nobody reads on the box."""
EPOCH = 1686355200
"""Times in the kept archive: Debian 12's release, so that it does not differ with the commit."""
SNAPSHOT = "http://snapshot.debian.org/archive"


def archive(target: Target, cache: Path) -> Path:
    """Return a tar archive of the target's packages; the network is needed the first time.

    ``DEBIAN_MIRROR`` in the environment is the address of a mirror, or a moment of
    snapshot.debian.org such as ``20261121T000000Z``.

    Raises:
        FileNotFoundError: programs of the target cannot be run here, and have to be.
    """
    mirror = os.environ.get("DEBIAN_MIRROR", "")
    packages = sorted({*COMMON_PACKAGES, *target.packages})
    key = hashlib.sha256(" ".join([DEBIAN, target.arch, mirror, *packages, *LEFT_OUT]).encode())
    file = cache / f"debian-{target.name}-{key.hexdigest()[:16]}.tar"
    if file.is_file():
        return file
    _check_foreign(target)
    cache.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}.tar")
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--architectures={target.arch}",
        f"--include={','.join(packages)}",
        '--aptopt=APT::Install-Recommends "false"',
        '--aptopt=Acquire::Check-Valid-Until "false"',  # a snapshot is old
        *(f"--dpkgopt=path-exclude=/{pattern}" for pattern in LEFT_OUT),
        DEBIAN,
        str(part),
        *sources(mirror),
    ]
    # Debian's own initrd is of no use here, and takes many minutes for another kind of machine.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "INITRD": "No"}
    try:
        subprocess.run(command, check=True, env=environment)
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def sources(mirror: str) -> list[str]:
    """Return where mmdebstrap takes packages from; nothing: from where it does by itself."""
    if not re.fullmatch(r"\d{8}T\d{6}Z", mirror):
        return [mirror] if mirror else []
    return [
        f"deb {SNAPSHOT}/debian/{mirror} {DEBIAN} main",
        f"deb {SNAPSHOT}/debian/{mirror} {DEBIAN}-updates main",
        f"deb {SNAPSHOT}/debian-security/{mirror} {DEBIAN}-security main",
    ]


def installed(root: Path) -> dict[str, str]:
    """Return the version of each package in *root*."""
    found = {}
    text = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    for paragraph in text.strip().split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if "installed" in (fields["Status"] or "").split():
            found[fields["Package"]] = fields["Version"]
    return dict(sorted(found.items()))


def lock_file(target: Target) -> Path:
    """Return the file with the versions that *target* was last released with."""
    return Path(__file__).parent / f"debian-{target.name}.lock"


def write_lock(file: Path, found: Mapping[str, str]) -> None:
    """Write the versions down."""
    file.write_text("".join(f"{name}={version}\n" for name, version in found.items()))


def differences(file: Path, found: Mapping[str, str]) -> list[str]:
    """Return what is not as the lock says, one sentence a package."""
    if not file.is_file():
        return ["there is no lock; --write-lock makes one"]
    lines = file.read_text(encoding="ascii").splitlines()
    return list(_sentences(dict(line.split("=", 1) for line in lines), found))


def _sentences(locked: Mapping[str, str], found: Mapping[str, str]) -> Iterable[str]:
    for name in sorted({*locked, *found}):
        if name not in locked:
            yield f"{name} {found[name]} is not in the lock"
        elif name not in found:
            yield f"{name} {locked[name]} is in the lock and was not installed"
        elif locked[name] != found[name]:
            yield f"{name} is {found[name]} and not {locked[name]}"


def _check_foreign(target: Target) -> None:
    if platform.machine() == target.platform:
        return
    # arch-test starts a small program of that kind: the kernel has to know its interpreter.
    if shutil.which("arch-test"):
        tried = subprocess.run(["arch-test", target.arch], check=False, capture_output=True)
        if tried.returncode == 0:
            return
    raise FileNotFoundError(
        f"programs of {target.arch} cannot be started here: install qemu-user-static, "
        "binfmt-support and arch-test (`make image` does); where /proc/sys/fs/binfmt_misc is "
        "empty, mount binfmt_misc there and restart binfmt-support"
    )
