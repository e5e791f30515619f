"""Finds the GPIO chip of the header by its label, because its number changes with the kernel."""

from __future__ import annotations

import fcntl
import os
import pwd
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import PanelError

HEADERS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of the chips on the headers of the Raspberry Pi: 5, 4 and the earlier ones."""

# <linux/gpio.h>: struct gpiochip_info { char name[32]; char label[32]; __u32 lines; }
_INFO = struct.Struct("32s32sI")
_GET_CHIPINFO = 0x8044B401

ReadInfo = Callable[[Path], bytes]


@dataclass(frozen=True)
class Chip:
    """A GPIO chip of this machine."""

    number: int
    label: str
    lines: int


def read_info(path: Path) -> bytes:
    """Ask the kernel about the chip *path*. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return fcntl.ioctl(descriptor, _GET_CHIPINFO, bytes(_INFO.size))
    finally:
        os.close(descriptor)


def find(wanted: str = "", dev: Path = Path("/dev"), read: ReadInfo = read_info) -> Chip:
    """Return the chip whose label contains *wanted*; empty: a Raspberry Pi's header.

    Raises:
        PanelError: there is none, or it may not be opened.
    """
    found: list[Chip] = []
    refused: Path | None = None
    for path in sorted(dev.glob("gpiochip*"), key=_number):
        try:
            _, label, lines = _INFO.unpack(read(path))
        except PermissionError:
            refused = path
        except OSError as error:
            raise PanelError(f"{path} cannot be opened: {error.strerror}") from error
        else:
            text = label.split(b"\0")[0].decode(errors="replace")
            found.append(Chip(_number(path), text, lines))
    for part in (wanted,) if wanted else HEADERS:
        for chip in found:
            if part in chip.label:
                return chip
    if refused:
        user = pwd.getpwuid(os.getuid()).pw_name
        raise PanelError(
            f"{refused}: permission denied; add user {user} to group gpio "
            f"(sudo adduser {user} gpio) and start Luna again"
        )
    if not found:
        raise PanelError(
            f"there is no GPIO chip ({dev}/gpiochip*) on this machine; "
            'choose another board, or none (panel.board = "")'
        )
    what = f"no GPIO chip is labelled {wanted!r}" if wanted else "no GPIO chip of a known header"
    labels = ", ".join(chip.label for chip in found)
    raise PanelError(f"{what}; there are {labels}: put one of these into the board's profile")


def _number(path: Path) -> int:
    digits = path.name.removeprefix("gpiochip")
    return int(digits) if digits.isdecimal() else -1
