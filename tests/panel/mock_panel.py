"""A panel of gpiozero's mock pins on a real event loop, and what it asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from appliance.errors import LunaError
from appliance.events import Event, MuteRequested, StateChanged, to_dict
from appliance.panel.controller import Panel
from appliance.panel.device import Frame
from appliance.panel.gpio import GpioPanel, Pins, mock_pins
from appliance.panel.wiring import Button, Led, MuteSwitch, Wiring
from appliance.settings import PanelSettings

PLAIN = Wiring(
    buttons=(Button(17),),
    leds=(Led(23, colour="green"), Led(24, colour="red")),
    mute_switch=MuteSwitch(5),
)
LIMIT_S = 20.0


class Mock:
    """The panel with its pins; ``async with Mock() as panel``.

    Requests are recorded, and change the state as the appliance would.
    """

    def __init__(self, wiring: Wiring = PLAIN, **settings: Any) -> None:
        self.wiring = wiring
        self.asked: list[str] = []
        self.events: list[Event] = []
        self.published: list[Event] = []
        self.shut: list[bool] = []
        self.frames: list[tuple[float, Frame]] = []
        self.refuses: LunaError | None = None
        self.pins: Pins | None = None
        self.device = GpioPanel(wiring, self._pins)
        show = self.device.show

        def showing(frame: Frame) -> None:
            self.frames.append((time.monotonic(), frame))
            show(frame)

        self.device.show = showing  # type: ignore[method-assign]
        self.panel = Panel(
            {"gpio": self.device},
            replace(PanelSettings(night_from="00:00", night_to="00:00"), **settings),
            self._request,
            self._publish,
            self.shut.append,
        )

    def _pins(self, wiring: Wiring) -> Pins:
        # The lines have the level of a panel that nobody touches, unless a test set another.
        self.pins = self.pins or mock_pins(wiring)
        return self.pins

    def _request(self, event: Event) -> None:
        if self.refuses:
            raise self.refuses
        values = {k: v for k, v in to_dict(event).items() if k not in ("type", "at", "position")}
        shown = " ".join(f"{key}={value}" for key, value in values.items() if value is not False)
        self.asked.append(f"{event.type} {shown}".strip())
        self.events.append(event)
        self.panel.handle(event)
        if isinstance(event, MuteRequested):
            self.state("muted" if event.muted else "idle")

    def _publish(self, event: Event) -> None:
        self.published.append(event)
        self.panel.handle(event)

    def state(self, name: str) -> None:
        """Say that the appliance is in this state now."""
        self.panel.handle(StateChanged(state=name))

    def pin(self, line: int) -> Any:
        assert self.pins is not None
        return self.pins.factory.pin(line)

    def patterns(self) -> list[str]:
        """The patterns shown so far, without repetitions."""
        found: list[str] = []
        for _, frame in self.frames:
            if found[-1:] != [frame.state]:
                found.append(frame.state)
        return found

    async def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < deadline, (self.asked, self.patterns())
            await asyncio.sleep(0.002)

    async def press(self, seconds: float, line: int = 17) -> None:
        """Hold the button, a contact to ground, for so long."""
        self.pin(line).drive_low()
        await asyncio.sleep(seconds)
        self.pin(line).drive_high()

    async def __aenter__(self) -> Mock:
        await self.panel.start()
        self.state("idle")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.panel.stop()
