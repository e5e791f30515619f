"""Runs the firmware with these pins; the interrupts come while it sleeps."""

import time

import machine

_sleep_ms = time.sleep_ms


class _Time:
    """The module, but for the sleep."""

    ticks_ms = time.ticks_ms

    @staticmethod
    def sleep_ms(duration):
        machine.interrupt()
        _sleep_ms(duration)


import sys  # noqa: E402

sys.modules["time"] = _Time

import main  # noqa: E402, F401
