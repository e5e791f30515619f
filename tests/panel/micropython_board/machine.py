"""A Raspberry Pi Pico's pins for MicroPython on a PC: a file says how they stand.

The file named by LUNA_TEST_PINS has one character a pin, ``1`` where it is high;
that with the suffix ``.seen`` has the same once the interrupts were handled.
"""

import os

_WATCHED = []
_SEEN = [""]


class Pin:
    IN, OUT, PULL_UP, IRQ_RISING, IRQ_FALLING = range(5)

    def __init__(self, number, *_mode):
        self._number = number
        self._before = self._read() if isinstance(number, int) else 0
        self._handler = None

    def irq(self, handler, _edges):
        self._handler = handler
        _WATCHED.append(self)

    def value(self, *level):
        if level:  # the board's own LED
            return None
        return self._read()

    def _read(self):
        with open(os.getenv("LUNA_TEST_PINS")) as pins:
            levels = pins.read()
        return int(levels[self._number]) if len(levels) > self._number else 1


def interrupt():
    """Call the handlers of the pins that have changed, and tell that they were called."""
    path = os.getenv("LUNA_TEST_PINS")
    with open(path) as pins:
        levels = pins.read()
    if levels == _SEEN[0]:
        return
    _SEEN[0] = levels
    for pin in _WATCHED:
        level = pin._read()
        if level != pin._before:
            pin._before = level
            pin._handler(pin)
    with open(path + ".seen", "w") as seen:
        seen.write(levels)
