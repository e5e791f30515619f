"""Which board is there: the device tree's HAT node first, then the I2C bus, then USB.

Nothing is written to any device. A chip that a kernel driver already owns is read from sysfs; for
the others the bus is asked whether anything answers at the address, without data.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.panel.boards.profile import Profile

HEADER_BUS = 1
"""The I2C bus on the header of every Raspberry Pi with 40 pins."""
MAX_TEXT = 200
"""Characters of a property of the device tree."""

# <linux/i2c-dev.h>, <linux/i2c.h>
_I2C_SLAVE = 0x0703
_I2C_SMBUS = 0x0720
_SMBUS_WRITE = 0
_SMBUS_QUICK = 0

Answers = Callable[[int], bool]
"""Return whether a chip answers at an I2C address of the header; raises OSError."""


@dataclass(frozen=True)
class Found:
    """A board that may be there."""

    name: str
    """Of the profile."""
    reason: str
    sure: bool
    """Nothing else looks the same."""


@dataclass(frozen=True)
class Detection:
    """What was found."""

    computer: str
    """The model as the device tree says it; empty where there is none."""
    hat: str
    """Product text of the EEPROM; empty without one."""
    found: tuple[Found, ...]
    notes: tuple[str, ...] = ()
    """Why something could not be looked at."""


def detect(profiles: Sequence[Profile], root: Path, answers: Answers | None = None) -> Detection:
    """Look which of the *profiles* fit what is there.

    Args:
        profiles: those that may be found.
        root: the root of the file system; `/` but in tests and images.
        answers: asks the I2C bus of a Raspberry Pi's header; None looks at sysfs only.
    """
    tree = root / "proc/device-tree"
    hat = device_tree_text(tree / "hat" / "product")
    notes: list[str] = []
    found = [
        Found(profile.name, f"the board says that it is {hat}", sure=True)
        for profile in profiles
        if hat and hat in profile.identity.eeprom
    ]
    if hat and not found:
        notes.append(f"the board says that it is {hat!r}, which no profile knows")
    computer = device_tree_text(tree / "model")
    if not found:
        # On other computers the same bus may lead to anything, memory modules included.
        asked = answers if "Raspberry Pi" in computer else None
        found = _by_i2c(profiles, root, asked, notes)
    found += _by_usb(profiles, root)
    return Detection(computer, hat, tuple(found), tuple(notes))


def device_tree_text(file: Path) -> str:
    """Return a text of device tree or sysfs, without its end mark; empty when not there."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_TEXT)
    except OSError:
        return ""
    text = data.split(b"\0")[0].decode("utf-8", errors="replace").strip()
    return "".join(c if c.isprintable() else "?" for c in text)


# --- I2C -----------------------------------------------------------------------------------------


def _by_i2c(
    profiles: Sequence[Profile], root: Path, answers: Answers | None, notes: list[str]
) -> list[Found]:
    """Return the boards whose chips answer. The chip's name, where known, decides among them."""
    found: list[Found] = []
    for address in sorted({chip.address for profile in profiles for chip in profile.identity.i2c}):
        fitting = [p for p in profiles if any(c.address == address for c in p.identity.i2c)]
        chip = device_tree_text(root / f"sys/bus/i2c/devices/{HEADER_BUS}-{address:04x}/name")
        if chip:
            fitting = [p for p in fitting if any(c.chip == chip for c in p.identity.i2c)]
            if not fitting:
                notes.append(f"no profile knows the chip {chip} at I2C address {address:#04x}")
        elif answers is None or not _asked(answers, address, notes):
            continue
        what = f"{chip or 'a chip'} answers at I2C address {address:#04x}"
        # An unnamed chip may be any of those that are made with this address.
        sure = bool(chip) and len(fitting) == 1
        found += [Found(profile.name, what, sure) for profile in fitting]
    return found


def _asked(answers: Answers, address: int, notes: list[str]) -> bool:
    try:
        return answers(address)
    except FileNotFoundError:
        note = "I2C is switched off: set dtparam=i2c_arm=on and load the module i2c-dev"
    except PermissionError:
        note = f"/dev/i2c-{HEADER_BUS} may not be opened: run it with sudo, or join the group i2c"
    except OSError as error:
        note = f"the I2C bus cannot be asked: {error.strerror}"
    if note not in notes:
        notes.append(note)
    return False


class _SmbusData(ctypes.Structure):
    """``struct i2c_smbus_ioctl_data``"""

    _fields_ = (
        ("read_write", ctypes.c_uint8),
        ("command", ctypes.c_uint8),
        ("size", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
    )


def header_i2c(address: int) -> bool:
    """Return whether a chip answers at *address* (7 bits) on the header's bus.

    An SMBus *quick* transfer: address and acknowledge, no data, as `i2cdetect` does it. Codecs
    such as the WM8960 cannot be read, so reading a byte would not find them.

    Raises:
        OSError: the bus cannot be opened.
    """
    descriptor = os.open(f"/dev/i2c-{HEADER_BUS}", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _I2C_SLAVE, address)
        quick = _SmbusData(_SMBUS_WRITE, 0, _SMBUS_QUICK, None)
        fcntl.ioctl(descriptor, _I2C_SMBUS, quick)
    except OSError:
        return False  # no acknowledge, or a driver owns it: then sysfs knows its name
    finally:
        os.close(descriptor)
    return True


# --- USB -----------------------------------------------------------------------------------------


def _by_usb(profiles: Iterable[Profile], root: Path) -> list[Found]:
    devices = root / "sys/bus/usb/devices"
    present = {
        f"{device_tree_text(folder / 'idVendor')}:{device_tree_text(folder / 'idProduct')}"
        for folder in (devices.iterdir() if devices.is_dir() else ())
    }
    # The identifiers are those of the microcontroller, which may run any other program.
    return [
        Found(profile.name, f"USB device {usb}", sure=False)
        for profile in profiles
        for usb in profile.identity.usb
        if usb in present
    ]
