"""The quota ledger under random use, crashes, full disks and clocks: never over the cap."""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.providers.base import Usage
from appliance.providers.quota_day import MEASURES, DayClock, Limits, Price
from appliance.providers.quota_ledger import Ledger
from appliance.providers.quota_requests import (
    LedgerUnavailableError,
    Operation,
    Outcome,
    QuotaExceededError,
    Release,
    Reservation,
    Reserve,
    Settle,
)
from appliance.providers.quota_store import LedgerStore
from appliance.storage.flash import FlashStorage
from tests.storage.power import Disk, Faults, Image, Killed, RecordingLayer

LIMITS = {
    "groq": Limits(tokens=1000),
    "openai": Limits(tokens=3000, requests=6),
    "gemini": Limits(cost=0.002),
    "house": Limits(),
}
PRICE = Price(0.5, 1.5, 0.1)
ZONES = [ZoneInfo(name) for name in ("America/Sao_Paulo", "Pacific/Kiritimati", "Europe/London")]
DAY_S = 86_400.0


@dataclass(frozen=True)
class Wish:
    provider: str
    role: str
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True)
class Finish:
    which: int
    how: str
    """``usage``, ``unknown``, ``negative``, ``more`` (than was reserved) or ``release``."""
    part: float


@dataclass(frozen=True)
class Commit:
    steps: tuple[Wish | Finish, ...]
    crash_after: int | None = None
    """Operations on files after which the process dies."""
    power_cut: int | None = None
    """With the process goes the power; the number chooses what of the files is left."""
    full_after: int | None = None
    """Operations after which the disk takes nothing."""


@dataclass(frozen=True)
class Clock:
    seconds: float


@dataclass(frozen=True)
class Restart:
    zone: int
    crash_after: int | None = None
    """While it opens."""


wishes = st.builds(
    Wish,
    st.sampled_from(sorted(LIMITS)),
    st.sampled_from(["chat", "code", "vision"]),
    st.integers(0, 600),
    st.integers(0, 600),
)
finishes = st.builds(
    Finish,
    st.integers(0, 50),
    st.sampled_from(["usage", "usage", "usage", "unknown", "negative", "more", "release"]),
    st.floats(0, 1),
)
commits = st.builds(
    Commit,
    st.lists(st.one_of(wishes, finishes), min_size=1, max_size=6).map(tuple),
    st.one_of(st.none(), st.none(), st.integers(0, 6)),
    st.one_of(st.none(), st.integers(0, 1000)),
    st.one_of(st.none(), st.none(), st.none(), st.integers(0, 3)),
)
clocks = st.builds(
    Clock,
    st.one_of(
        st.floats(-3600, 3600),
        st.floats(0, DAY_S),
        st.floats(-5 * DAY_S, 5 * DAY_S),
        st.sampled_from([27_000 * DAY_S, -27_000 * DAY_S, -9_000 * DAY_S]),
    ),
)
restarts = st.builds(Restart, st.integers(0, 2), st.one_of(st.none(), st.integers(0, 8)))
histories = st.lists(st.one_of(commits, commits, commits, clocks, restarts), max_size=25)


Images = dict[str, Image]
"""Of each store."""


class Schedule(Faults):
    """Lets the process die, or the disk be full, after so many operations on files."""

    def __init__(self) -> None:
        super().__init__(random.Random(0))
        self.kill_in: int | None = None
        self.full_in: int | None = None

    def check(self, *, can_fail: bool = True) -> None:
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                raise Killed
        if self.full_in is not None:
            self.full_in -= 1
            if self.full_in < 0 and can_fail:
                raise OSError(errno.ENOSPC, "made to fail")


