"""The quota ledger by example: limits, days, warnings, full disks, and the event loop."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tinydb.storages import MemoryStorage, Storage

from appliance.errors import ProviderError, StorageError
from appliance.events import Event, Logged, QuotaWarning
from appliance.providers import quota_ledger
from appliance.providers.base import Usage
from appliance.providers.quota import (
    LedgerUnavailableError,
    Limits,
    Price,
    QuotaExceededError,
    QuotaLedger,
    Totals,
    on_flash,
)
from appliance.providers.quota_day import Day, DayClock
from appliance.providers.quota_ledger import KEPT_DAYS, Ledger
from appliance.providers.quota_requests import Reservation, Reserve, Settle
from appliance.providers.quota_store import LedgerStore, Storages
from appliance.storage.files import FileLayer
from appliance.storage.flash import FlashStorage

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
LIMITS = {"groq": Limits(tokens=10_000)}


class Wall:
    """A wall clock that stands still until it is set."""

    def __init__(self, text: str = "2026-11-21 15:00") -> None:
        self.set(text)

    def set(self, text: str) -> None:
        """To a time in São Paulo."""
        self.time = datetime.fromisoformat(text).replace(tzinfo=SAO_PAULO)

    def __call__(self) -> datetime:
        return self.time.astimezone(UTC)


class CountingMemory(MemoryStorage):
    """Memory that counts writes, takes a while for each, and can be full."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.full = False
        self.threads: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def write(self, data: dict[str, dict[str, object]]) -> None:
        self.gate.wait(10)
        self.threads.add(threading.current_thread().name)
        if self.full:
            raise StorageError("quota: nothing was stored: the disk is full")
        self.writes += 1
        super().write(data)


@asynccontextmanager
async def opened(
    storages: Storages,
    limits: dict[str, Limits] | None = None,
    wall: Wall | None = None,
    events: list[Event] | None = None,
) -> AsyncIterator[QuotaLedger]:
    ledger = QuotaLedger(
        storages,
        LIMITS if limits is None else limits,
        SAO_PAULO,
        on_event=(events if events is not None else []).append,
        now=wall or Wall(),
    )
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


def memory(name: str) -> Storage:
    return MemoryStorage()


async def use(ledger: QuotaLedger, tokens: int, provider: str = "groq", role: str = "chat") -> None:
    reservation = await ledger.reserve(provider, role, prompt_tokens=tokens, max_tokens=0)
    await ledger.settle(reservation, Usage(prompt_tokens=tokens, completion_tokens=0))


# --- the cap -----------------------------------------------------------------------------------


async def test_usage_replaces_the_reservation_and_is_kept_by_role(tmp_path: Path) -> None:
    async with opened(on_flash(tmp_path)) as ledger:
        first = await ledger.reserve("groq", "chat", prompt_tokens=800, max_tokens=200)
        assert (await ledger.budget()).left("groq") == 9000
        await ledger.settle(first, Usage(prompt_tokens=700, completion_tokens=20))
        second = await ledger.reserve("groq", "code", prompt_tokens=10, max_tokens=90)
        await ledger.settle(second, None)
    async with opened(on_flash(tmp_path)) as ledger:
        (day,) = await ledger.days()
        assert day.used["groq"] == {
            "chat": Totals(requests=1, tokens_in=700, tokens_out=20),
            "code": Totals(requests=1, tokens_in=10, tokens_out=90, estimated=1),
        }
        budget = await ledger.budget()
        assert budget.left("groq") == 10_000 - 820
        assert budget.left("ollama") is None


async def test_twenty_at_once_never_exceed_the_limit_and_share_their_writes() -> None:
    storage = CountingMemory()
    async with opened(lambda name: storage if name == "today" else MemoryStorage()) as ledger:
        before = storage.writes
        outcomes = await asyncio.gather(
            *(ledger.reserve("groq", "chat", prompt_tokens=600, max_tokens=300) for _ in range(20)),
            return_exceptions=True,
        )
        assert storage.writes - before <= 2
        granted = [o for o in outcomes if isinstance(o, Reservation)]
        refused = [o for o in outcomes if isinstance(o, QuotaExceededError)]
        assert (len(granted), len(refused)) == (11, 9)
        # Strictly in order: what came first was served.
        assert all(isinstance(outcome, Reservation) for outcome in outcomes[:11])
        assert refused[0].kind == "quota"
        assert (refused[0].held, refused[0].wanted, refused[0].allowed) == (9900, 900, 10_000)
        assert refused[0].resets_at == datetime(2026, 11, 22, tzinfo=SAO_PAULO)
        for reservation in granted:
            await ledger.release(reservation)
        assert (await ledger.budget()).left("groq") == 10_000


