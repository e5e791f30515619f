"""Whether the wall clock can be believed, and when somebody set it.

A box without a clock battery wakes up in 1970, or where it was switched off. Its wall clock is
believed when the kernel says that it is synchronised (NTP), or when its time is plausible and not
before the last one that was recorded. The boot clock always runs right, but starts anew.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from appliance.errors import LunaError
from appliance.reminders.store import Known

EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this program was written no clock is right."""
LEAP = timedelta(days=30)
"""A clock that nobody synchronised and that leaps further ahead than this within one boot has
to persist in it: an owner who set it on purpose waits, a fault passes."""
LEAP_HOLD_S = 600.0


@dataclass(frozen=True)
class Reading:
    """What the clocks of the machine show."""

    wall: datetime
    """UTC."""
    boot: float
    """Seconds of ``CLOCK_BOOTTIME``."""
    boot_id: str
    synchronised: bool
    """The kernel says that something keeps the clock right."""


@dataclass(frozen=True)
class Now:
    """What time it is, as far as Luna can tell."""

    wall: datetime
    """UTC; never before the last time that was recorded, unless a synchronised clock says so."""
    boot: float
    boot_id: str
    trusted: bool = True
    reason: str = ""
    """Why not: ``implausible``, ``behind`` (the last known time) or ``leapt``."""
    leapt_at: float | None = None
    """Since when, on the boot clock, the clock has been too far ahead."""


def judge(reading: Reading, known: Known | None, leapt_at: float | None = None) -> Now:
    """Return what time it is.

    Args:
        reading: of the clocks.
        known: what was recorded last.
        leapt_at: of the judgement before this one.
    """
    wall = reading.wall
    floor = datetime.fromisoformat(known.wall) if known else EARLIEST

    def doubted(reason: str, since: float | None = None) -> Now:
        seen = max(floor, EARLIEST) if reason == "leapt" else max(wall, floor, EARLIEST)
        return Now(seen, reading.boot, reading.boot_id, False, reason, since)

    if wall < EARLIEST:
        return doubted("implausible")
    if reading.synchronised:
        return Now(wall, reading.boot, reading.boot_id)
    if wall < floor:
        return doubted("behind")
    if known and known.believed and known.boot_id == reading.boot_id:
        expected = floor + timedelta(seconds=max(0.0, reading.boot - known.boot))
        if wall - expected > LEAP:
            since = reading.boot if leapt_at is None else leapt_at
            if reading.boot - since < LEAP_HOLD_S:
                return doubted("leapt", since)
    return Now(wall, reading.boot, reading.boot_id)


class Clock(Protocol):
    """Where the keeper reads the time; tests move it as they like."""

    def read(self) -> Reading:
        """Return what the clocks show now."""

    async def changed(self) -> None:
        """Return when the wall clock was set, or the machine woke up."""


# --- the machine's own -----------------------------------------------------------------------

_TIME_ERROR = 5
"""What adjtimex(2) returns while nothing synchronises the clock."""
_CLOCK_REALTIME = 0
_TIMERFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_TFD_TIMER_CANCEL_ON_SET = 2
_FAR_AWAY = 2**32
"""Seconds since 1970 (the year 2106): a timer that only ever ends by being cancelled."""


class _Timex(ctypes.Structure):
    """``struct timex``, of which nothing is read: the kernel only needs the room."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_long * 40))


class _TimerSpec(ctypes.Structure):
    """``struct itimerspec``."""

    _fields_ = tuple(
        (name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")
    )


class SystemClock:
    """The clocks of this machine (Linux)."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def read(self) -> Reading:
        """Return what the clocks show now."""
        return Reading(
            wall=datetime.now(UTC),
            boot=time.clock_gettime(time.CLOCK_BOOTTIME),
            boot_id=self._boot_id,
            synchronised=self.synchronised(),
        )

    def synchronised(self) -> bool:
        """Return whether the kernel's clock is kept right (by systemd-timesyncd, chrony, ntpd).

        Setting the clock by hand takes this back until the next synchronisation, which the file
        ``/run/systemd/timesync/synchronized`` does not show.
        """
        timex = _Timex()
        return 0 <= int(self._libc.adjtimex(ctypes.byref(timex))) < _TIME_ERROR

    async def changed(self) -> None:
        """Return when the wall clock was set, or the machine woke from sleep.

        The kernel cancels a timer of timerfd_create(2) at both. Where it has none, this never
        returns: the keeper looks at the clock every minute all the same.
        """
        loop = asyncio.get_running_loop()
        with suppress(LunaError):
            with self._timer() as descriptor:
                cancelled = loop.create_future()
                loop.add_reader(descriptor, _settle, cancelled)
                try:
                    await cancelled
                finally:
                    loop.remove_reader(descriptor)
            return
        await loop.create_future()

    @contextmanager
    def _timer(self) -> Iterator[int]:
        """Yield a timer that becomes readable when the clock is set.

        Raises:
            LunaError: this kernel has none.
        """
        descriptor = int(self._libc.timerfd_create(_CLOCK_REALTIME, _TIMERFD_FLAGS))
        if descriptor < 0:
            raise LunaError(f"no timer: {os.strerror(ctypes.get_errno())}")
        try:
            spec = _TimerSpec(first_s=_FAR_AWAY)
            flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
            if self._libc.timerfd_settime(descriptor, flags, ctypes.byref(spec), None) < 0:
                number = ctypes.get_errno()
                if number != errno.ECANCELED:
                    raise LunaError(f"no timer: {os.strerror(number)}")
            yield descriptor
        finally:
            os.close(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def local_zone() -> ZoneInfo:
    """Return the zone of this machine with its name; UTC where none is set.

    ``TZ`` comes first, then the target of ``/etc/localtime``, then ``/etc/timezone``.
    """
    names = [os.environ.get("TZ", "").lstrip(":")]
    with suppress(OSError):
        names.append(os.path.realpath("/etc/localtime").partition("zoneinfo/")[2])
    with suppress(OSError, UnicodeDecodeError):
        names.append(Path("/etc/timezone").read_text(encoding="ascii").strip())
    for name in filter(None, names):
        with suppress(OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
            try:
                return ZoneInfo(name)
            except KeyError:
                continue
    return ZoneInfo("UTC")
