"""What was used on one day of the quota ledger, and which day it is. Pure: no files, no clock.

Money is counted in millionths of a US dollar: one token at a price of one dollar per million
tokens costs exactly one of them, and sums of whole numbers do not drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

Measure = Literal["tokens", "requests", "cost"]
MEASURES: tuple[Measure, ...] = ("tokens", "requests", "cost")
MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a provider may use in a day, over all roles; None is no limit, 0 allows nothing."""

    tokens: int | None = None
    """In and out together."""
    requests: int | None = None
    cost: float | None = None
    """In US dollars."""

    def of(self, measure: Measure) -> int | None:
        """Return the limit in tokens, requests, or millionths of a dollar."""
        if measure == "cost":
            return None if self.cost is None else round(self.cost * MILLION)
        return self.tokens if measure == "tokens" else self.requests

    def __bool__(self) -> bool:
        return any(self.of(measure) is not None for measure in MEASURES)


@dataclass(frozen=True)
class Price:
    """Price of a model in US dollars, for each million tokens."""

    input: float = 0.0
    output: float = 0.0
    cached: float | None = None
    """Of prompt tokens that the provider had in its cache; None: like all others."""

    def micros(self, tokens_in: int, tokens_out: int, cached: int = 0) -> int:
        """Return the cost in millionths of a dollar, rounded up; *cached* are among the in."""
        cached = min(max(cached, 0), tokens_in)
        price_cached = self.input if self.cached is None else self.cached
        fresh = (tokens_in - cached) * self.input
        return math.ceil(fresh + cached * price_cached + tokens_out * self.output)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """A sum of requests."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_micros: int = 0
    estimated: int = 0
    """How many of the requests were counted by us, because nobody told the true numbers."""

    def __add__(self, other: Totals) -> Totals:
        mine, others = asdict(self), asdict(other)
        return Totals(**{name: mine[name] + others[name] for name in mine})

    def of(self, measure: Measure) -> int:
        """Return tokens in and out, requests, or millionths of a dollar."""
        if measure == "cost":
            return self.cost_micros
        return self.tokens_in + self.tokens_out if measure == "tokens" else self.requests


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What a running request may use at most."""

    provider: str
    role: str
    most: Totals


@dataclass
class Day:
    """What was used on a day, and what is held for requests that are still running."""

    date: date
    used: dict[str, dict[str, Totals]] = field(default_factory=dict)
    """By provider and role."""
    holds: dict[str, Hold] = field(default_factory=dict)
    """By the reservation's id."""
    limits: dict[str, Limits] = field(default_factory=dict)
    """As they were on that day, for those who look back."""
    warned: set[str] = field(default_factory=set)
    """Warnings that were given: ``provider/measure/percent``."""

    def add(self, provider: str, role: str, totals: Totals) -> None:
        """Count a request that is over."""
        roles = self.used.setdefault(provider, {})
        roles[role] = roles.get(role, Totals()) + totals

    def total(self, provider: str) -> Totals:
        """Return what *provider* has used, running requests left out."""
        return sum(self.used.get(provider, {}).values(), Totals())

    def held(self, provider: str) -> Totals:
        """Return what running requests of *provider* may use at most."""
        holds = (hold.most for hold in self.holds.values() if hold.provider == provider)
        return sum(holds, Totals())

    def count_holds(self) -> bool:
        """Count every hold as used in full, as an estimate; return whether there was any.

        For holds of a process that is dead: what was sent and never heard of may have cost
        everything that was reserved.
        """
        holds, self.holds = self.holds, {}
        for hold in holds.values():
            self.add(hold.provider, hold.role, hold.most + Totals(estimated=1))
        return bool(holds)

    def over(self, provider: str, percent: int) -> Iterator[tuple[Measure, int, int]]:
        """Yield each measure of which *percent* or more is used, with use and limit."""
        used, limits = self.total(provider), self.limits.get(provider, Limits())
        for measure in MEASURES:
            allowed = limits.of(measure)
            if allowed is not None and used.of(measure) * 100 >= allowed * percent:
                yield measure, used.of(measure), allowed

    def to_document(self) -> dict[str, Any]:
        """Return the JSON form; it shares nothing with this object."""
        return {
            "date": self.date.isoformat(),
            "used": {
                provider: {role: asdict(totals) for role, totals in roles.items()}
                for provider, roles in self.used.items()
            },
            "holds": {name: asdict(hold) for name, hold in self.holds.items()},
            "limits": {provider: asdict(limits) for provider, limits in self.limits.items()},
            "warned": sorted(self.warned),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Day:
        """Return the day in *document*.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: it is none.
        """
        return cls(
            date=date.fromisoformat(document["date"]),
            used={
                provider: {role: Totals(**totals) for role, totals in roles.items()}
                for provider, roles in document["used"].items()
            },
            holds={
                name: Hold(
                    provider=hold["provider"], role=hold["role"], most=Totals(**hold["most"])
                )
                for name, hold in document["holds"].items()
            },
            limits={provider: Limits(**limits) for provider, limits in document["limits"].items()},
            warned=set(document["warned"]),
        )


@dataclass
class DayClock:
    """Which day the ledger is in, whatever the wall clock does.

    The day never follows the wall clock backwards: a clock that is put back finds the budget of
    the highest day seen, as it was left. A jump forwards cannot be told from days that passed,
    and opens a new day.

    A clock that was wrong once, say in the year 2100, must not lock the owner out until then. So
    a clock that stays behind the highest day is believed again when it has passed two midnights:
    at least 24 hours went by, so whichever of the two was wrong, a new day has really begun. What
    had been counted for that day before still counts.
    """

    highest: date
    behind: date | None = None
    """The earliest day that the wall clock has shown while it was behind ``highest``."""

    def observe(self, wall: date) -> date:
        """Return the ledger's day while the wall clock shows *wall*."""
        if wall >= self.highest:
            self.highest, self.behind = wall, None
        elif self.behind is None or wall < self.behind:
            self.behind = wall
        elif wall >= self.behind + timedelta(days=2):
            self.highest, self.behind = wall, None
        return self.highest

    def next_day(self) -> date:
        """Return the day at whose beginning the wall clock opens a new day of the ledger."""
        following = self.highest + timedelta(days=1)
        return min(following, self.behind + timedelta(days=2)) if self.behind else following
