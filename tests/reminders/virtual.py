"""Virtual time for the keeper: an event loop that never waits, a clock and a disk that obey.

A "crash" ends everything at one instant: from then on no write reaches the disk, nothing is
spoken, and what was in memory is lost. It may come between any two steps of any task.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from tinydb.storages import MemoryStorage

from appliance.reminders.wall_clock import Reading
from appliance.storage.changes import copied

P = ParamSpec("P")
T = TypeVar("T")
START = datetime(2026, 6, 1, 12, tzinfo=UTC)


class _NoSelector(selectors.SelectSelector):
    """Instead of waiting, moves the time of its loop."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "nothing will ever happen again"
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs in no time; `on_step` sees every step of every task before it happens."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_step: Callable[[], None] | None = None
        selector = _NoSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        if self.on_step:
            self.on_step()
        return super().call_soon(callback, *args, context=context)


class VirtualClock:
    """The clocks of a box: `boot` follows the loop, `wall` is what somebody made of it."""

    def __init__(self, loop: VirtualLoop, true_start: datetime = START) -> None:
        self._loop = loop
        self._true_start = true_start
        self._changed = asyncio.Event()
        self.boots = 1
        self.booted_at = loop.now - 10.0
        self.error = timedelta()
        self.synchronised = True

    @property
    def true(self) -> datetime:
        return self._true_start + timedelta(seconds=self._loop.now)

    @property
    def wall(self) -> datetime:
        return self.true + self.error

    def read(self) -> Reading:
        return Reading(
            self.wall, self._loop.now - self.booted_at, f"boot{self.boots}", self.synchronised
        )

    async def changed(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def set(self, wall: datetime, *, synchronised: bool = False) -> None:
        """Set the wall clock, as `date -s` or an NTP client does."""
        self.error = wall - self.true
        self.synchronised = synchronised
        self._changed.set()

    def rebooted(self) -> None:
        """The box was off: another boot begins."""
        self.boots += 1
        self.booted_at = self._loop.now
        self._changed = asyncio.Event()


class KeptStorage(MemoryStorage):
    """A disk's content, which outlives the process."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.content = content

    def read(self) -> Any:
        return copied(self.content) if self.content else None

    def write(self, data: Any) -> None:
        self.content.clear()
        self.content.update(copied(data))


@dataclass
class Life:
    """One process, until it ends."""

    dead: bool = False

    async def survive(self) -> None:
        """Never return to a process that has ended."""
        if self.dead:
            await asyncio.get_running_loop().create_future()


@dataclass
class VirtualDisk:
    """Carries out calls after a moment, as a thread would; *before* may raise or look on."""

    life: Life
    delay_s: float = 0.0
    before: Callable[[Any, tuple[Any, ...]], None] | None = None
    after: Callable[[Any, tuple[Any, ...]], None] | None = None

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await asyncio.sleep(self.delay_s)
        await self.life.survive()
        if self.before:
            self.before(function, args)
        result = function(*args, **kwargs)
        if self.after:
            self.after(function, args)
        await asyncio.sleep(0)
        await self.life.survive()
        return result


@dataclass
class Said:
    """One announcement."""

    text: str
    language: str
    true: datetime
    wall: datetime
    life: Life
    finished: bool = False


@dataclass
class VirtualVoice:
    """Speaks for some virtual seconds."""

    clock: VirtualClock
    life: Life
    said: list[Said] = field(default_factory=list)
    takes_s: float = 3.0
    works: bool = True
    free: asyncio.Event | None = None
    """Unset while Luna listens or speaks."""

    async def may_speak(self) -> None:
        if self.free:
            await self.free.wait()

    async def speak(self, text: str, language: str) -> bool:
        await self.life.survive()
        if not self.works:
            return False
        one = Said(text, language, self.clock.true, self.clock.wall, self.life)
        self.said.append(one)
        await asyncio.sleep(self.takes_s)
        await self.life.survive()
        one.finished = True
        return True
