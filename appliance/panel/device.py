"""What every panel can do, whatever it is connected by: GPIO lines or a serial port.

Reports come out (a button, a knob, the mute switch), frames of light go in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from appliance.panel.wiring import Role

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255, linear in light."""
Shape = Literal["none", "single", "pair", "rgb", "line", "ring"]


@dataclass(frozen=True)
class Layout:
    """The LEDs of a panel.

    ``single`` is one LED of one colour, ``pair`` two such (the first for what is well, the second
    for what needs attention), ``rgb`` one LED of all colours, ``line`` and ``ring`` many.
    """

    shape: Shape = "none"
    count: int = 0
    fps: int = 30
    """Frames per second at most."""


@dataclass(frozen=True)
class Frame:
    """What the LEDs show now."""

    state: str
    """The pattern this is taken from, such as ``listening``: for panels that draw it themselves."""
    colours: tuple[Colour, ...]
    """One for each LED; plain LEDs take the brightest of the three parts."""
    brightness: float = 1.0
    """0 to 1, by which the colours are still to be multiplied."""


@dataclass(frozen=True)
class Edge:
    """A button's contact closed or opened; it may bounce."""

    at: float
    """Seconds of ``CLOCK_MONOTONIC``."""
    button: Role
    pressed: bool


@dataclass(frozen=True)
class Turned:
    """The knob was turned by so many steps, clockwise positive."""

    steps: int


@dataclass(frozen=True)
class MuteSwitched:
    """The hardware mute switch stands in this position; reported at the start as well."""

    muted: bool


@dataclass(frozen=True)
class Connected:
    """The panel is there: frames may be sent, in the layout it has now."""

    name: str


@dataclass(frozen=True)
class Lost:
    """The panel does not work any more; it may come back by itself."""

    reason: str
    """One sentence: what is wrong and what to do."""


Report = Edge | Turned | MuteSwitched | Connected | Lost


class PanelDevice(Protocol):
    """A panel. All methods are called, and reports made, in the event loop's thread."""

    @property
    def layout(self) -> Layout:
        """The LEDs; none while it is not connected."""
        ...

    async def start(self, report: Callable[[Report], None]) -> None:
        """Begin to report. ``Connected`` follows when the panel is there.

        Raises:
            PanelError: it can never work as it is set up. What may be plugged in later is not an
                error: it is reported as ``Lost`` once.
        """
        ...

    def show(self, frame: Frame) -> None:
        """Light the LEDs. Returns at once; what cannot be shown now is dropped."""
        ...

    async def close(self) -> None:
        """Switch the LEDs off and release everything."""
        ...


@runtime_checkable
class Amplified(Protocol):
    """A panel that also switches the speaker's amplifier."""

    def amplify(self, on: bool) -> None:
        """Switch it on or off."""
        ...
