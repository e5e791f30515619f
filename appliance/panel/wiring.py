"""What a board profile says about the panel: which line has which part on it.

Lines are offsets on one GPIO chip; on a Raspberry Pi these are the BCM numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["talk", "mute", "stop", "volume_up", "volume_down"]
Pull = Literal["up", "down", "none"]
"""The resistor to switch on; ``none`` where the board has one of its own."""
LedColour = Literal["red", "green", "blue", "yellow", "white"]


@dataclass(frozen=True)
class Button:
    """A push button."""

    line: int
    role: Role = "talk"
    active_low: bool = True
    """It connects the line to ground."""
    pull: Pull = "up"


@dataclass(frozen=True)
class Encoder:
    """A rotary encoder for the volume; clockwise, *a* leads."""

    a: int
    b: int


@dataclass(frozen=True)
class Led:
    """A plain LED."""

    line: int
    active_low: bool = False
    colour: LedColour = "white"


@dataclass(frozen=True)
class RgbLed:
    """One LED with three lines."""

    red: int
    green: int
    blue: int
    active_low: bool = False
    """The common pin is the anode."""


@dataclass(frozen=True)
class Strip:
    """APA102 (DotStar) LEDs, on a hardware SPI bus or on two lines that are bit-banged."""

    count: int
    data: int
    """MOSI, or the line to bit-bang."""
    clock: int
    spi: tuple[int, int] | None = None
    """(bus, device) of ``/dev/spidevBUS.DEVICE``; None bit-bangs."""
    order: Literal["bgr", "rgb", "grb", "rbg", "gbr", "brg"] = "bgr"
    """The order of the colours on the wire."""
    ring: bool = False
    """The last LED stands beside the first."""


@dataclass(frozen=True)
class Amplifier:
    """A line that switches the amplifier on."""

    line: int
    active_low: bool = False
    """Low switches it on: the line is its *mute* or *shutdown*."""


@dataclass(frozen=True)
class MuteSwitch:
    """A slide switch for the microphone. It always wins over software."""

    line: int
    active_low: bool = True
    """The line is low while muted."""
    pull: Pull = "up"


@dataclass(frozen=True)
class Wiring:
    """The whole panel of a board.

    The first of these that there are carries the LED language: strip, rgb, leds.
    """

    chip: str = ""
    """Part of the label of the GPIO chip, such as ``pinctrl-rp1``; empty: the first known one."""
    buttons: tuple[Button, ...] = ()
    encoder: Encoder | None = None
    leds: tuple[Led, ...] = ()
    rgb: RgbLed | None = None
    strip: Strip | None = None
    amplifier: Amplifier | None = None
    mute_switch: MuteSwitch | None = None

    def lines(self) -> dict[int, str]:
        """Return what is on each line, by its number; a line used twice shows the last part."""
        return dict(self.all_lines())

    def all_lines(self) -> list[tuple[int, str]]:
        """Return (line, part) for every use of a line, also those that clash."""
        uses = [(button.line, f"button {button.role}") for button in self.buttons]
        uses += [(led.line, f"led {number}") for number, led in enumerate(self.leds, 1)]
        if self.encoder:
            uses += [(self.encoder.a, "encoder a"), (self.encoder.b, "encoder b")]
        if self.rgb:
            rgb = self.rgb
            uses += [(rgb.red, "rgb red"), (rgb.green, "rgb green"), (rgb.blue, "rgb blue")]
        if self.strip:
            uses += [(self.strip.data, "strip data"), (self.strip.clock, "strip clock")]
        if self.amplifier:
            uses.append((self.amplifier.line, "amplifier"))
        if self.mute_switch:
            uses.append((self.mute_switch.line, "mute switch"))
        return uses
