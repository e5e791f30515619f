"""The quota ledger as the event loop sees it: nothing here ever waits for the disk.

One thread owns the ledger and does everything in the order in which it was asked for. What is
asked while it writes is taken together and written with one sync. Usage::

    reservation = await ledger.reserve("groq", "chat", prompt_tokens=812, max_tokens=200)
    try:
        ...  # call the provider with max_tokens=200
    except CouldNotConnect:
        await ledger.release(reservation)
    else:
        await ledger.settle(reservation, usage)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from appliance.errors import StorageError
from appliance.events import Event, Logged
from appliance.providers.base import Usage
from appliance.providers.quota_day import Day, Limits, Measure, Price, Totals
from appliance.providers.quota_ledger import Ledger
from appliance.providers.quota_requests import (
    FREE,
    LedgerUnavailableError,
    Operation,
    Outcome,
    QuotaExceededError,
    Release,
    Reservation,
    Reserve,
    Settle,
    granted,
)
from appliance.providers.quota_store import LedgerStore, Storages, on_flash
from appliance.storage.background import Background

__all__ = [
    "Budget",
    "Day",
    "LedgerUnavailableError",
    "Limits",
    "Price",
    "QuotaExceededError",
    "QuotaLedger",
    "Reservation",
    "Totals",
    "on_flash",
]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every provider may still use today."""

    day: Day
    resets_at: datetime

    def left(self, provider: str, measure: Measure = "tokens") -> int | None:
        """Return what is left, never less than 0; None where there is no limit.

        Of a cost it is in millionths of a dollar.
        """
        allowed = self.day.limits.get(provider, Limits()).of(measure)
        if allowed is None:
            return None
        taken = self.day.total(provider) + self.day.held(provider)
        return max(allowed - taken.of(measure), 0)


