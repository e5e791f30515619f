"""Push-to-talk with the space bar, where `luna run` has a terminal."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.events import ButtonPressed, Event, StopRequested

HINT = "Space: talk   s: stop the answer   q: quit\n"


@contextmanager
def push_to_talk(request: Callable[[Event], None], leave: Callable[[], None]) -> Iterator[None]:
    """Watch the keyboard while the context lasts; does nothing without a terminal.

    A terminal reports no key release, so the space bar opens the microphone and the end of the
    utterance is found as after the wake word.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or not _in_foreground():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def key() -> None:
        for character in os.read(descriptor, 64).decode(errors="replace"):
            if character == " ":
                request(ButtonPressed())
            elif character in "sS":
                request(StopRequested())
            elif character in "qQ":
                leave()

    sys.stderr.write(HINT)
    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, key)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _in_foreground() -> bool:
    """A job in the background is stopped by the kernel when it touches the terminal."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:
        return False
