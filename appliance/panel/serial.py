"""A panel on a serial port: a microcontroller on USB or UART. See docs/serial-panel.md.

The port is opened and closed in a thread, because a kernel that waits for a broken device would
hold up the event loop; reading and writing never wait. Whatever goes wrong ends the session
with one sentence, and the port is looked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import termios
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from appliance.errors import PanelError
from appliance.panel.device import Connected, Frame, Layout, Lost, Report
from appliance.panel.serial_frames import FrameDecoder
from appliance.panel.serial_session import SerialSession, Timing

if TYPE_CHECKING:
    import serial

BAUD = 115_200
"""For UARTs; USB does not care."""
LAST_WORDS_S = 0.05
"""A frame of a whole ring takes 22 ms on a UART."""
_USB_ID = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}(:.+)?", re.IGNORECASE)
NOT_FOUND = "no panel is plugged in; Luna uses it as soon as there is one"


class PortInfo(Protocol):
    """What is known of a serial port that is plugged in (pyserial's ``ListPortInfo``)."""

    device: str
    vid: int | None
    pid: int | None
    serial_number: str | None


class SerialPanel:
    """A :class:`~appliance.panel.device.PanelDevice`, found by its port or its USB id."""

    def __init__(
        self,
        port: str = "",
        usb_ids: Sequence[str] = (),
        *,
        timing: Timing | None = None,
        list_ports: Callable[[], Iterable[PortInfo]] | None = None,
    ) -> None:
        """*port* is a device file; without it the first port with one of *usb_ids* is taken.

        A USB id is ``VENDOR:PRODUCT`` in hexadecimal, or ``VENDOR:PRODUCT:SERIAL`` for one
        single device.
        """
        self._port = port
        self._usb_ids = usb_ids
        self._timing = timing or Timing()
        self._list_ports = list_ports or _comports
        self._report: Callable[[Report], None] = _nobody
        self._task: asyncio.Task[None] | None = None
        self._session: SerialSession | None = None
        self._looked = asyncio.Event()
        """Whether there is a panel, and how its mute switch stands, was found out once."""
        self._told: set[str] = set()
        self.decoder = FrameDecoder()
        """Counts frames, and what was skipped, of all sessions."""

    @property
    def layout(self) -> Layout:
        """The LEDs; none while no panel is connected."""
        return self._session.layout if self._session else Layout()

    async def start(self, report: Callable[[Report], None]) -> None:
        """Begin to look for the panel; returns when the first look is over.

        So the position of a mute switch is known before anything listens.

        Raises:
            PanelError: neither a port nor a USB id is configured, or an id is none.
        """
        if not self._port and not self._usb_ids:
            raise PanelError(
                "the serial panel has neither a port nor a USB id: set serial_port or"
                " serial_usb_ids in [panel]"
            )
        for usb_id in self._usb_ids:
            if not _USB_ID.fullmatch(usb_id):
                raise PanelError(
                    f"{usb_id!r} is not a USB id: write VENDOR:PRODUCT as lsusb shows it, such as"
                    " 2e8a:0005, into serial_usb_ids in [panel]"
                )
        self._report = report
        self._task = asyncio.create_task(self._run(), name="serial panel")
        await self._looked.wait()

    def show(self, frame: Frame) -> None:
        """Light the LEDs; dropped while no panel is connected."""
        if self._session:
            self._session.show(frame)

    async def close(self) -> None:
        """Switch the LEDs off and release the port."""
        if not self._task:
            return
        if self._session:
            self._session.show(Frame("off", (), 0.0))
            await asyncio.sleep(LAST_WORDS_S)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def _run(self) -> None:
        shortest, longest = self._timing.retry_s, self._timing.longest_retry_s
        pause = shortest
        try:
            while True:
                ports = await asyncio.to_thread(self._candidates)
                lasted = [await self._serve(port) for port in ports]
                if not ports and not self._told:
                    self._lost(NOT_FOUND)
                self._looked.set()
                in_vain = ports and max(lasted) < longest
                pause = min(2 * pause, longest) if in_vain else shortest
                await asyncio.sleep(pause)
        finally:
            self._looked.set()

    def _candidates(self) -> list[str]:
        """Return the ports where a panel may be."""
        if self._port:
            return [self._port] if os.path.exists(self._port) else []
        ids = {usb_id.lower() for usb_id in self._usb_ids}
        return [info.device for info in self._list_ports() if _ids_of(info) & ids]

    async def _serve(self, port: str) -> float:
        """Use the panel on *port* until it is lost; return for how many seconds there was one."""
        import serial

        # Whoever is cancelled while the thread opens the port drops the last reference but the
        # thread's; pyserial closes a port that nobody refers to any more.
        device = serial.Serial(baudrate=BAUD, exclusive=True)
        device.port = port
        session: SerialSession | None = None
        try:
            await asyncio.to_thread(device.open)
            fd = device.fileno()
            session = SerialSession(fd, port, self.decoder, self._arrived, self._timing)
            await session.run()
        except PanelError as error:
            self._session = None
            self._lost(str(error))
        except (OSError, termios.error) as error:
            self._lost(_refused(port, error))
        finally:
            self._session = None
            await asyncio.shield(asyncio.to_thread(_close, device))
        return session.connected_s if session else 0.0

    def _arrived(self, session: SerialSession, report: Report) -> None:
        if isinstance(report, Connected):
            self._session = session
            self._told.clear()
        self._report(report)
        self._looked.set()

    def _lost(self, reason: str) -> None:
        """Report why there is no panel, each reason once until there is one again."""
        if reason not in self._told:
            self._told.add(reason)
            self._report(Lost(reason))


def _nobody(_report: Report) -> None:
    """Take the reports of a panel that was not started."""


def _comports() -> Iterable[PortInfo]:
    from serial.tools.list_ports import comports

    return comports()


def _ids_of(info: PortInfo) -> set[str]:
    """Return the ids by which a port can be configured; none of one that is not USB."""
    if info.vid is None or info.pid is None:
        return set()
    usb_id = f"{info.vid:04x}:{info.pid:04x}"
    return {usb_id, f"{usb_id}:{info.serial_number}".lower()} if info.serial_number else {usb_id}


def _refused(port: str, error: Exception) -> str:
    """Return why *port* cannot be opened, and what to do."""
    code = error.errno if isinstance(error, OSError) else error.args[0]
    if code in (errno.EACCES, errno.EPERM):
        return (
            f"the panel's port {port} may not be opened: add the user luna to the group that owns"
            " it (sudo usermod -aG dialout luna) and restart Luna"
        )
    if code in (errno.EBUSY, errno.EAGAIN):
        return f"the panel's port {port} is used by another program; end it, or unset serial_port"
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO):
        return f"the panel on {port} was unplugged"
    return f"the panel's port {port} cannot be used ({error}); is it a serial port?"


def _close(device: serial.Serial) -> None:
    """Close a port, also one whose device is gone."""
    with contextlib.suppress(OSError, termios.error):
        if device.is_open:
            device.reset_output_buffer()  # else the kernel waits up to 30 s for it to be sent
    with contextlib.suppress(OSError):
        device.close()
