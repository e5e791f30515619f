"""Reference firmware of the serial panel: a Raspberry Pi Pico with MicroPython.

What is on which pin stands in the first lines; a part that is not there is None.
"""

import select
import sys
import time

from machine import Pin
from neopixel import NeoPixel
from protocol import Debouncer, Panel, Quadrature, elapsed

NAME = "luna-pico"
BUTTONS = (("talk", 15),)
"""(role, pin), from the pin to ground: talk, mute, stop, volume_up, volume_down."""
MUTE_SWITCH = 14
"""Closed to ground while the microphone shall be off."""
ENCODER = (12, 13)
"""Pins of the contacts A and B, to ground; turned clockwise, A leads."""
LEDS, SHAPE, COUNT = 16, "ring", 12
"""Data pin of WS2812 LEDs, ``ring``, ``line`` or ``rgb`` (one LED), and how many there are."""
FLASH_MS, FLASH_EVERY_MS = 100, 2000
"""The dim red light of a panel without a host."""
BYTES_A_TURN = 512
"""Buttons and LEDs have their turn after so many bytes, however much the host sends."""


class Inputs:
    """The contacts."""

    def __init__(self):
        self._buttons = [Pin(pin, Pin.IN, Pin.PULL_UP) for _role, pin in BUTTONS]
        self._debouncer = Debouncer(len(BUTTONS) + 1)
        self._switch = None if MUTE_SWITCH is None else Pin(MUTE_SWITCH, Pin.IN, Pin.PULL_UP)
        self._knob = None
        if ENCODER is not None:
            self._a, self._b = (Pin(pin, Pin.IN, Pin.PULL_UP) for pin in ENCODER)
            self._knob = Quadrature(self._a.value(), self._b.value())
            for pin in (self._a, self._b):
                pin.irq(self._turned, Pin.IRQ_RISING | Pin.IRQ_FALLING)

    def _turned(self, _pin):
        self._knob.update(self._a.value(), self._b.value())

    def read(self, now):
        """Return (mask of pressed buttons, muted, position of the knob)."""
        closed = 0
        for bit, pin in enumerate(self._buttons):
            closed |= (not pin.value()) << bit
        switch = 1 << len(self._buttons)
        if self._switch is not None and not self._switch.value():
            closed |= switch
        closed = self._debouncer.update(closed, now)
        return (
            closed & (switch - 1),
            bool(closed & switch),
            self._knob.position if self._knob else 0,
        )


class Lights:
    """The LEDs, and the one on the board: lit while Luna does something."""

    def __init__(self):
        self._leds = NeoPixel(Pin(LEDS, Pin.OUT), COUNT)
        self._board = Pin("LED", Pin.OUT)

    def show(self, panel):
        """Show what the host wants."""
        share, colours = panel.brightness, panel.colours
        for led in range(COUNT):
            red, green, blue = colours[3 * led : 3 * led + 3]
            # Rounded up: what is to be seen must not go dark at a low brightness.
            self._leds[led] = tuple((part * share + 254) // 255 for part in (red, green, blue))
        self._leds.write()
        self._board.value(panel.state not in ("", "off", "idle", "muted"))

    def alone(self, now):
        """Without a host: a dim red flash now and then."""
        lit = now % FLASH_EVERY_MS < FLASH_MS
        self._leds.fill((0, 0, 0))
        if lit:
            self._leds[0] = (8, 0, 0)
        self._leds.write()
        self._board.value(lit)


def main():
    """Serve the host for ever; Ctrl+C leads to MicroPython's prompt."""
    inputs, lights = Inputs(), Lights()
    panel = Panel(
        sys.stdout.buffer.write,
        NAME,
        [role for role, _pin in BUTTONS],
        SHAPE,
        COUNT,
        ENCODER is not None,
        MUTE_SWITCH is not None,
    )
    arrived = select.poll()
    arrived.register(sys.stdin, select.POLLIN)
    panel.start(time.ticks_ms())
    flashed = time.ticks_ms()
    while True:
        now = time.ticks_ms()
        changed = False
        for _ in range(BYTES_A_TURN):
            # More than one byte at once would wait until so many have come.
            if not arrived.poll(0):
                break
            changed = panel.receive(sys.stdin.buffer.read(1)[0], now) or changed
        buttons, muted, position = inputs.read(now)
        changed = panel.poll(buttons, muted, position, now) or changed
        if panel.host_there and changed:
            lights.show(panel)
        elif not panel.host_there and elapsed(flashed, now) >= FLASH_MS // 2:
            flashed = now
            lights.alone(now)
        time.sleep_ms(1)


main()
