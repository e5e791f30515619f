"""A Debian 12 in a folder, in which packages are installed as on a real machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance import paths
from image_build import debian_packages
from image_build.targets import TARGETS

PROJECT = Path(__file__).parents[2]
TARGET = TARGETS["virt-amd64" if os.uname().machine == "x86_64" else "virt-arm64"]
UNNEEDED = ("./boot", "./usr/lib/modules", "./usr/lib/firmware")

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mmdebstrap"),
    reason="NOT TESTED: installing into a Debian needs root and mmdebstrap; run this as root",
)


def cache() -> Path:
    """Return the folder of what was downloaded or built, beside the models (LUNA_CACHE)."""
    return paths.models_dir().parent


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep other test processes from making the same thing in the cache meanwhile."""
    with (cache() / "tests.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def llama_wheel(*kind: str) -> Path:
    """Return llama.cpp's wheel, which `make test` has built; *kind* as in llama_wheel.sh."""
    script = [PROJECT / "image_build/setup/llama_wheel.sh", sys.executable]
    with one_at_a_time():
        done = subprocess.run(
            ["sh", *map(str, (*script, cache() / "wheels")), *kind],
            check=True,
            capture_output=True,
            text=True,
        )
    return Path(done.stdout.strip())


class DebianRoot:
    """The folder, and what can be done with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with one_at_a_time():
            archive = debian_packages.archive(TARGET, cache() / "images")
        left_out = [f"--exclude={name}" for name in UNNEEDED]
        subprocess.run(["tar", "-C", folder, "-xf", archive, *left_out], check=True)
        # Documents are left out of the image; here they are looked at.
        for file in (folder / "etc/dpkg/dpkg.cfg.d").iterdir():
            file.unlink()

    def run(
        self,
        *command: str,
        check: bool = True,
        binds: tuple[Path, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in there; *binds* are folders of this machine that are seen there too."""
        mounts = [f"mount -t proc proc {self.folder}/proc", f"mount --rbind /dev {self.folder}/dev"]
        for path in binds:
            (self.folder / path.relative_to("/")).mkdir(parents=True, exist_ok=True)
            mounts.append(f"mount --rbind {path} {self.folder}{path}")
        script = " && ".join([*mounts, f'exec chroot {self.folder} "$@"'])
        done = subprocess.run(
            # A mount namespace of its own: whatever happens, nothing stays mounted.
            ["unshare", "--mount", "sh", "-c", script, "sh", *command],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root",
                "LC_ALL": "C.UTF-8",
                "DEBIAN_FRONTEND": "noninteractive",
                **(environment or {}),
            },
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done


def files_of(folder: Path, *without: str) -> set[str]:
    """Return the paths of all files and folders below *folder*, but those below *without*."""
    found = set()
    for top, folders, names in os.walk(folder):
        here = f"/{Path(top).relative_to(folder)}".replace("/.", "/").rstrip("/")
        folders[:] = [name for name in folders if f"{here}/{name}" not in without]
        found |= {f"{here}/{name}" for name in (*folders, *names)}
    return found


@contextmanager
def debian_root(folder: Path) -> Iterator[DebianRoot]:
    """Give a Debian in *folder*, and remove it afterwards: it is large."""
    folder.mkdir()
    try:
        yield DebianRoot(folder)
    finally:
        shutil.rmtree(folder)
