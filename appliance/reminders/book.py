"""The reminders of this box: in memory, on the disk, and on the clock.

Everything happens in the event loop except writing, which a thread of its own does in order.
Memory follows the disk: a change that the owner asked for counts once the store has acknowledged
it, and raises StorageError otherwise. Only what time does (announced, missed) goes on when the
disk refuses: it is stored as soon as the disk works again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import ParamSpec, Protocol, TypeVar
from zoneinfo import ZoneInfo

from appliance.errors import StorageError
from appliance.events import Event, Logged, ReminderChanged
from appliance.reminders import changes
from appliance.reminders.agenda import Agenda
from appliance.reminders.records import Reminder
from appliance.reminders.rows import row
from appliance.reminders.schedule import Look, Policy, carried, next_look, rewound
from appliance.reminders.store import ReminderStore
from appliance.reminders.timekeeper import Timekeeper
from appliance.reminders.wall_clock import Clock, Now

P = ParamSpec("P")
T = TypeVar("T")


class Disk(Protocol):
    """Where writing happens: :class:`appliance.storage.background.Background`."""

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what *function* returns, from another thread."""


class Book:
    """All reminders, and what the owner does with them. Call :meth:`open` first.

    Args:
        store: open; the caller closes it.
        disk: carries out all that touches the store.
        clock: where the time is read.
        zone: the present zone of the box.
        publish: takes events.
        policy: how reminders are announced.
    """

    def __init__(
        self,
        store: ReminderStore,
        disk: Disk,
        *,
        clock: Clock,
        zone: Callable[[], ZoneInfo],
        publish: Callable[[Event], None],
        policy: Policy | None = None,
    ) -> None:
        self._store = store
        self._disk = disk
        self._clock = clock
        self._zone = zone
        self._publish = publish
        self.policy = policy or Policy()
        self._records: dict[int, Reminder] = {}
        self._agenda = Agenda()
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._unsaved: set[int] = set()
        self.last_announced: tuple[int, ...] = ()

    async def open(self) -> None:
        """Read the store, and bring lengths of time onto this boot's clock.

        Raises:
            StorageError: the store cannot be read.
        """
        known = await self._disk.call(self._store.known)
        self._time = Timekeeper(self._clock, known, known.zone if known else self.zone.key)
        self._records = await self._disk.call(self._store.load)
        earlier = self._time.earlier
        boot_id, boot = (earlier.boot_id, earlier.boot) if earlier else ("", 0.0)
        again_s = self.policy.repeat_s
        await self._keep(
            list(self._records), lambda one: carried(one, self.now, boot_id, boot, again_s)
        )
        await self._follow_zone()
        await self._follow_back()
        self._rebuild()
        await self._save_time()

    async def close(self) -> None:
        """Wait for what is being written, and store the time."""
        async with self._lock:
            self._time.look()
            await self._save_time(at_once=True)

    def follow(self, policy: Policy) -> None:
        """Announce by another policy from now on."""
        self.policy = policy
        self._rebuild()

    # --- what there is ----------------------------------------------------------------------------

    @property
    def now(self) -> Now:
        """The time of the last look."""
        return self._time.now

    def time(self) -> Now:
        """Return the time of this moment."""
        return self._time.peek()

    @property
    def zone(self) -> ZoneInfo:
        """The present zone of the box."""
        return self._zone()

    @property
    def records(self) -> Mapping[int, Reminder]:
        """All that is stored, by id."""
        return self._records

    def ringing(self) -> list[Reminder]:
        """Return what is being announced and waits for an answer."""
        open_ = (one for one in self._records.values() if one.state == "ringing" and one.ring)
        return [one for one in open_ if one.ring and not one.ring.snoozed]

    # --- what the owner does ---------------------------------------------------------------------

    async def add(self, draft: Reminder) -> Reminder:
        """Store a new reminder and return it with its id, the receipt.

        Raises:
            StorageError: it was not stored.
        """

        async def work() -> Reminder:
            stored = await self._disk.call(self._store.add, draft)
            self._take_over([stored])
            return stored

        stored = await self._exclusively(work)
        self._tell("added", stored)
        return stored

    async def change(
        self, name: str, numbers: Iterable[int], change: changes.Change
    ) -> list[Reminder]:
        """Change reminders, all of them or none; return them as they are stored.

        Args:
            name: as in ``ReminderChanged``.
            numbers: of the reminders; those that are not there are passed over.
            change: from the record as it is now to the new one.

        Raises:
            StorageError: nothing was changed.
        """

        async def work() -> list[Reminder]:
            new = [change(self._records[n]) for n in numbers if n in self._records]
            await self._disk.call(self._store.put, new)
            self._take_over(new)
            self._unsaved -= {one.id for one in new}
            return new

        stored = await self._exclusively(work)
        for one in stored:
            self._tell(name, one)
        return stored

    async def acknowledge(self) -> list[Reminder]:
        """Note that all that rings was heard (a button was pressed).

        Raises:
            StorageError: it was not noted, and will ring again.
        """
        now, numbers = self.time(), [one.id for one in self.ringing()]
        return await self.change("done", numbers, lambda one: changes.finished(one, now))

    async def purge(self, before: str) -> int:
        """Forget for good what was over before *before* (ISO 8601, UTC); return how many."""

        async def work() -> int:
            old = [n for n, r in self._records.items() if not r.open and r.changed < before]
            count = await self._disk.call(self._store.remove, old)
            self._records = await self._disk.call(self._store.load)
            self._rebuild()
            return count

        return await self._exclusively(work)

    async def compact(self) -> None:
        """Rewrite the store in as little room as it needs."""
        await self._exclusively(lambda: self._disk.call(self._store.compact))

    async def _exclusively(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do *work* alone and to its end, even when the caller is cancelled meanwhile."""

        async def locked() -> T:
            async with self._lock:
                return await work()

        return await asyncio.shield(asyncio.ensure_future(locked()))

    def _take_over(self, stored: Iterable[Reminder]) -> None:
        now = self.time()
        for one in stored:
            self._records[one.id] = one
            self._agenda.put(one.id, self._look_of(one, now))
        self._wake.set()

    def _tell(self, change: str, stored: Reminder) -> None:
        self._publish(
            ReminderChanged(reminder=stored.id, change=change, row=row(stored, self.time()))
        )

    # --- the clock -----------------------------------------------------------------------------

    async def _look_at_clock(self) -> None:
        event = self._time.look()
        moved = await self._follow_zone()
        if event is not None or moved:
            await self._follow_back()
            self._rebuild()
        if event is not None:
            self._publish(event)
        await self._save_time()

    async def _follow_zone(self) -> bool:
        """Keep times on the clock where the box has moved to another zone."""
        old, new = self._time.zone, self.zone.key
        if old == new:
            return False
        self._time.moved_to(new)
        await self._keep(list(self._records), lambda one: changes.in_zone(one, old, new))
        return True

    async def _follow_back(self) -> None:
        """Let what was announced too early, by a clock that ran ahead, come again in time."""
        if self.now.trusted:
            await self._keep(list(self._records), lambda one: rewound(one, self.now))

    async def _save_time(self, *, at_once: bool = False) -> None:
        known = self._time.known if at_once else self._time.to_save()
        if known is not None:
            with suppress(StorageError):  # the next try comes with the next look
                await self._disk.call(self._store.note, known)
                self._time.saved()

    def _look_of(self, one: Reminder, now: Now) -> Look:
        return next_look(one, now, self.policy, self.zone)

    def _rebuild(self) -> None:
        now = self.now
        self._agenda.rebuild({n: self._look_of(one, now) for n, one in self._records.items()})
        self._wake.set()

    # --- storing what time does ------------------------------------------------------------------

    async def _keep(self, numbers: Iterable[int], change: changes.Change) -> None:
        """Change records; when the disk refuses, go on all the same and try again later."""

        async def work() -> None:
            old = [self._records[n] for n in numbers if n in self._records]
            new = [changed for one in old if (changed := change(one)) != one]
            if not new:
                return
            try:
                await self._disk.call(self._store.put, new)
                self._unsaved -= {one.id for one in new}
            except StorageError as error:
                self._complain(error)
                self._unsaved |= {one.id for one in new}
            self._take_over(new)

        if numbers := list(numbers):
            await self._exclusively(work)

    async def _save_again(self) -> None:
        async def work() -> None:
            with suppress(StorageError):  # it was said when it failed first
                await self._disk.call(
                    self._store.put, [self._records[n] for n in self._unsaved if n in self._records]
                )
                self._unsaved.clear()

        if self._unsaved:
            await self._exclusively(work)

    def _complain(self, error: Exception) -> None:
        self._publish(Logged(level="error", text=str(error)))