async def test_a_refusal_says_which_limit_and_when_it_resets() -> None:
    limits = {"a": Limits(requests=1), "b": Limits(cost=0.01), "c": Limits(tokens=0)}
    async with opened(memory, limits) as ledger:
        await use(ledger, 5, "a")
        with pytest.raises(ProviderError) as requests:
            await use(ledger, 5, "a")
        assert str(requests.value) == (
            "a: the daily limit of 1 requests has no room for 1 more (1 used); "
            "it resets at 00:00 on 2026-11-22"
        )
        price = Price(2.0, 8.0)
        await ledger.reserve("b", "chat", prompt_tokens=1000, max_tokens=1000, price=price)
        with pytest.raises(QuotaExceededError, match=r"limit of 0\.01 cost .* 0\.01 reserved"):
            await ledger.reserve("b", "chat", prompt_tokens=1, max_tokens=0, price=price)
        with pytest.raises(QuotaExceededError, match="limit of 0 tokens"):
            await use(ledger, 1, "c")


async def test_more_than_reserved_shows_and_blocks_the_day() -> None:
    wall = Wall()
    async with opened(memory, wall=wall) as ledger:
        reservation = await ledger.reserve("groq", "chat", prompt_tokens=5000, max_tokens=4000)
        await ledger.settle(reservation, Usage(prompt_tokens=5000, completion_tokens=9000))
        (day,) = await ledger.days()
        assert day.total("groq").of("tokens") == 14_000
        assert (await ledger.budget()).left("groq") == 0
        with pytest.raises(QuotaExceededError):
            await ledger.reserve("groq", "code", prompt_tokens=0, max_tokens=0)
        wall.set("2026-11-22 00:00")
        await use(ledger, 10_000)


async def test_nonsense_from_a_provider_counts_as_the_whole_reservation() -> None:
    async with opened(memory) as ledger:
        reservation = await ledger.reserve("groq", "chat", prompt_tokens=50, max_tokens=50)
        await ledger.settle(reservation, Usage(prompt_tokens=-7, completion_tokens=3))
        await ledger.settle(reservation, Usage(prompt_tokens=1, completion_tokens=1))
        await ledger.release(reservation)
        (day,) = await ledger.days()
        whole = Totals(requests=1, tokens_in=50, tokens_out=50, estimated=1)
        assert day.used == {"groq": {"chat": whole}}
        assert not day.holds


async def test_a_wish_that_cannot_be_meant_is_refused_before_it_is_queued() -> None:
    async with opened(memory) as ledger:
        with pytest.raises(ValueError, match="cannot reserve"):
            await ledger.reserve("groq", "chat", prompt_tokens=-1, max_tokens=0)
        with pytest.raises(ValueError, match="cannot reserve"):
            await ledger.reserve("groq", "chat", prompt_tokens=0, max_tokens=10**10)


def test_cost_is_rounded_up_and_cached_tokens_have_their_price() -> None:
    assert Price(0.59, 0.79).micros(3, 1) == 3
    assert Price(1.0, 0.0, 0.1).micros(1000, 0, cached=900) == 190
    assert Price(1.0, 0.0).micros(1000, 0, cached=900) == 1000
    assert Price(1.0, 0.0, 0.1).micros(10, 0, cached=999) == 1


# --- days --------------------------------------------------------------------------------------


async def test_a_request_over_midnight_counts_to_the_day_it_began() -> None:
    wall = Wall("2026-11-21 23:59")
    async with opened(memory, wall=wall) as ledger:
        reservation = await ledger.reserve("groq", "chat", prompt_tokens=9000, max_tokens=1000)
        wall.set("2026-11-22 00:01")
        await use(ledger, 10_000)
        await ledger.settle(reservation, Usage(prompt_tokens=9000, completion_tokens=1))
        newer, older = await ledger.days()
        assert (newer.date, newer.total("groq").tokens_in) == (date(2026, 11, 22), 10_000)
        assert (older.date, older.total("groq").tokens_out) == (date(2026, 11, 21), 1)
        assert await ledger.days(since=date(2026, 11, 22)) == [newer]


async def test_days_are_the_owners_and_not_utc() -> None:
    wall = Wall("2026-11-21 22:00")
    assert wall().day == 22
    async with opened(memory, wall=wall) as ledger:
        await use(ledger, 1)
        assert (await ledger.budget()).day.date == date(2026, 11, 21)


async def test_a_clock_put_back_gives_nothing_back(tmp_path: Path) -> None:
    wall = Wall()
    async with opened(on_flash(tmp_path), wall=wall) as ledger:
        await use(ledger, 10_000)
    wall.set("2026-11-19 10:00")
    async with opened(on_flash(tmp_path), wall=wall) as ledger:
        with pytest.raises(QuotaExceededError) as refusal:
            await use(ledger, 1)
        assert refusal.value.resets_at.date() == date(2026, 11, 21)
    wall.set("2026-11-20 23:59")
    async with opened(on_flash(tmp_path), wall=wall) as ledger:
        with pytest.raises(QuotaExceededError):
            await use(ledger, 1)
        wall.set("2026-11-21 23:59")
        with pytest.raises(QuotaExceededError):
            await use(ledger, 1)
        wall.set("2026-11-22 00:00")
        await use(ledger, 10_000)


