"""APA102 (DotStar) LEDs: what goes over the wire, and how it is bit-banged.

A transfer is 32 zeros, one word an LED (111 and five bits of brightness, then three colours), and
clock pulses, half a bit for each LED, that carry the data through the chain (APA102C data sheet;
Tim's Blog, "Understanding the APA102 Superled", 2014).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from appliance.panel.device import Colour
from appliance.panel.wiring import Strip

MAX_BRIGHTNESS = 31
BIT_BANG_FPS = 10
"""Each bit costs two system calls."""


class Bus(Protocol):
    """Takes whole bytes."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Lines(Protocol):
    """Two output lines."""

    def set(self, data: bool, clock: bool) -> None: ...
    def close(self) -> None: ...


class BitBang:
    """A bus made of two lines: data is taken over when the clock rises, highest bit first."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        lines.set(data=False, clock=False)

    def write(self, data: bytes) -> None:
        """Send *data*."""
        lines = self._lines
        bit = False
        for byte in data:
            for shift in range(7, -1, -1):
                bit = bool(byte >> shift & 1)
                lines.set(bit, clock=False)
                lines.set(bit, clock=True)
        lines.set(bit, clock=False)

    def close(self) -> None:
        """Release the lines."""
        self._lines.close()


def encode(colours: Sequence[Colour], brightness: float, order: str = "bgr") -> bytes:
    """Return the transfer that lights *colours* (linear), *brightness* 0 to 1.

    The coarse part of a low brightness goes into the five bits, so that faint colours keep their
    eight bits; the fine part into the colours.
    """
    coarse = max(1, min(MAX_BRIGHTNESS, math.ceil(brightness * MAX_BRIGHTNESS)))
    fine = max(0.0, min(1.0, brightness * MAX_BRIGHTNESS / coarse))
    places = ["rgb".index(name) for name in order]
    words = bytearray(4)
    for colour in colours:
        words.append(0b1110_0000 | coarse)
        words += bytes(round(colour[place] * fine) for place in places)
    # Zeros, not ones: a chain that is longer than we know stays dark behind the last LED.
    return bytes(words) + bytes(-(-len(colours) // 16) + 4)


class Apa102:
    """A strip on a bus."""

    def __init__(self, strip: Strip, bus: Bus) -> None:
        self._strip = strip
        self._bus = bus

    def show(self, colours: Sequence[Colour], brightness: float) -> None:
        """Light the first LEDs; those for which there is no colour go dark."""
        count = self._strip.count
        padded = [*colours[:count], *[(0, 0, 0)] * (count - len(colours))]
        self._bus.write(encode(padded, brightness, self._strip.order))

    def close(self) -> None:
        """Switch the strip off and release its bus."""
        self.show((), 0.0)
        self._bus.close()
