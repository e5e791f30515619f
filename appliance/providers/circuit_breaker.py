"""Which providers are left alone for a while, because they failed.

Made for a house: with a handful of requests a day no failure *rate* can be measured, so failures
are counted. One 429, or three other failures within a quarter of an hour, and the provider is
*degraded*: not asked until its time is over. That time doubles with each relapse. The next real
request is then the probe, alone; nothing is ever sent only to see whether a provider is back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from appliance.clock import monotonic
from appliance.errors import ProviderError

Status = Literal["ok", "degraded", "misconfigured"]

MISCONFIGURED = frozenset({"misconfigured", "rejected"})
COUNTED = frozenset({"server", "timeout", "broken", "malformed", "unreachable"})
LONGEST_WAIT_S = 86_400.0
"""A ``Retry-After`` beyond a day is taken for a mistake, and for a day."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a provider counts as degraded, and for how long. All times in seconds."""

    first_s: float = 60.0
    longest_s: float = 3600.0
    failures: int = 3
    window_s: float = 900.0


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is known of one provider. Times are of the breaker's clock."""

    status: Status = "ok"
    until: float = 0.0
    """When it may be asked again."""
    failures: tuple[float, ...] = ()
    """When it failed, within the window."""
    relapses: int = 0
    """How often in a row it was degraded without a success in between."""
    probing: bool = False
    """Its time is over, and one request is trying it."""
    last_error: str = ""


def after_failure(health: Health, error: ProviderError, now: float, limits: Limits) -> Health:
    """Return *health* after *error*.

    A wrong key, model or address does not heal by itself: the provider is *misconfigured* and
    asked again only after the longest time (the owner may have mended it at the provider's).
    """
    health = replace(health, probing=False, last_error=str(error))
    if error.kind in MISCONFIGURED:
        return replace(health, status="misconfigured", until=now + limits.longest_s)
    if error.kind == "quota":  # the account with the provider is empty
        return _degraded(health, now, limits, limits.longest_s)
    if error.kind == "rate_limited" or error.retry_after_s is not None:
        return _degraded(health, now, limits, error.retry_after_s)
    if error.kind not in COUNTED:
        return health
    failures = (*(t for t in health.failures if t > now - limits.window_s), now)
    health = replace(health, failures=failures)
    # A probe that fails settles the question; it need not fail three times.
    if health.status != "ok" or len(failures) >= limits.failures:
        return _degraded(health, now, limits, None)
    return health


def _degraded(health: Health, now: float, limits: Limits, asked_s: float | None) -> Health:
    wait = min(limits.first_s * 2.0 ** min(health.relapses, 30), limits.longest_s)
    if asked_s is not None:
        wait = min(max(asked_s, 0.0), LONGEST_WAIT_S)
    return replace(
        health,
        status="degraded",
        until=max(now + wait, health.until if health.status == "degraded" else 0.0),
        relapses=health.relapses + 1,
        failures=(),
    )


class CircuitBreaker:
    """The health of all providers, by name."""

    def __init__(
        self, limits: Limits | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._health: dict[str, Health] = {}

    def health(self, name: str) -> Health:
        """Return what is known of *name*."""
        return self._health.get(name, Health())

    def cooldown_s(self, name: str) -> float:
        """Return the seconds until *name* may be asked again; 0 when it may be now."""
        health = self.health(name)
        return 0.0 if health.status == "ok" else max(health.until - self._clock(), 0.0)

    def admit(self, name: str) -> bool:
        """Return whether *name* may be asked now.

        Where its time has just ended, this request is the probe and others are refused until
        one of the methods below has told how it went.
        """
        health = self.health(name)
        if health.status == "ok":
            return True
        if health.probing or self._clock() < health.until:
            return False
        self._health[name] = replace(health, probing=True)
        return True

    def succeeded(self, name: str) -> None:
        """Note a good answer: all is forgiven."""
        self._health.pop(name, None)

    def failed(self, name: str, error: ProviderError) -> None:
        """Note a failure."""
        self._health[name] = after_failure(self.health(name), error, self._clock(), self._limits)

    def undecided(self, name: str) -> None:
        """Note that a request ended without a verdict, because it was cancelled."""
        health = self.health(name)
        if health.probing:
            self._health[name] = replace(health, probing=False)
