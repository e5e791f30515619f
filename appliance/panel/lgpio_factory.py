"""gpiozero's pins on any GPIO chip of the kernel, not only on a Raspberry Pi's.

gpiozero's own factory takes the board from the Pi's revision and opens a chip by number.
"""

from __future__ import annotations

import os
from collections import defaultdict

from appliance import paths
from appliance.panel.chips import Chip

# lgpio makes a named pipe in its working folder as soon as it is imported.
os.environ.setdefault("LG_WD", str(paths.runtime_dir()))

import lgpio
from gpiozero.pins import BoardInfo, HeaderInfo, PinInfo
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin
from gpiozero.pins.local import LocalPiFactory

SPI_HERTZ = 4_000_000
"""APA102 take 20 MHz; ribbon cables and level shifters do not."""
_DATA, _CLOCK = 1, 2


class ChipFactory(LGPIOFactory):  # type: ignore[misc]
    """Makes pins on *chip*; their names are the numbers of its lines."""

    def __init__(self, chip: Chip) -> None:
        LocalPiFactory.__init__(self)
        # Not those that gpiozero shares among all factories of the process.
        self.pins: dict[PinInfo, LGPIOPin] = {}
        self._reservations: dict[PinInfo, list[object]] = defaultdict(list)
        self._handle = lgpio.gpiochip_open(chip.number)
        self._chip = chip.number
        self._info = board(chip)
        self.pin_class = LGPIOPin


def board(chip: Chip) -> BoardInfo:
    """Return a board with one header that has all lines of *chip*."""
    pins = {
        line: PinInfo(
            line, f"GPIO{line}", frozenset({line, str(line), f"GPIO{line}"}), "", line + 1, 1,
            frozenset({"gpio"}),
        )
        for line in range(chip.lines)
    }  # fmt: skip
    header = HeaderInfo("lines", chip.lines, 1, pins)
    return BoardInfo(
        "", chip.label, "", "", chip.label, "", 0, "", 0, 0, 0, 0, False, False, 0, 0,
        {"lines": header}, "",
    )  # fmt: skip


class SpiBus:
    """Bytes for ``/dev/spidevBUS.DEVICE``."""

    def __init__(self, bus: int, device: int) -> None:
        self._handle = lgpio.spi_open(bus, device, SPI_HERTZ, 0)

    def write(self, data: bytes) -> None:
        """Send *data*."""
        lgpio.spi_write(self._handle, data)

    def close(self) -> None:
        """Release the bus."""
        lgpio.spi_close(self._handle)


class LinePair:
    """Two lines for bit-banging, set with one system call."""

    def __init__(self, chip: Chip, data: int, clock: int) -> None:
        self._handle = lgpio.gpiochip_open(chip.number)
        self._leader = data
        lgpio.group_claim_output(self._handle, [data, clock])

    def set(self, data: bool, clock: bool) -> None:
        """Set both lines."""
        lgpio.group_write(self._handle, self._leader, data * _DATA + clock * _CLOCK)

    def close(self) -> None:
        """Release the lines."""
        lgpio.gpiochip_close(self._handle)
