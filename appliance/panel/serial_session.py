"""One session with a panel on a serial port: from the handshake until it is lost.

Reading and writing never wait. What is said twice a second is everything, not only what changed:
a frame that was lost does no lasting harm, in either direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from appliance.clock import monotonic
from appliance.errors import PanelError
from appliance.panel import serial_frames as frames
from appliance.panel.device import Connected, Edge, Frame, Layout, MuteSwitched, Report, Turned
from appliance.panel.serial_frames import FrameDecoder, Hello, Inputs

CHUNK = 4096
"""Bytes that are read at once, then the event loop has its turn: what the kernel keeps of a tty."""


@dataclass(frozen=True)
class Timing:
    """How patient the host is, in seconds."""

    tick_s: float = 0.25
    keep_alive_s: float = 0.5
    """Everything is said again so often, so that a lost frame does no lasting harm."""
    handshake_s: float = 3.0
    silence_s: float = 2.0
    """Four keep-alives of the panel are missing."""
    retry_s: float = 1.0
    """The pause before the port is looked for again; it doubles while a port is there in vain,"""
    longest_retry_s: float = 10.0
    """up to this; a panel that lasted for less is in vain too."""
    bytes_per_s: int = 16_384
    """More than a UART carries, and far more than buttons need: such a panel is out of order."""


class SerialSession:
    """One opened port, from the handshake until it is lost."""

    def __init__(
        self,
        fd: int,
        port: str,
        decoder: FrameDecoder,
        report: Callable[[SerialSession, Report], None],
        timing: Timing,
    ) -> None:
        self.layout = Layout()
        self.connected_at = 0.0
        """When the panel was there, in seconds of ``CLOCK_MONOTONIC``; 0 before."""
        self._fd = fd
        self._port = port
        self._decoder = decoder
        self._report = report
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._reason = ""
        self._nonce = secrets.token_hex(2)
        self._hello: Hello | None = None
        self._inputs: Inputs | None = None
        self._pressed = 0
        """Buttons whose press was reported."""
        self._shown: dict[str, bytes] = {}
        """The last frame of each kind, to be said again."""
        self._waiting: dict[str, bytes] = {}
        """Frames to be written: only the newest of each kind, so that it cannot grow."""
        self._unsent = b""
        """The rest of the frame that is being written."""
        self._began = self._heard = self._wrote = monotonic()
        self._said = 0.0
        self._allowance = float(timing.bytes_per_s)

    @property
    def connected_s(self) -> float:
        """For how many seconds the panel has been there."""
        return monotonic() - self.connected_at if self.connected_at else 0.0

    async def run(self) -> None:
        """Serve the panel.

        Raises:
            PanelError: it is lost; the sentence says why.
        """
        self._loop.add_reader(self._fd, self._readable)
        try:
            while not self._ended.is_set():
                self._tick()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._timing.tick_s):
                        await self._ended.wait()
        finally:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._decoder.reset()
        raise PanelError(self._reason)

    def show(self, frame: Frame) -> None:
        """Send what differs from the last frame."""
        count = self.layout.count
        colours = (*frame.colours, *((0, 0, 0),) * count)[:count]
        news = {
            "state": frames.state(frame.state),
            "brightness": frames.brightness(frame.brightness),
            "leds": frames.leds(bytes(part for colour in colours for part in colour)),
        }
        for kind, data in news.items():
            if self._shown.get(kind) != data:
                self._shown[kind] = data
                self._send(kind, data)

    # --- time ---

    def _tick(self) -> None:
        """Say what is due, and notice what is overdue."""
        now, timing = monotonic(), self._timing
        self._allowance = min(
            timing.bytes_per_s, self._allowance + timing.bytes_per_s * timing.tick_s
        )
        if not self.connected_at and now - self._began > timing.handshake_s:
            return self._give_up(f"{self._port} does not answer as a panel of Luna's does")
        if self.connected_at and now - self._heard > timing.silence_s:
            return self._give_up(f"the panel on {self._port} has fallen silent; plug it in again")
        if self._unsent and now - self._wrote > timing.silence_s:
            return self._give_up(f"the panel on {self._port} does not read; plug it in again")
        if now - self._said >= timing.keep_alive_s:
            self._said = now
            if not self.connected_at:
                self._send("hello", frames.hello(self._nonce))
            for kind, data in (self._shown or {"alive": frames.alive()}).items():
                self._send(kind, data)
        return None

    def _give_up(self, reason: str) -> None:
        """End the session; the first reason counts."""
        self._reason = self._reason or reason
        self._ended.set()

    # --- in ---

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._fd)
            return self._give_up(f"the panel on {self._port} was unplugged")
        self._allowance -= len(data)
        if self._allowance < 0:
            self._loop.remove_reader(self._fd)
            return self._give_up(f"the panel on {self._port} sends without end; plug it in again")
        for message in self._decoder.messages(data):
            if self._ended.is_set():
                return None
            if isinstance(message, Hello):
                self._greeted(message)
            elif self._hello:
                self._stands(self._hello, message)
        return None

    def _greeted(self, hello: Hello) -> None:
        # Another nonce before ours is what the panel or the kernel had kept from an earlier time.
        if hello.nonce != self._nonce:
            if self.connected_at:
                self._give_up(f"the panel on {self._port} has restarted")
        elif hello.version != frames.VERSION:
            self._give_up(
                f"the panel on {self._port} speaks version {hello.version} of the protocol and"
                f" Luna version {frames.VERSION}: install the firmware that came with this Luna"
            )
        else:
            self._hello = hello

    def _stands(self, hello: Hello, inputs: Inputs) -> None:
        """Report what differs from how everything stood before."""
        self._heard = now = monotonic()
        before, self._inputs = self._inputs, inputs
        if before is None:
            # A button that was down already may be stuck: it counts once it was released.
            self.layout, self.connected_at = hello.layout, now
            self._tell(Connected(f"{hello.name} ({self._port})"))
            if hello.mute_switch:
                self._tell(MuteSwitched(inputs.mute_switch))
            return
        for bit, role in enumerate(hello.buttons):
            mask = 1 << bit
            if inputs.buttons & mask & ~before.buttons:
                self._pressed |= mask
                self._tell(Edge(now, role, pressed=True))
            elif self._pressed & mask & ~inputs.buttons:
                self._pressed &= ~mask
                self._tell(Edge(now, role, pressed=False))
        if hello.mute_switch and inputs.mute_switch != before.mute_switch:
            self._tell(MuteSwitched(inputs.mute_switch))
        half = frames.ENCODER_RANGE // 2
        steps = (inputs.encoder - before.encoder + half) % frames.ENCODER_RANGE - half
        if hello.encoder and steps:
            self._tell(Turned(steps))

    def _tell(self, report: Report) -> None:
        self._report(self, report)

    # --- out ---

    def _send(self, kind: str, data: bytes) -> None:
        if not self._unsent and not self._waiting:
            self._wrote = monotonic()
        self._waiting[kind] = data
        self._flush()

    def _flush(self) -> None:
        """Write as much as the port takes now."""
        try:
            while self._unsent or self._waiting:
                if not self._unsent:
                    self._unsent = self._waiting.pop(next(iter(self._waiting)))
                self._unsent = self._unsent[os.write(self._fd, self._unsent) :]
                self._wrote = monotonic()
        except BlockingIOError:
            self._loop.add_writer(self._fd, self._flush)
        except OSError:
            self._loop.remove_writer(self._fd)
            self._give_up(f"the panel on {self._port} was unplugged")
        else:
            self._loop.remove_writer(self._fd)
