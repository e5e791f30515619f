"""A panel on GPIO lines, through gpiozero: real lines by lgpio, or gpiozero's mock pins.

Callbacks come in gpiozero's threads; everything is handed to the event loop at once. No line is
debounced by the kernel: the gestures need the first edge, and see to the bouncing themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from appliance.clock import monotonic
from appliance.errors import PanelError
from appliance.panel import chips
from appliance.panel.apa102 import BIT_BANG_FPS, Apa102, BitBang, Bus
from appliance.panel.device import (
    Connected,
    Edge,
    Frame,
    Layout,
    Lost,
    MuteSwitched,
    Report,
    Turned,
)
from appliance.panel.wiring import Button, Pull, Strip, Wiring

REREAD_S = 0.03
"""A contact is read once more so long after its last edge: an edge may have been lost."""


@dataclass(frozen=True)
class Pins:
    """Where lines come from."""

    factory: Any
    """gpiozero's pin factory."""
    spi: Callable[[int, int], Bus] | None = None
    pair: Callable[[int, int], Any] | None = None
    """Returns two lines for bit-banging faster than gpiozero's pins; see `apa102.Lines`."""


def hardware_pins(wiring: Wiring) -> Pins:
    """Return the lines of this machine's GPIO chip.

    Raises:
        PanelError: there is no such chip, or it may not be opened.
    """
    chip = chips.find(wiring.chip)
    from appliance.panel.lgpio_factory import ChipFactory, LinePair, SpiBus

    with _translated(f"the GPIO chip {chip.label}"):
        factory = ChipFactory(chip)
    return Pins(factory, SpiBus, lambda data, clock: LinePair(chip, data, clock))


def mock_pins(_wiring: Wiring | None = None) -> Pins:
    """Return the fake: gpiozero's mock pins (``pins.factory.pin(17).drive_low()``)."""
    from gpiozero.pins.mock import MockFactory, MockPWMPin

    return Pins(MockFactory(pin_class=MockPWMPin))


