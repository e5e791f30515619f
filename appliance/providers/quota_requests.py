"""What is asked of the quota ledger, and what it answers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime

from appliance.errors import ProviderError
from appliance.providers.base import Usage
from appliance.providers.quota_day import MILLION, Measure, Price, Totals

FREE = Price()
MAX_RESERVED = 1_000_000_000
"""Tokens of one request at most: anything above is a mistake of the caller."""


class QuotaExceededError(ProviderError):
    """A request does not fit into what is left of a daily limit."""

    def __init__(
        self,
        provider: str,
        measure: Measure,
        *,
        used: int,
        held: int,
        wanted: int,
        allowed: int,
        resets_at: datetime,
    ) -> None:
        """Amounts are in tokens, requests or millionths of a dollar, by *measure*."""
        self.provider, self.measure, self.resets_at = provider, measure, resets_at
        self.used, self.held, self.wanted, self.allowed = used, held, wanted, allowed
        running = f", {shown(measure, held)} reserved for running requests" if held else ""
        super().__init__(
            f"{provider}: the daily limit of {shown(measure, allowed)} {measure} has no room for "
            f"{shown(measure, wanted)} more ({shown(measure, used)} used{running}); it resets at "
            f"{resets_at:%H:%M} on {resets_at:%Y-%m-%d}",
            kind="quota",
        )


class LedgerUnavailableError(ProviderError):
    """What a request may cost cannot be written down, so it must not be sent."""

    def __init__(self, provider: str, trouble: str) -> None:
        super().__init__(
            f"{provider} is not used, because its use cannot be counted: {trouble}", kind="quota"
        )


def shown(measure: Measure, amount: int) -> str:
    """Return *amount* for a person; of a cost in US dollars."""
    return f"{amount / MILLION:.2f}" if measure == "cost" else f"{amount:,}"


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """The permission to send one request."""

    id: str
    provider: str
    role: str
    day: date
    """To which the request counts, however long it takes."""
    most: Totals
    price: Price


@dataclass(frozen=True, kw_only=True)
class Reserve:
    """Wish to send a request."""

    provider: str
    role: str
    tokens_in: int
    tokens_out: int
    """At most; the limit that is sent to the provider."""
    price: Price = FREE

    def __post_init__(self) -> None:
        if not 0 <= self.tokens_in <= MAX_RESERVED or not 0 <= self.tokens_out <= MAX_RESERVED:
            raise ValueError(f"cannot reserve {self.tokens_in} and {self.tokens_out} tokens")


@dataclass(frozen=True, kw_only=True)
class Settle:
    """A request was sent and is over; None means that its use is not known."""

    reservation: Reservation
    usage: Usage | None


@dataclass(frozen=True, kw_only=True)
class Release:
    """Nothing was sent."""

    reservation: Reservation


def granted(wish: Reserve, day: date) -> Reservation:
    """Return the permission for *wish*, which counts to *day*."""
    cached = (0, wish.tokens_in)  # nobody knows yet, so the dearer of the two
    cost = max(wish.price.micros(wish.tokens_in, wish.tokens_out, c) for c in cached)
    return Reservation(
        id=secrets.token_hex(8),
        provider=wish.provider,
        role=wish.role,
        day=day,
        most=Totals(
            requests=1, tokens_in=wish.tokens_in, tokens_out=wish.tokens_out, cost_micros=cost
        ),
        price=wish.price,
    )


Operation = Reserve | Settle | Release
Outcome = Reservation | ProviderError | None