@dataclass
class World:
    """A ledger on a recorded disk, and an account of what must be in it."""

    zone: ZoneInfo = ZONES[0]
    time: datetime = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
    disks: dict[str, Disk] = field(default_factory=dict)
    faults: Schedule = field(default_factory=Schedule)
    running: dict[str, Reservation] = field(default_factory=dict)
    used: Counter[tuple[date, str]] = field(default_factory=Counter)
    """Tokens of requests that are over."""
    over: Counter[tuple[date, str, str]] = field(default_factory=Counter)
    """By how much providers reported more than was reserved, by measure."""
    unstored: dict[str, tuple[Reservation, int]] = field(default_factory=dict)
    """What a full disk did not take, with the tokens that were settled (0: was never stored)."""
    withdrawn: Counter[str] = field(default_factory=Counter)
    """Tokens that were refused because storing failed: they may be on the disk nevertheless."""
    ledger: Ledger | None = None

    def open(self, images: Images, crash_after: int | None = None) -> None:
        """Start on what a death left; *crash_after* kills the first attempt as well."""
        if crash_after is not None:
            self.faults = Schedule()
            self.faults.kill_in = crash_after
            try:
                self._open(images)
            except Killed:
                images = self._images(None)
        self.faults = Schedule()
        self._open(images)

    def _open(self, images: Images) -> None:
        self.disks = {name: Disk(image) for name, image in images.items()}

        def storage(name: str) -> FlashStorage:
            files = RecordingLayer(self.disks[name], self.faults)
            return FlashStorage(Path(name), files=files, notify=lambda text: None)

        self.ledger = Ledger(LedgerStore(storage), LIMITS, self.zone, lambda: self.time)

    def _images(self, power_cut: int | None) -> Images:
        """Return the files as a death leaves them."""
        found: Images = {}
        for name, disk in self.disks.items():
            found[name] = {name: file.now for name, file in disk.names.items()}
            if power_cut is not None:
                images = list(disk.images(random.Random(power_cut), variants=4))
                found[name] = images[power_cut % len(images)]
        return found

    # --- steps ---------------------------------------------------------------------------------

    def restart(self, step: Restart) -> None:
        self.zone = ZONES[step.zone]
        self.open(self._images(None), step.crash_after)
        self._running_count_as_used(wished=Counter(), settling={})

    def move_clock(self, step: Clock) -> None:
        moved = self.time + timedelta(seconds=step.seconds)
        if not 1971 < moved.year < 2190:
            return
        before, day_before = self.left(), self.wall_day()
        self.time = moved
        if self.wall_day() <= day_before:
            for _ in range(2):
                for key, left in self.left().items():
                    assert left <= before[key], "a clock that went backwards gave budget back"

    def wall_day(self) -> date:
        return self.time.astimezone(self.zone).date()

    def left(self) -> dict[str, int]:
        assert self.ledger is not None
        today = self.ledger.today()
        return {
            provider: limits.tokens - (today.total(provider) + today.held(provider)).of("tokens")
            for provider, limits in LIMITS.items()
            if limits.tokens is not None
        }

    def commit(self, step: Commit) -> None:
        assert self.ledger is not None
        operations = self._operations(step.steps)
        self.faults.kill_in, self.faults.full_in = step.crash_after, step.full_after
        try:
            outcomes = self.ledger.commit(operations)
        except Killed:
            self._crashed(operations, step)
            return
        self.faults.kill_in = self.faults.full_in = None
        if not self.ledger.trouble:
            self.unstored, self.withdrawn = {}, Counter()
        for operation, outcome in zip(operations, outcomes, strict=True):
            self._done(operation, outcome)

    def _operations(self, steps: Sequence[Wish | Finish]) -> list[Operation]:
        operations: list[Operation] = []
        open_now = list(self.running.values())
        for step in steps:
            if isinstance(step, Wish):
                operations.append(
                    Reserve(
                        provider=step.provider,
                        role=step.role,
                        tokens_in=step.tokens_in,
                        tokens_out=step.tokens_out,
                        price=PRICE,
                    )
                )
            elif open_now:
                operations.append(_finish(open_now.pop(step.which % len(open_now)), step))
        return operations

    def _done(self, operation: Operation, outcome: Outcome) -> None:
        assert self.ledger is not None
        stored = not self.ledger.trouble
        if isinstance(operation, Reserve):
            if isinstance(outcome, Reservation):
                self.running[outcome.id] = outcome
                assert stored or outcome.provider == "house"
                if not stored:
                    self.unstored[outcome.id] = (outcome, 0)
            elif isinstance(outcome, LedgerUnavailableError):
                assert not stored
                self.withdrawn[operation.provider] += operation.tokens_in + operation.tokens_out
            else:
                assert isinstance(outcome, QuotaExceededError)
                assert outcome.used + outcome.held + outcome.wanted > outcome.allowed
            return
        reservation = self.running.pop(operation.reservation.id)
        self.used[reservation.day, reservation.provider] += _tokens(operation)
        self._overshoot(operation)
        if not stored:
            self.unstored[reservation.id] = (reservation, _tokens(operation))

    def _overshoot(self, operation: Settle | Release) -> None:
        if isinstance(operation, Release) or operation.usage is None:
            return
        reservation, usage = operation.reservation, operation.usage
        if usage.prompt_tokens < 0:
            return
        key = (reservation.day, reservation.provider)
        cost = reservation.price.micros(usage.prompt_tokens, usage.completion_tokens)
        self.over[*key, "tokens"] += max(_tokens(operation) - reservation.most.of("tokens"), 0)
        self.over[*key, "cost"] += max(cost - reservation.most.cost_micros, 0)

    def _crashed(self, operations: list[Operation], step: Commit) -> None:
        """The process died while it stored: some of the operations count, or none."""
        self.open(self._images(step.power_cut))
        wished: Counter[str] = Counter()
        settling: dict[str, int] = {}
        for operation in operations:
            if isinstance(operation, Reserve):
                wished[operation.provider] += operation.tokens_in + operation.tokens_out
            else:
                settling[operation.reservation.id] = _tokens(operation)
                self._overshoot(operation)
        self._running_count_as_used(wished=wished, settling=settling)

    def _running_count_as_used(self, *, wished: Counter[str], settling: dict[str, int]) -> None:
        """Compare what the reopened ledger counts with what was acknowledged before the death.

        *wished* and *settling* are the tokens of what was asked for and never acknowledged.
        """
        assert self.ledger is not None
        low = Counter(self.used)
        for reservation, tokens in self.unstored.values():
            if reservation.id not in self.running:
                low[reservation.day, reservation.provider] -= tokens
        high = Counter(low)
        uncertain = {number: tokens for number, (_, tokens) in self.unstored.items()} | settling
        lost = {number: reservation for number, (reservation, _) in self.unstored.items()}
        for number, reservation in (self.running | lost).items():
            key = (reservation.day, reservation.provider)
            most = reservation.most.of("tokens")
            tokens = uncertain.get(number, most)
            low[key] += 0 if reservation.provider == "house" else min(most, tokens)
            high[key] += max(most, tokens)
        self.running, self.unstored = {}, {}
        found: Counter[tuple[date, str]] = Counter()
        for day in self.ledger.days():
            assert not day.holds
            for provider in day.used:
                found[day.date, provider] = day.total(provider).of("tokens")
        for key in found | low | high:
            most = high[key] + wished[key[1]] + self.withdrawn[key[1]]
            assert low[key] <= found[key] <= most, key
        self.used, self.withdrawn = found, Counter()

    # --- what must always hold -----------------------------------------------------------------

    def check(self) -> None:
        assert self.ledger is not None
        expected = Counter(self.used)
        for reservation in self.running.values():
            expected[reservation.day, reservation.provider] += reservation.most.of("tokens")
        for day in self.ledger.days():
            for provider, limits in LIMITS.items():
                taken = day.total(provider) + day.held(provider)
                assert taken.of("tokens") == expected.pop((day.date, provider), 0)
                assert min(taken.requests, taken.tokens_in, taken.tokens_out) >= 0
                assert 0 <= taken.estimated <= taken.requests
                assert taken.cost_micros >= 0
                for measure in MEASURES:
                    allowed = limits.of(measure)
                    over = self.over[day.date, provider, measure]
                    assert allowed is None or taken.of(measure) <= allowed + over, measure
        assert not +expected


