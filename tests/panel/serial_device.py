"""A serial panel at the other end of a pseudo-terminal, with the firmware's protocol code in it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pty
import sys
import tty
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from appliance.clock import monotonic

FIRMWARE = Path(__file__).parents[2] / "firmware_config/serial_panel"
HURRY = 4
"""The simulated panel's clock runs so much faster, and its keep-alives come so much more often."""


def firmware_protocol() -> ModuleType:
    """Return the firmware's protocol module."""
    spec = importlib.util.spec_from_file_location("panel_protocol", FIRMWARE / "protocol.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    spec.loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


protocol = firmware_protocol()


class PseudoTerminal:
    """A port that is plugged in while this exists. *link* leads to it, as those of udev do."""

    def __init__(self, link: Path) -> None:
        self.fd, self._port = pty.openpty()
        tty.setraw(self._port)
        os.set_blocking(self.fd, False)
        self._link = link
        self._plugged = True
        link.symlink_to(os.ttyname(self._port))

    def unplug(self) -> None:
        if self._plugged:
            self._plugged = False
            self._link.unlink()
            os.close(self._port)
            os.close(self.fd)

    def write(self, data: bytes) -> int:
        """Send *data*; what the host's buffer cannot take is lost, as on a real line."""
        with contextlib.suppress(BlockingIOError):
            return os.write(self.fd, data)
        return 0

    def read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self.fd, 65536)
        return b""


class SimulatedPanel(PseudoTerminal):
    """A panel that works. Set ``buttons``, ``muted`` and ``position`` as a finger would."""

    def __init__(self, link: Path, *, mutilate: Callable[[bytes], bytes] | None = None) -> None:
        """*mutilate* is done to everything the panel sends."""
        super().__init__(link)
        self.buttons = self.position = 0
        self.muted = False
        self.received = bytearray()
        self._mutilate = mutilate or (lambda data: data)
        self.panel: Any = protocol.Panel(self._send, "sim", ["talk", "stop"], "ring", 4, True, True)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.fd, self._readable)
        self.panel.start(self.now)
        self._polling = self._loop.create_task(self._poll())

    @property
    def now(self) -> int:
        """Milliseconds of a clock that is about to wrap."""
        return (int(monotonic() * 1000 * HURRY) - 5000) & (protocol.TICKS_PERIOD - 1)

    def unplug(self) -> None:
        if self._plugged:
            self._polling.cancel()
            self._loop.remove_reader(self.fd)
        super().unplug()

    def restart(self) -> None:
        """Begin anew without being unplugged, as on a UART."""
        self.panel.host_there = False
        self.panel.start(self.now)

    def fall_silent(self) -> None:
        """Neither read nor write any more."""
        self._polling.cancel()
        self._loop.remove_reader(self.fd)

    def _send(self, data: bytes) -> int:
        return self.write(self._mutilate(data))

    def _readable(self) -> None:
        data = self.read()
        self.received += data
        for byte in data:
            self.panel.receive(byte, self.now)

    async def _poll(self) -> None:
        while True:
            self.panel.poll(self.buttons, self.muted, self.position, self.now)
            await asyncio.sleep(0.002)


async def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)