async def test_a_clock_that_was_in_2100_once_is_forgiven_after_two_midnights() -> None:
    wall = Wall()
    async with opened(memory, wall=wall) as ledger:
        await use(ledger, 4000)
        wall.set("2100-01-01 08:00")
        await use(ledger, 9000)
        wall.set("2026-11-21 15:01")
        assert (await ledger.budget()).left("groq") == 1000
        wall.set("2026-11-22 23:59")
        assert (await ledger.budget()).left("groq") == 1000
        wall.set("2026-11-23 00:00")
        await use(ledger, 10_000)
        # And what had been used on a day still counts when the clock comes to it again.
        wall.set("2100-01-01 09:00")
        assert (await ledger.budget()).left("groq") == 1000


def test_a_clock_that_falls_further_back_waits_again() -> None:
    clock = DayClock(date(2026, 11, 21))
    for wall in ("2026-11-01", "2026-11-02", "2026-10-31", "2026-11-01"):
        assert clock.observe(date.fromisoformat(wall)) == date(2026, 11, 21)
    assert clock.next_day() == date(2026, 11, 2)
    assert clock.observe(date(2026, 11, 2)) == date(2026, 11, 2)


def test_the_oldest_days_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT_DAYS == 400
    kept = 30
    monkeypatch.setattr(quota_ledger, "KEPT_DAYS", kept)
    wall = Wall()
    start = wall.time
    ledger = Ledger(LedgerStore(on_flash(tmp_path)), {}, SAO_PAULO, wall)
    wish = Reserve(provider="groq", role="chat", tokens_in=1, tokens_out=1)
    ledger.commit([wish])
    for number in range(1, kept + 20):
        wall.time = start + timedelta(days=number)
        (reservation,) = ledger.commit([wish])
        assert isinstance(reservation, Reservation)
        ledger.commit([Settle(reservation=reservation, usage=None)])
    dates = sorted(day.date for day in ledger.days())
    assert len(dates) == kept
    assert dates[0] == start.date()  # something is still held for it
    assert dates[1] == start.date() + timedelta(days=21)
    ledger.close()
    store = LedgerStore(on_flash(tmp_path))
    assert sorted(day.date for days in store.load()[:2] for day in days) == dates
    store.close()


# --- warnings ----------------------------------------------------------------------------------


async def test_warnings_at_80_and_100_percent_once_a_day_also_over_restarts(
    tmp_path: Path,
) -> None:
    wall, events = Wall(), list[Event]()
    for tokens in (7900, 100, 500, 1400):
        async with opened(on_flash(tmp_path), wall=wall, events=events) as ledger:
            await use(ledger, tokens)
    async with opened(on_flash(tmp_path), wall=wall, events=events) as ledger:
        with pytest.raises(QuotaExceededError):
            await use(ledger, 500)
        await use(ledger, 100)
    async with opened(on_flash(tmp_path), wall=wall, events=events) as ledger:
        with pytest.raises(QuotaExceededError):
            await use(ledger, 500)
    warnings = [event for event in events if isinstance(event, QuotaWarning)]
    assert [(w.percent, w.used) for w in warnings] == [(80, 8000), (100, 9900)]
    assert warnings[0].allowed == 10_000
    assert warnings[0].day == "2026-11-21"
    assert warnings[0].resets_at == "2026-11-22T00:00:00-03:00"
    wall.set("2026-11-22 12:00")
    async with opened(on_flash(tmp_path), wall=wall, events=events) as ledger:
        await use(ledger, 10_000)
    assert [w.percent for w in events if isinstance(w, QuotaWarning)] == [80, 100, 80, 100]


async def test_what_a_dead_process_held_counts_and_warns(tmp_path: Path) -> None:
    events: list[Event] = []
    store = LedgerStore(on_flash(tmp_path))
    dead = Ledger(store, LIMITS, SAO_PAULO, Wall())
    dead.commit([Reserve(provider="groq", role="chat", tokens_in=5000, tokens_out=3500)])
    store.close()
    async with opened(on_flash(tmp_path), events=events) as ledger:
        (day,) = await ledger.days()
        whole = Totals(requests=1, tokens_in=5000, tokens_out=3500, estimated=1)
        assert day.used == {"groq": {"chat": whole}}
    assert [event.percent for event in events if isinstance(event, QuotaWarning)] == [80]