def _finish(reservation: Reservation, step: Finish) -> Settle | Release:
    if step.how == "release":
        return Release(reservation=reservation)
    if step.how == "unknown":
        return Settle(reservation=reservation, usage=None)
    most = reservation.most
    factor = 1 + 2 * step.part if step.how == "more" else step.part
    sign = -1 if step.how == "negative" else 1
    tokens_in, tokens_out = int(most.tokens_in * factor), int(most.tokens_out * factor)
    usage = Usage(
        prompt_tokens=sign * (tokens_in + (sign < 0)),
        completion_tokens=tokens_out,
        cached_tokens=0 if step.how == "more" else tokens_in // 3,
    )
    return Settle(reservation=reservation, usage=usage)


def _tokens(operation: Settle | Release) -> int:
    if isinstance(operation, Release):
        return 0
    usage = operation.usage
    if usage is None or usage.prompt_tokens < 0:
        return operation.reservation.most.of("tokens")
    return usage.prompt_tokens + usage.completion_tokens


@settings(max_examples=400, deadline=None, derandomize=True)
@given(histories)
def test_never_over_the_cap_and_never_negative(history: list[Commit | Clock | Restart]) -> None:
    world = World()
    world.open({"today": {}, "history": {}})
    for step in history:
        match step:
            case Commit():
                world.commit(step)
            case Clock():
                world.move_clock(step)
            case Restart():
                world.restart(step)
        world.check()


# Small steps around midnight, where a day could be won.
hours = st.one_of(st.sampled_from([0.5, 1.0, 2.0, 9.0, 24.0]), st.floats(0, 30))
jumps = st.one_of(st.sampled_from([0.0, 0.0, 1.0, 2.0, 13.0, 25.0, 48.0]), st.floats(0, 100_000))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(st.tuples(hours, jumps), min_size=20, max_size=60))
def test_a_clock_that_only_falls_back_opens_no_more_days_than_passed(
    steps: list[tuple[float, float]],
) -> None:
    wall = datetime(2026, 11, 21, 15, 0)
    clock = DayClock(wall.date())
    day, opened, passed = clock.observe(wall.date()), 1, timedelta()
    for elapsed, jump in steps:
        passed += timedelta(hours=elapsed)
        wall += timedelta(hours=elapsed) - timedelta(hours=jump)
        if clock.observe(wall.date()) != day:
            day, opened = clock.highest, opened + 1
        assert opened <= 2 + passed / timedelta(days=1)
