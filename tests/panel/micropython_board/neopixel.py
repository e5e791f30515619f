"""WS2812 LEDs for MicroPython on a PC: a file shows what they show.

The file named by LUNA_TEST_LEDS has the colours in hexadecimal.
"""

import os


class NeoPixel:
    def __init__(self, pin, count):
        self._colours = [(0, 0, 0)] * count

    def __setitem__(self, led, colour):
        self._colours[led] = colour

    def fill(self, colour):
        self._colours = [colour] * len(self._colours)

    def write(self):
        path = os.getenv("LUNA_TEST_LEDS")
        with open(path + ".new", "w") as leds:
            leds.write("".join(f"{part:02x}" for colour in self._colours for part in colour))
        os.rename(path + ".new", path)