# --- a disk that does not take it --------------------------------------------------------------


async def test_a_full_disk_refuses_what_has_a_limit_and_nothing_else() -> None:
    storage, events = CountingMemory(), list[Event]()
    async with opened(
        lambda name: storage if name == "today" else MemoryStorage(), events=events
    ) as ledger:
        running = await ledger.reserve("groq", "chat", prompt_tokens=100, max_tokens=100)
        storage.full = True
        with pytest.raises(LedgerUnavailableError, match=r"cannot be counted: .*the disk is full"):
            await use(ledger, 1)
        await ledger.settle(running, Usage(prompt_tokens=90, completion_tokens=10))
        await use(ledger, 5, "ollama")
        assert ledger.trouble == "quota: nothing was stored: the disk is full"
        storage.full = False
        await use(ledger, 1)
        assert ledger.trouble == ""
        (day,) = await ledger.days()
        assert day.total("groq").of("tokens") == 101
        assert day.total("ollama").of("tokens") == 5
    logged = [(event.level, event.text) for event in events if isinstance(event, Logged)]
    assert [level for level, _ in logged] == ["error", "info"]


async def test_a_ledger_that_cannot_be_opened_is_tried_again(tmp_path: Path) -> None:
    other = LedgerStore(on_flash(tmp_path))
    async with opened(on_flash(tmp_path)) as ledger:
        with pytest.raises(LedgerUnavailableError, match="in use by another process"):
            await use(ledger, 1)
        await use(ledger, 1, "ollama")
        with pytest.raises(StorageError):
            await ledger.budget()
        other.close()
        await use(ledger, 1)
        assert (await ledger.budget()).left("groq") == 9999


async def test_a_real_disk_that_is_full_and_has_room_again(tmp_path: Path) -> None:
    class Full(FileLayer):
        full = False

        def write(self, descriptor: int, data: bytes) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "no space")
            super().write(descriptor, data)

    files = Full()

    def full(name: str) -> FlashStorage:
        return FlashStorage(tmp_path / "quota" / name, files=files)

    async with opened(full) as ledger:
        await use(ledger, 10)
        files.full = True
        with pytest.raises(LedgerUnavailableError):
            await use(ledger, 10)
        files.full = False
        await use(ledger, 10)
    async with opened(on_flash(tmp_path)) as ledger:
        assert (await ledger.budget()).left("groq") == 9980


@pytest.mark.parametrize("document", [{"date": "2026-11-21"}, {"date": "yesterday", "used": 3}, {}])
def test_a_damaged_document_is_named(document: dict[str, object]) -> None:
    storage = MemoryStorage()
    storage.write({"days": {"739941": document}})
    with pytest.raises(StorageError, match="quota ledger is damaged"):
        LedgerStore(lambda name: storage).load()


def test_a_day_survives_its_document() -> None:
    day = Day(date(2026, 11, 21), limits={"groq": Limits(tokens=5, cost=0.5)}, warned={"x"})
    day.add("groq", "chat", Totals(requests=1, tokens_in=3, cost_micros=7))
    assert Day.from_document(day.to_document()) == day


# --- the event loop ----------------------------------------------------------------------------


async def test_the_loop_never_waits_for_the_disk() -> None:
    storage = CountingMemory()
    async with opened(lambda name: storage if name == "today" else MemoryStorage()) as ledger:
        storage.gate.clear()
        waiting = asyncio.create_task(use(ledger, 1))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not waiting.done()
        storage.gate.set()
        await waiting
    assert all(name.startswith("quota") for name in storage.threads)


async def test_a_caller_that_is_cancelled_gives_its_reservation_back() -> None:
    storage = CountingMemory()
    async with opened(lambda name: storage if name == "today" else MemoryStorage()) as ledger:
        storage.gate.clear()
        waiting = asyncio.create_task(
            ledger.reserve("groq", "chat", prompt_tokens=100, max_tokens=0)
        )
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        storage.gate.set()
        await use(ledger, 1)
        assert (await ledger.budget()).left("groq") == 9999
        (day,) = await ledger.days()
        assert not day.holds


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    async with opened(on_flash(tmp_path)) as ledger:
        tasks = [asyncio.create_task(use(ledger, 10)) for _ in range(20)]
        await asyncio.sleep(0)
    assert not any(task.done() and task.exception() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_mistake_in_the_storage_reaches_the_caller() -> None:
    class Broken(MemoryStorage):
        def write(self, data: dict[str, dict[str, object]]) -> None:
            raise RuntimeError("a mistake")

    ledger = QuotaLedger(
        lambda name: Broken(), LIMITS, SAO_PAULO, on_event=lambda event: None, now=Wall()
    )
    with pytest.raises(RuntimeError, match="a mistake"):
        await use(ledger, 1)
    await ledger.close()