class QuotaLedger:
    """Counts what providers use, and refuses what would exceed a daily limit.

    The rules are :class:`appliance.providers.quota_ledger.Ledger`'s.
    """

    def __init__(
        self,
        storages: Storages,
        limits: Mapping[str, Limits],
        zone: tzinfo,
        *,
        on_event: Callable[[Event], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is opened before the first call.

        Args:
            storages: opens the ledger's stores, such as ``on_flash(data_dir)``; called in the
                ledger's thread, and again after it failed.
            limits: by provider; one that is not named has none.
            zone: the owner's; days begin at its midnight.
            on_event: gets ``QuotaWarning`` and ``Logged``, in the event loop.
            now: returns the time, with a zone.
        """
        self._storages, self._limits, self._zone, self._now = storages, dict(limits), zone, now
        self._on_event = on_event
        self._ledger: Ledger | None = None
        self._thread = Background("quota")
        self._waiting: list[tuple[Operation, asyncio.Future[Outcome]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the ledger cannot be stored at present, in one sentence; empty when all is well."""
        return self._trouble

    async def start(self) -> None:
        """Open the ledger and count what a dead process had reserved.

        A failure is reported as an event and refuses providers that have a limit; the next
        reservation tries again.
        """
        _, events = await self._thread.call(self._commit, [])
        self._tell(events)

    async def reserve(
        self,
        provider: str,
        role: str,
        *,
        prompt_tokens: int,
        max_tokens: int,
        price: Price = FREE,
    ) -> Reservation:
        """Return the permission to send one request, stored before it is given.

        It must be settled, or released when nothing was sent. If the caller is cancelled while
        it waits, the reservation is released.

        Args:
            provider: whose limits count.
            role: chat, code, vision, stt or tts.
            prompt_tokens: what will be sent, never counted too small. For speech the caller's
                own unit, such as characters, with limit and price in the same.
            max_tokens: the output limit that is sent along.
            price: of the model that is asked.

        Raises:
            QuotaExceededError: the request does not fit into what is left today.
            LedgerUnavailableError: the provider has a limit, and the ledger cannot be stored.
        """
        wish = Reserve(
            provider=provider,
            role=role,
            tokens_in=prompt_tokens,
            tokens_out=max_tokens,
            price=price,
        )
        outcome = self._order(wish)
        try:
            # Shielded: a permission that nobody waits for any more must come back.
            granted = await asyncio.shield(outcome)
        except asyncio.CancelledError:
            outcome.add_done_callback(self._give_back)
            raise
        assert isinstance(granted, Reservation)
        return granted

    async def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Count what a request used in place of what was reserved for it.

        Usage as the provider tells it counts as it is, also above the reservation: then more
        than the limit may show, and nothing further is allowed that day. None, or numbers below
        zero, count the whole reservation as an estimate. Settling twice changes nothing.

        Failing to store is not an error of this request: the reservation, which is stored,
        stands for it until storing succeeds.
        """
        await asyncio.shield(self._order(Settle(reservation=reservation, usage=usage)))

    async def release(self, reservation: Reservation) -> None:
        """Give a reservation back of which nothing was sent; after `settle` it does nothing."""
        await asyncio.shield(self._order(Release(reservation=reservation)))

    async def budget(self) -> Budget:
        """Return what may still be used today.

        Raises:
            StorageError: the ledger cannot be read.
        """
        return await self._thread.call(self._read_budget)

    async def days(self, since: date | None = None) -> list[Day]:
        """Return what was used, the newest day first; *since* leaves out what is older.

        Raises:
            StorageError: the ledger cannot be read.
        """
        days = await self._thread.call(lambda: self._opened().days())
        wanted = (day for day in days if since is None or day.date >= since)
        return sorted(wanted, key=lambda day: day.date, reverse=True)

    async def close(self) -> None:
        """Finish what was asked for, and close the storage.

        Raises:
            StorageError: something is not stored; the next start counts reservations instead.
        """
        while self._writer is not None:
            await asyncio.wait([self._writer])
        try:
            await self._thread.call(self._close)
        finally:
            self._thread.close()

    # --- in the event loop ---------------------------------------------------------------------

    def _order(self, operation: Operation) -> asyncio.Future[Outcome]:
        """Queue *operation*; the future gets its outcome when it is stored."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((operation, outcome))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="quota")
        return outcome

    async def _write(self) -> None:
        """Carry out what waits, all that has gathered at a time."""
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                outcomes: Sequence[Outcome | Exception]
                try:
                    outcomes, events = await self._thread.call(self._commit, [o for o, _ in group])
                except Exception as error:  # noqa: BLE001  (told to those who wait for it)
                    outcomes, events = [error] * len(group), []
                for (_, future), outcome in zip(group, outcomes, strict=True):
                    if isinstance(outcome, Exception):
                        future.set_exception(outcome)
                    else:
                        future.set_result(outcome)
                self._tell(events)
        finally:
            self._writer = None

    def _tell(self, events: Sequence[Event]) -> None:
        for event in events:
            self._on_event(event)

    def _give_back(self, outcome: asyncio.Future[Outcome]) -> None:
        if outcome.cancelled() or outcome.exception() is not None:
            return
        granted = outcome.result()
        assert isinstance(granted, Reservation)
        self._order(Release(reservation=granted))

    # --- in the thread -------------------------------------------------------------------------

    def _opened(self) -> Ledger:
        if self._ledger is None:
            store = LedgerStore(self._storages)
            try:
                self._ledger = Ledger(store, self._limits, self._zone, self._now)
            except StorageError:
                store.close()
                raise
        return self._ledger

    def _commit(self, operations: Sequence[Operation]) -> tuple[list[Outcome], list[Event]]:
        events: list[Event] = []
        try:
            ledger = self._opened()
        except StorageError as error:
            trouble = str(error)
            outcomes = [self._without_ledger(operation, trouble) for operation in operations]
        else:
            outcomes, trouble = ledger.commit(operations), ledger.trouble
            events += ledger.warnings()
        if trouble != self._trouble:
            text = trouble or "the quota ledger can be stored again"
            events.append(Logged(level="error" if trouble else "info", text=text))
            self._trouble = trouble
        return outcomes, events

    def _without_ledger(self, operation: Operation, trouble: str) -> Outcome:
        if not isinstance(operation, Reserve):
            return None
        if self._limits.get(operation.provider):
            return LedgerUnavailableError(operation.provider, trouble)
        return granted(operation, date.min)  # nothing to overspend; it is only not counted

    def _read_budget(self) -> Budget:
        ledger = self._opened()
        return Budget(day=ledger.today(), resets_at=ledger.resets_at())

    def _close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
