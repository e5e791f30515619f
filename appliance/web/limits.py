"""How often: token buckets for requests, and back-off for those who guess at passwords."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from appliance.clock import monotonic

MAX_CLIENTS = 2000
"""Clients that are remembered; the one that was seen longest ago is forgotten first."""
MINUTE, HOUR = 60.0, 3600.0
PER_MINUTE, PER_HOUR = 3, 10
"""Wrong guesses that are allowed, by one address and by all of the network together."""


def client_of(address: str) -> str:
    """Return the name under which an IP address is counted.

    A single machine has all addresses of an IPv6 network of 64 bits (RFC 4291, 2.5.1) for itself.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        elif not parsed.is_loopback:
            return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return "loopback" if parsed.is_loopback else str(parsed)


class Buckets:
    """A token bucket for each client.

    Args:
        rate: requests a second in the long run.
        burst: requests at once.
        clock: seconds.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Count a request; return 0, or the seconds to wait when it is one too many."""
        now = self._clock()
        level, then = self._clients.pop(client, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        allowed = level >= 1.0
        self._clients[client] = (level - 1.0 if allowed else level, now)
        if len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0 if allowed else (1.0 - level) / self._rate


class Backoff:
    """Counts wrong guesses, by address and over the whole network.

    A guess is counted before it is looked at, so that many at once are no way around it, and
    forgiven when it was right. Guesses on this machine itself (loopback) have a count of their
    own: nobody on the network can use it up.

    Args:
        clock: seconds.
        together: count all of the network together as well.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, *, together: bool = True) -> None:
        self._clock = clock
        self._together = together
        self._guesses: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Count a guess; return 0, or the seconds to wait when it is one too many."""
        now = self._clock()
        names = self._names(client)
        wait = max(self._wait(name, now) for name in names)
        if wait:
            return wait
        for name in names:
            self._guesses.setdefault(name, deque(maxlen=PER_HOUR)).append(now)
            self._guesses.move_to_end(name)
        while len(self._guesses) > MAX_CLIENTS:
            self._guesses.popitem(last=False)
        return 0.0

    def forgive(self, client: str) -> None:
        """The guess just made was right."""
        for name in self._names(client):
            if guesses := self._guesses.get(name):
                guesses.pop()

    def _names(self, client: str) -> tuple[str, ...]:
        alone = client == "loopback" or not self._together
        return (client,) if alone else ("network", client)

    def _wait(self, name: str, now: float) -> float:
        guesses = self._guesses.get(name, ())
        wait = 0.0
        for limit, span in ((PER_MINUTE, MINUTE), (PER_HOUR, HOUR)):
            recent = [at for at in guesses if at > now - span]
            if len(recent) >= limit:
                wait = max(wait, recent[-limit] + span - now)
        return wait


def whole_seconds(wait: float) -> int:
    """Return *wait* for the header Retry-After."""
    return max(1, math.ceil(wait))
