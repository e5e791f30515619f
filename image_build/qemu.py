"""Starts a copy of an image in QEMU, and works in a root shell of it.

The shell is systemd's own debug shell on a second serial line. It is asked for by the kernel's
command line in the copy's boot entries, so that nothing of it is in the image itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from image_build import disk

FIRMWARE = {
    "amd64": (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
    "arm64": (Path("/usr/share/AAVMF/AAVMF_CODE.fd"), Path("/usr/share/AAVMF/AAVMF_VARS.fd")),
}
MACHINES = {
    "amd64": ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max"],
    "arm64": ["qemu-system-aarch64", "-machine", "virt", "-cpu", "cortex-a76"],
}
PAGE_PORT = 18080
"""Where `make boot-image` shows the page, once it is let in."""
SHELL_TTY = {"amd64": "ttyS1", "arm64": "ttyAMA1"}


class Machine:
    """A virtual machine that boots a copy of an image.

    Args:
        image: the disk; it is written to.
        arch: ``amd64`` or ``arm64``.
        folder: for firmware variables, sockets and the console's log.
        page_port: port of this machine that leads to the page; 0: none.
        disks: more files that the machine sees as ``/dev/vdb``, ``/dev/vdc`` and so on.
    """

    def __init__(
        self, image: Path, arch: str, folder: Path, page_port: int = 0, disks: Sequence[Path] = ()
    ) -> None:
        self.image = image
        self._disks = disks
        self.console = folder / "console.log"
        self._arch = arch
        self._folder = folder
        self._page_port = page_port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Switch it on."""
        code, variables = FIRMWARE[self._arch]
        own = self._folder / "variables.fd"
        if not own.exists():
            shutil.copy(variables, own)
        forward = f",hostfwd=tcp:127.0.0.1:{self._page_port}-:8080" if self._page_port else ""
        command = [
            *MACHINES[self._arch],
            *("-accel", "tcg,thread=multi", "-smp", "2", "-m", "2048", "-display", "none"),
            *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
            *("-drive", f"if=pflash,format=raw,file={own}"),
            *("-drive", f"if=none,id=disk,format=raw,file={self.image},cache=unsafe"),
            *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
            *("-netdev", f"user,id=net{forward}", "-device", "virtio-net-pci,netdev=net"),
            *("-serial", f"file:{self.console}"),
            *("-serial", f"unix:{self._shell_path},server=on,wait=off"),
            *("-qmp", f"unix:{self._folder}/qmp,server=on,wait=off"),
        ]
        for file in self._disks:
            command += ["-drive", f"if=virtio,format=raw,file={file}"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=self._folder)

    @property
    def _shell_path(self) -> Path:
        return self._folder / "shell"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def cut_power(self) -> None:
        """Stop it at once, as if the plug were pulled."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def shell(self, limit_s: float) -> Shell:
        """Return a root shell as soon as there is one.

        Raises:
            TimeoutError: there is none within the time; the console's log says why.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            time.sleep(0.5)
            if b"systemd[1]" not in self.console.read_bytes():
                continue  # the firmware would take what is typed for itself
            with contextlib.suppress(OSError):
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(str(self._shell_path))
                shell = Shell(connection)
                while time.monotonic() < deadline:
                    if shell.answers():
                        return shell
        last = self.console.read_bytes()[-2000:].decode(errors="replace")
        raise TimeoutError(f"no shell; the console's last words: {last}")


class Shell:
    """A root shell on a serial line."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def answers(self) -> bool:
        """Return whether somebody carries out what is typed."""
        try:
            self.run("stty -echo -onlcr; export TERM=dumb PS1= PS2=", 10.0)
        except TimeoutError:
            return False
        return True

    def run(self, command: str, limit_s: float = 60.0) -> tuple[int, str]:
        """Carry out a command; return its exit status and what it printed.

        Raises:
            TimeoutError: it did not end in time.
        """
        mark = uuid.uuid4().hex
        # Two halves, so that an echo of the line is not taken for its result.
        line = f"{command}\nprintf '%s%s:%d\\n' {mark[:16]} {mark[16:]} $?\n"
        self._connection.sendall(line.encode())
        wanted = re.compile(rb"(.*)" + mark.encode() + rb":(\d+)", re.DOTALL)
        received, deadline = b"", time.monotonic() + limit_s
        while time.monotonic() < deadline:
            self._connection.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                break
            if not data:
                break
            received += data
            if found := wanted.search(received):
                text = found[1].decode(errors="replace").replace("\r", "")
                return int(found[2]), text.strip("\n")
        raise TimeoutError(f"`{command}` did not end within {limit_s:.0f} s: {received[-500:]!r}")

    def watch(self, command: str, seconds: float) -> bytes:
        """Start a command; return what it has printed after *seconds*, ended or not."""
        self._connection.sendall(f"{command}\n".encode())
        received, deadline = b"", time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._connection.settimeout(left)
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                break
            if not data:
                break
            received += data
        return received.replace(b"\r", b"")


def prepare(image: Path, copy: Path, arch: str) -> None:
    """Copy an image for a test, with a root shell on its second serial line."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, copy], check=True)
    open_shell(copy, arch)


def open_shell(image: Path, arch: str, more: str = "") -> None:
    """Let every boot entry of *image* start a root shell; *more* goes onto the command line too."""
    offset, _ = disk.partitions(image)["esp"]
    drive, environment = f"{image}@@{offset}", {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    entries = "::/loader/entries"
    listed = subprocess.run(
        ["mdir", "-b", "-i", drive, entries], check=True, capture_output=True, env=environment
    )
    shell = f"systemd.debug_shell={SHELL_TTY[arch]}{more and ' '}{more}".encode()
    for name in listed.stdout.decode().split():
        read = subprocess.run(
            ["mtype", "-i", drive, name], check=True, capture_output=True, env=environment
        )
        if shell not in read.stdout and name.endswith(".conf"):
            changed = read.stdout.rstrip().replace(b" quiet", b"") + b" " + shell + b"\n"
            subprocess.run(
                ["mcopy", "-o", "-i", drive, "-", name], check=True, input=changed, env=environment
            )


def main() -> int:
    """Start an image with its console in this terminal; what it changes is not kept."""
    if len(sys.argv) != 2 or not (image := Path(sys.argv[1])).is_file():  # noqa: PLR2004
        sys.stderr.write("there is no such image; build it with `make image`\n")
        return 2
    arch = "arm64" if "arm64" in image.name else "amd64"
    code, variables = FIRMWARE[arch]
    sys.stderr.write(f"The page is at http://127.0.0.1:{PAGE_PORT}/ soon; Ctrl+A X ends it.\n")
    with tempfile.TemporaryDirectory() as folder:
        own = shutil.copy(variables, folder)
        command = [
            *MACHINES[arch],
            *("-accel", "tcg,thread=multi", "-smp", "2", "-m", "2048", "-nographic", "-snapshot"),
            *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
            *("-drive", f"if=pflash,format=raw,file={own}"),
            *("-drive", f"if=none,id=disk,format=raw,file={image}"),
            *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
            *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{PAGE_PORT}-:8080"),
            *("-device", "virtio-net-pci,netdev=net"),
        ]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