class GpioPanel:
    """The panel that *wiring* describes; see :class:`appliance.panel.device.PanelDevice`."""

    def __init__(self, wiring: Wiring, pins: Callable[[Wiring], Pins] = hardware_pins) -> None:
        self._wiring = wiring
        self._make_pins = pins
        self._pins: Pins | None = None
        self._devices: list[Any] = []
        self._strip: Apa102 | None = None
        self._rgb: Any = None
        self._leds: list[Any] = []
        self._amplifier: Any = None
        self._switch: Any = None
        self._muted: bool | None = None
        self._knob: Any = None
        self._steps = 0
        self._rereads: dict[object, asyncio.TimerHandle] = {}
        self._report: Callable[[Report], None] = lambda _report: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._layout = Layout()

    @property
    def layout(self) -> Layout:
        return self._layout

    async def start(self, report: Callable[[Report], None]) -> None:
        """Claim the lines and begin to report.

        Raises:
            PanelError: one of them cannot be used; none is claimed then.
        """
        self._loop = asyncio.get_running_loop()
        self._report = report
        try:
            # The import alone takes a tenth of a second.
            await asyncio.to_thread(self._open)
        except BaseException:
            self._release()
            raise
        self._layout = _layout(self._wiring)
        self._look_at_switch()
        report(Connected(f"{self._wiring.chip or 'GPIO'} lines"))

    def show(self, frame: Frame) -> None:
        try:
            with _translated("the LEDs"):
                self._light_up(frame)
        except PanelError as error:
            self._layout = Layout()  # they are not tried again; the buttons may still work
            self._report(Lost(str(error)))

    def _light_up(self, frame: Frame) -> None:
        if self._strip:
            self._strip.show(frame.colours, frame.brightness)
            return
        lights = [self._rgb] if self._rgb is not None else self._leds
        for led, colour in zip(lights, frame.colours, strict=False):
            parts = tuple(part / 255 * frame.brightness for part in colour)
            led.value = parts if led is self._rgb else max(parts)

    def amplify(self, on: bool) -> None:
        if self._amplifier is not None:
            self._amplifier.value = on

    async def close(self) -> None:
        for timer in self._rereads.values():
            timer.cancel()
        self._release()

    # --- opening and closing -------------------------------------------------------------------

    def _open(self) -> None:
        wiring = self._wiring
        self._pins = self._make_pins(wiring)
        if wiring.amplifier:
            part = wiring.amplifier
            self._amplifier = self._output(part.line, "the amplifier", not part.active_low)
        if wiring.mute_switch:
            # Before the buttons: nobody shall press one while the switch is not known.
            switch = wiring.mute_switch
            self._switch = self._input(
                switch.line, "the mute switch", switch.active_low, switch.pull
            )
            self._listen(self._switch, self._switch_changed)
        for button in wiring.buttons:
            self._add_button(button)
        if wiring.encoder:
            self._add_knob(wiring.encoder.a, wiring.encoder.b)
        if wiring.strip:
            self._strip = Apa102(wiring.strip, self._bus(wiring.strip))
        elif wiring.rgb:
            rgb = wiring.rgb
            lines = rgb.red, rgb.green, rgb.blue
            self._rgb = self._light("RGBLED", lines, "the RGB LED", not rgb.active_low)
        else:
            for number, led in enumerate(wiring.leds, 1):
                light = self._light("PWMLED", (led.line,), f"LED {number}", not led.active_low)
                self._leds.append(light)

    def _release(self) -> None:
        if self._strip:
            with contextlib.suppress(PanelError), _translated("the strip"):
                self._strip.close()
        for device in reversed(self._devices):
            device.close()
        if self._pins:
            self._pins.factory.close()
        self._devices, self._leds = [], []
        self._strip = self._rgb = self._amplifier = self._switch = self._knob = self._pins = None
        self._layout = Layout()

    def _keep(self, name: str, lines: tuple[int, ...], what: str, **options: Any) -> Any:
        """Return gpiozero's device *name* on these lines, to be closed at the end."""
        import gpiozero

        assert self._pins is not None
        numbers = " and ".join(map(str, lines))
        with _translated(f"GPIO line {numbers} ({what})"):
            device = getattr(gpiozero, name)(*lines, pin_factory=self._pins.factory, **options)
        self._devices.append(device)
        return device

    def _input(self, line: int, what: str, active_low: bool, pull: Pull) -> Any:
        resistor = {"up": True, "down": False, "none": None}[pull]
        active = not active_low if resistor is None else None
        device = self._keep(
            "DigitalInputDevice", (line,), what, pull_up=resistor, active_state=active
        )
        if resistor is not None and resistor != active_low:
            device.close()  # gpiozero takes the resistor's side for the resting one
            self._devices.remove(device)
            raise PanelError(
                f"GPIO line {line} ({what}): pull = {pull!r} holds it pressed; "
                f"active_low = {str(active_low).lower()} needs the other resistor"
            )
        return device

    def _output(self, line: int, what: str, active_high: bool) -> Any:
        return self._keep("DigitalOutputDevice", (line,), what, active_high=active_high)

    def _light(self, name: str, lines: tuple[int, ...], what: str, active_high: bool) -> Any:
        return self._keep(name, lines, what, active_high=active_high)

    def _bus(self, strip: Strip) -> Bus:
        assert self._pins is not None
        if strip.spi and self._pins.spi:
            bus, device = strip.spi
            with _translated(f"the strip on /dev/spidev{bus}.{device}"):
                return self._pins.spi(bus, device)
        with _translated(f"GPIO lines {strip.data} and {strip.clock} (the strip)"):
            if self._pins.pair:
                return BitBang(self._pins.pair(strip.data, strip.clock))
        data = self._output(strip.data, "the strip's data", active_high=True)
        clock = self._output(strip.clock, "the strip's clock", active_high=True)
        return BitBang(_Outputs(data, clock))

    # --- inputs --------------------------------------------------------------------------------

    def _add_button(self, button: Button) -> None:
        device = self._input(
            button.line, f"the button {button.role}", button.active_low, button.pull
        )

        def changed(at: float) -> None:
            self._report(Edge(at, button.role, bool(device.value)))

        self._listen(device, changed)

    def _listen(self, device: Any, changed: Callable[[float], None]) -> None:
        """Have *changed* called in the event loop at each edge, and once when it is over."""

        def arrived(at: float) -> None:
            changed(at)
            if old := self._rereads.pop(device, None):
                old.cancel()
            assert self._loop is not None
            self._rereads[device] = self._loop.call_later(REREAD_S, lambda: changed(monotonic()))

        def edge() -> None:
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the loop is closing
                self._loop.call_soon_threadsafe(arrived, monotonic())

        device.when_activated = device.when_deactivated = edge

    def _switch_changed(self, _at: float) -> None:
        self._look_at_switch()

    def _look_at_switch(self) -> None:
        if self._switch is None:
            return
        muted = bool(self._switch.value)
        if muted != self._muted:
            self._muted = muted
            self._report(MuteSwitched(muted))

    def _add_knob(self, a: int, b: int) -> None:
        self._knob = self._keep("RotaryEncoder", (a, b), "the knob", max_steps=0)

        def turned() -> None:
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._look_at_knob)

        self._knob.when_rotated = turned

    def _look_at_knob(self) -> None:
        if self._knob is None:
            return
        steps = int(self._knob.steps)
        if steps != self._steps:
            self._report(Turned(steps - self._steps))
            self._steps = steps


class _Outputs:
    """Two of gpiozero's lines for bit-banging: what there is for mock pins."""

    def __init__(self, data: Any, clock: Any) -> None:
        self._data, self._clock = data, clock

    def set(self, data: bool, clock: bool) -> None:
        self._data.value = data
        self._clock.value = clock

    def close(self) -> None:
        """Nothing: the panel closes its lines."""


def _layout(wiring: Wiring) -> Layout:
    if wiring.strip:
        shape: Literal["ring", "line"] = "ring" if wiring.strip.ring else "line"
        fps = Layout.fps if wiring.strip.spi else BIT_BANG_FPS
        return Layout(shape, wiring.strip.count, fps)
    if wiring.rgb:
        return Layout("rgb", 1)
    if not wiring.leds:
        return Layout()
    return Layout("single", 1) if len(wiring.leds) == 1 else Layout("pair", 2)


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn what gpiozero, lgpio and the kernel raise into one sentence about *what*."""
    from gpiozero.exc import GPIOPinInUse, GPIOZeroError, PinInvalidPin

    lgpio: Any = sys.modules.get("lgpio")
    foreign = (GPIOZeroError, OSError, *((lgpio.error,) if lgpio else ()))
    try:
        yield
    except GPIOPinInUse as error:
        raise PanelError(f"{what} is used twice in the board's profile") from error
    except PinInvalidPin as error:
        raise PanelError(f"{what}: the chip has no such line; correct the profile") from error
    except foreign as error:
        reason = str(error)
        if "busy" in reason.lower():
            raise PanelError(
                f"{what} is busy: a kernel driver or another program has it; "
                "`gpioinfo` shows which, and the overlay or program must go"
            ) from error
        raise PanelError(f"{what} cannot be used: {reason}") from error
