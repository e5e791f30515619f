"""The quota ledger's decisions: strictly one after the other, stored before they are told.

Nothing here knows threads or the event loop; :mod:`appliance.providers.quota` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, tzinfo

from appliance.errors import StorageError
from appliance.events import QuotaWarning
from appliance.providers.quota_day import (
    MEASURES,
    MILLION,
    Day,
    DayClock,
    Hold,
    Limits,
    Measure,
    Totals,
)
from appliance.providers.quota_requests import (
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
from appliance.providers.quota_store import LedgerStore

KEPT_DAYS = 400
"""Days with use that are kept; the oldest go first."""
WARN_AT = (80, 100)
"""Percent of a limit."""


class Ledger:
    """What every provider used in each role on each day, and what it may still use today.

    The hard cap: what is used and what is held for running requests never exceeds a limit
    together, because a reservation that does not fit is refused, and one that fits is on the
    disk before anybody hears of it. Reservations of a process that died count as used.

    There is one way past a limit: a provider that reports more than was reserved. That is
    recorded as reported, shows as more than 100 %, and refuses everything until the day is over.
    """

    def __init__(
        self,
        store: LedgerStore,
        limits: Mapping[str, Limits],
        zone: tzinfo,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Read *store* and count what a dead process had reserved.

        Args:
            store: used by this ledger alone.
            limits: by provider; one that is not named has none.
            zone: the owner's; days begin at its midnight.
            now: returns the time, with a zone.

        Raises:
            StorageError: the ledger cannot be read, or not be written.
        """
        self._store, self._limits, self._zone, self._now = store, dict(limits), zone, now
        self.trouble = ""
        """Why nothing can be stored at present."""
        live, past, clock = store.load()
        self._days = {day.date: day for day in (*past, *live)}
        self._live = {day.date for day in live}
        self._clock_changed = clock is None
        self._clock = clock or DayClock(self._wall_day())
        self._changed = {day.date for day in self._days.values() if day.count_holds()}
        self._gone: set[date] = set()
        self._warnings: list[QuotaWarning] = []
        today = self._today()
        for provider in today.used:
            self._warn(today, provider)
        self._save()

    def commit(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Carry out *operations* in their order and store the result once.

        Returns one outcome for each: of a ``Reserve`` its reservation, or the error to be raised
        (``QuotaExceededError``, ``LedgerUnavailableError``); None of the others. Closing a
        reservation a second time changes nothing. If storing fails, reservations under a limit
        are withdrawn, and what was settled is kept in memory and stored the next time.
        """
        outcomes = [self._apply(operation) for operation in operations]
        self._forget_oldest()
        self.trouble = ""
        try:
            self._save()
        except StorageError as error:
            self.trouble = str(error)
            outcomes = [self._withdrawn(outcome) for outcome in outcomes]
        return outcomes

    def warnings(self) -> list[QuotaWarning]:
        """Return the warnings since the last call; each is given once in a day."""
        given, self._warnings = self._warnings, []
        return given

    def today(self) -> Day:
        """Return a copy of the day to which a request would count now."""
        return Day.from_document(self._today().to_document())

    def days(self) -> list[Day]:
        """Return copies of all days, in no order."""
        return [Day.from_document(day.to_document()) for day in self._days.values()]

    def resets_at(self) -> datetime:
        """Return when the next day begins, in the owner's zone."""
        return datetime.combine(self._clock.next_day(), time(), self._zone)

    def close(self) -> None:
        """Store what is not stored yet, and close the store.

        Raises:
            StorageError: that failed; the next start counts what was reserved instead.
        """
        try:
            self._save()
        finally:
            self._store.close()

    # --- one operation ---------------------------------------------------------------------

    def _apply(self, operation: Operation) -> Outcome:
        match operation:
            case Reserve():
                return self._reserve(operation)
            case Settle():
                self._settle(operation)
            case Release(reservation=reservation):
                self._take_hold(reservation)
        return None

    def _reserve(self, wish: Reserve) -> Outcome:
        day = self._today()
        reservation = granted(wish, day.date)
        most = reservation.most
        if (refusal := self._refusal(day, wish.provider, most)) is not None:
            return refusal
        day.holds[reservation.id] = Hold(provider=wish.provider, role=wish.role, most=most)
        self._days[day.date] = day
        self._gone.discard(day.date)
        self._changed.add(day.date)
        return reservation

    def _refusal(self, day: Day, provider: str, most: Totals) -> QuotaExceededError | None:
        limits = day.limits.get(provider, Limits())
        used, held = day.total(provider), day.held(provider)
        for measure in MEASURES:
            allowed = limits.of(measure)
            if allowed is None or (used + held + most).of(measure) <= allowed:
                continue
            # With most of the budget gone and no room for what is asked, it is as good as spent.
            if any(over == measure for over, *_ in day.over(provider, WARN_AT[0])):
                self._warn_once(day, provider, measure, 100)
            return QuotaExceededError(
                provider,
                measure,
                used=used.of(measure),
                held=held.of(measure),
                wanted=most.of(measure),
                allowed=allowed,
                resets_at=self.resets_at(),
            )
        return None

    def _settle(self, settled: Settle) -> None:
        reservation, usage = settled.reservation, settled.usage
        day = self._take_hold(reservation)
        if day is None:
            return
        if usage is None or min(usage.prompt_tokens, usage.completion_tokens) < 0:
            totals = reservation.most + Totals(estimated=1)
        else:
            tokens_in, tokens_out = usage.prompt_tokens, usage.completion_tokens
            totals = Totals(
                requests=1,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                cost_micros=reservation.price.micros(tokens_in, tokens_out, usage.cached_tokens),
                estimated=int(usage.estimated),
            )
        day.add(reservation.provider, reservation.role, totals)
        self._warn(day, reservation.provider)

    def _take_hold(self, reservation: Reservation) -> Day | None:
        """Give up what is held; return its day, or None when that was done before."""
        day = self._days.get(reservation.day)
        if day is None or day.holds.pop(reservation.id, None) is None:
            return None
        self._changed.add(day.date)
        return day

    def _withdrawn(self, outcome: Outcome) -> Outcome:
        """Return what becomes of *outcome* when it could not be stored."""
        if not isinstance(outcome, Reservation) or not self._limits.get(outcome.provider):
            return outcome
        self._take_hold(outcome)
        return LedgerUnavailableError(outcome.provider, self.trouble)

    # --- days and warnings -----------------------------------------------------------------

    def _wall_day(self) -> date:
        return self._now().astimezone(self._zone).date()

    def _today(self) -> Day:
        before = (self._clock.highest, self._clock.behind)
        name = self._clock.observe(self._wall_day())
        self._clock_changed |= before != (self._clock.highest, self._clock.behind)
        day = self._days.get(name) or Day(name)
        day.limits = dict(self._limits)
        return day

    def _warn(self, day: Day, provider: str) -> None:
        if day.date != self._clock.highest:
            return  # a request that ended after midnight: that day's budget concerns nobody now
        for percent in WARN_AT:
            for measure, *_ in day.over(provider, percent):
                self._warn_once(day, provider, measure, percent)

    def _warn_once(self, day: Day, provider: str, measure: Measure, percent: int) -> None:
        mark = f"{provider}/{measure}/{percent}"
        allowed = day.limits[provider].of(measure)
        if mark in day.warned or not allowed:
            return
        day.warned.add(mark)
        self._changed.add(day.date)
        scale = MILLION if measure == "cost" else 1
        self._warnings.append(
            QuotaWarning(
                provider=provider,
                limit=measure,
                percent=percent,
                used=day.total(provider).of(measure) / scale,
                allowed=allowed / scale,
                day=day.date.isoformat(),
                resets_at=self.resets_at().isoformat(),
            )
        )

    # --- storing ---------------------------------------------------------------------------

    def _is_live(self, name: date) -> bool:
        return name == self._clock.highest or bool(self._days[name].holds)

    def _forget_oldest(self) -> None:
        past = sorted(name for name in self._days if not self._is_live(name))
        for name in past[: max(len(self._days) - KEPT_DAYS, 0)]:
            del self._days[name]
            self._changed.discard(name)
            self._live.discard(name)
            self._gone.add(name)

    def _save(self) -> None:
        over = {name for name in self._live if not self._is_live(name)}
        changed = self._changed | over
        if not (changed or self._gone or self._clock_changed):
            return
        live = {name for name in changed if self._is_live(name)}
        self._store.save(
            live=[self._days[name] for name in live],
            past=[self._days[name] for name in changed - live],
            clock=self._clock if self._clock_changed else None,
            gone=self._gone,
        )
        self._live = (self._live | live) - (changed - live)
        self._changed, self._gone, self._clock_changed = set(), set(), False
