"""Starts a copy of an image in QEMU, and works in a root shell of it.

The shell is systemd's own debug shell on a second serial line. It is asked for by the kernel's
command line in the copy's boot entries, so that nothing of it is in the image itself.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

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
CPUS = 2
OWN_CLOCK = 0
"""Instead of a number of processors: one, and a clock that goes on by a nanosecond with each of its
instructions. A busy machine makes the box slow then, but nothing in it late: it never loses sound,
and its time limits hold."""
SHELL_LINE = {
    "amd64": ("-serial", "chardev:shell"),
    "arm64": ("-device", "pci-serial,chardev=shell"),
}
"""The second serial line; QEMU's ``virt`` has one of its own alone."""
SHELL_TTY = {"amd64": "ttyS1", "arm64": "ttyS0"}


def _command(
    arch: str, image: Path, folder: Path, page_port: int, cpus: int, drive: str = ""
) -> list[str]:
    """Return the command for a machine without a console; *folder* has the firmware's variables."""
    processor = ["-accel", "tcg,thread=multi", "-smp", str(cpus)]
    if cpus == OWN_CLOCK:
        processor = ["-accel", "tcg,thread=single", "-icount", "shift=0"]
    code, variables = FIRMWARE[arch]
    own = folder / "variables.fd"
    if not own.exists():
        shutil.copy(variables, own)
    forward = f",hostfwd=tcp:127.0.0.1:{page_port}-:8080" if page_port else ""
    return [
        *MACHINES[arch],
        *processor,
        *("-m", "2048"),
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,file={own}"),
        *("-drive", drive or f"if=none,id=disk,format=raw,file={image},cache=unsafe"),
        *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
        *("-netdev", f"user,id=net{forward}", "-device", "virtio-net-pci,netdev=net"),
    ]


class Machine:
    """A virtual machine that boots a copy of an image.

    Args:
        image: the disk; it is written to.
        arch: ``amd64`` or ``arm64``.
        folder: for firmware variables, sockets and the console's log.
        page_port: port of this machine that leads to the page; 0: none.
        disks: more files that the machine sees as ``/dev/vdb``, ``/dev/vdc`` and so on.
        cpus: so many processors it has, or :data:`OWN_CLOCK`.
        drive: QEMU's ``-drive`` with the id ``disk``, instead of the plain *image*.
        options: more of QEMU's options; of one that is given twice, the last counts.
    """

    def __init__(
        self,
        image: Path,
        arch: str,
        folder: Path,
        page_port: int = 0,
        disks: Sequence[Path] = (),
        cpus: int = CPUS,
        drive: str = "",
        options: Sequence[str] = (),
    ) -> None:
        self.image = image
        self._drive = drive
        self._options = options
        self._disks = disks
        self._cpus = cpus
        self.console = folder / "console.log"
        self._arch = arch
        self._folder = folder
        self._page_port = page_port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Switch it on."""
        command = [
            *_command(
                self._arch, self.image, self._folder, self._page_port, self._cpus, self._drive
            ),
            *("-display", "none", "-serial", f"file:{self.console}"),
            *("-chardev", f"socket,id=shell,path={self._shell_path},server=on,wait=off"),
            *SHELL_LINE[self._arch],
            *("-qmp", f"unix:{self._folder}/qmp,server=on,wait=off"),
        ]
        for file in self._disks:
            command += ["-drive", f"if=virtio,format=raw,file={file}"]
        command += self._options
        self.console.write_bytes(b"")  # it is read before QEMU has made it
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
        """Return whether somebody carries out what is typed.

        It is a plain shell from then on: one that edits lines would switch the echo on again.
        """
        try:
            # Of what was typed while the line was being opened, the beginning may be missing.
            self._connection.sendall(b"\x03\n")
            self.run("exec sh", 10.0)
            set_up = "stty -echo -onlcr; export TERM=dumb PS1= PS2="
            _, text = self.run(f'{set_up}; echo "${{BASH_VERSION:-plain}}"', 10.0)
        except TimeoutError:
            return False
        return text.endswith("plain")

    def run(self, command: str, limit_s: float = 60.0) -> tuple[int, str]:
        """Carry out a command; return its exit status and what it printed.

        Raises:
            TimeoutError: it did not end in time.
        """
        mark = uuid.uuid4().hex
        # Two halves, so that an echo of the line is not taken for its result.
        line = f"{command}\nprintf '%s%s:%d\\n' {mark[:16]} {mark[16:]} $?\n"
        self._connection.sendall(line.encode())
        wanted = re.compile(mark.encode() + rb":(\d+)\s")
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
                text = received[: found.start()].decode(errors="replace").replace("\r", "")
                return int(found[1]), text.strip("\n")
        raise TimeoutError(f"`{command}` did not end within {limit_s:.0f} s: {received[-500:]!r}")

    def begin(self, command: str) -> None:
        """Start a command, and do not wait for it."""
        self._connection.sendall(f"{command}\n".encode())

    def until(self, found: Callable[[str], bool], limit_s: float) -> str:
        """Return what is printed from now on, as soon as *found* says that it has it.

        Raises:
            TimeoutError: it did not come in time.
        """
        received, deadline = b"", time.monotonic() + limit_s
        while not found(received.decode(errors="replace")):
            self._connection.settimeout(max(0.1, deadline - time.monotonic()))
            data = self._connection.recv(65536) if time.monotonic() < deadline else b""
            if not data:
                raise TimeoutError(f"only this was printed: {received[-500:]!r}")
            received += data.replace(b"\r", b"\n")
        return received.decode(errors="replace")

    def rest(self, seconds: float) -> str:
        """Return what is printed in the next *seconds*."""
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
        return received.replace(b"\r", b"\n").decode(errors="replace")

    def close(self) -> None:
        """Hang up; the next :meth:`Machine.shell` is a new one."""
        self._connection.close()


def main() -> int:
    """Start an image with its console in this terminal; what it changes is not kept."""
    if len(sys.argv) != 2 or not (image := Path(sys.argv[1])).is_file():  # noqa: PLR2004
        sys.stderr.write("there is no such image; build it with `make image`\n")
        return 2
    arch = "arm64" if "arm64" in image.name else "amd64"
    sys.stderr.write(f"The page is at http://127.0.0.1:{PAGE_PORT}/ soon; Ctrl+A X ends it.\n")
    with tempfile.TemporaryDirectory() as folder:
        command = _command(arch, image, Path(folder), PAGE_PORT, CPUS)
        return subprocess.run([*command, "-nographic", "-snapshot"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
