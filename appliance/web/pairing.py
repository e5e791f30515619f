"""Pairing: a code that is spoken and shown, good for one device, ten minutes and five tries."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from appliance.clock import monotonic

WINDOW_S = 600.0
TRIES = 5
DIGITS = 6


@dataclass
class _Window:
    code: str
    ends: float
    tries: int = TRIES


class Pairing:
    """The pairing window.

    Args:
        changed: called when the window opens or closes.
        clock: seconds.
    """

    def __init__(self, changed: Callable[[], None], clock: Callable[[], float] = monotonic) -> None:
        self._changed = changed
        self._clock = clock
        self._window: _Window | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> str:
        """Open the window; return the code. A window that was open is over."""
        if self._timer is not None:
            self._timer.cancel()
        # The LAN is listened on no longer than that, even if nobody looks.
        self._timer = asyncio.get_running_loop().call_later(WINDOW_S + 0.1, self.left_s)
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        self._window = _Window(code, self._clock() + WINDOW_S)
        self._changed()
        return code

    def close(self) -> None:
        """Close the window."""
        if self._window is not None:
            self._window = None
            self._changed()

    def left_s(self) -> float:
        """Return for how many seconds it is still open; closes it when its time is over."""
        if self._window is None:
            return 0.0
        left = self._window.ends - self._clock()
        if left <= 0:
            self.close()
        return max(0.0, left)

    def redeem(self, code: str) -> bool:
        """Return whether *code* is right; it is good once, and void after the fifth wrong try.

        After the right one the window stays open, so that whoever was paired is not cut off,
        until it is closed.
        """
        if not self.left_s() or self._window is None or not self._window.tries:
            return False
        right = hmac.compare_digest(self._window.code.encode(), code.encode())
        self._window.tries = 0 if right else self._window.tries - 1
        if not right and not self._window.tries:
            self.close()
        return right
