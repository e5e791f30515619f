"""Reads and writes the first partition of an image, by mtools: nothing is mounted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from image_build import boot_files, disk, qemu
from image_build.targets import Target


def prepare(image: Path, copy: Path, arch: str, more: str = "") -> None:
    """Copy an image for a test, with a root shell on its second serial line."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, copy], check=True)
    open_shell(copy, arch, more)


def open_shell(image: Path, arch: str, more: str = "") -> None:
    """Let every boot entry of *image* start a root shell; *more* goes onto the command line too."""
    shell = _shell(arch, more).encode()
    for name in list_files(image, "loader/entries"):
        entry = read_file(image, name)
        if shell not in entry and name.endswith(".conf"):
            changed = entry.rstrip().replace(b" quiet", b"") + b" " + shell + b"\n"
            write_file(image, name, changed)


def command_line(target: Target, more: str = "") -> str:
    """Return the command line of an update for a test: as in :func:`open_shell`."""
    line = boot_files.command_line(target, "{slot}").replace(" quiet", "")
    return f"{line} {_shell(target.arch, more)}"


def _shell(arch: str, more: str) -> str:
    return f"systemd.debug_shell={qemu.SHELL_TTY[arch]}{more and ' '}{more}"


def list_files(image: Path, folder: str) -> list[str]:
    """Return the paths of the files in a folder of the boot partition."""
    listed = _mtools(image, "mdir", "-b", folder).decode().split()
    return [name.removeprefix("::/") for name in listed]


def read_file(image: Path, name: str) -> bytes:
    """Return a file of the boot partition."""
    return _mtools(image, "mtype", name)


def write_file(image: Path, name: str, content: bytes) -> None:
    """Write a file of the boot partition, in the place of the one that is there."""
    _mtools(image, "mcopy", "-o", "-", name, content=content)


def _mtools(image: Path, command: str, *arguments: str, content: bytes | None = None) -> bytes:
    """Run one of mtools on the boot partition; its last argument is a path there."""
    offset, _ = disk.partitions(image)["esp"]
    *options, path = arguments
    done = subprocess.run(
        [command, "-i", f"{image}@@{offset}", *options, f"::/{path}"],
        check=True,
        capture_output=True,
        input=content,
        env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
    )
    return done.stdout
