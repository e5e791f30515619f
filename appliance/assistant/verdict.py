"""What a failure says about a provider, and about the network."""

from __future__ import annotations

from appliance.errors import ProviderError
from appliance.providers.circuit_breaker import CircuitBreaker
from appliance.providers.offline import Network
from appliance.providers.policy import Candidate

_NO_CONNECTION = frozenset({"unreachable", "offline"})
_ANSWERED = frozenset(
    {"rate_limited", "server", "misconfigured", "rejected", "malformed", "broken"}
)
"""Whoever fails like this was reached, so there is a network."""


def judge(
    candidate: Candidate,
    error: ProviderError,
    *,
    sent: bool,
    breaker: CircuitBreaker,
    network: Network,
) -> None:
    """Tell *breaker* and *network* of *error*; *sent*: the provider had the request already."""
    cloud = candidate.place == "cloud"
    own_limit = error.kind == "quota" and not sent
    if cloud and error.kind in _NO_CONNECTION:
        network.unreachable(candidate.name)
    elif cloud and error.kind in _ANSWERED:
        network.succeeded()
    line_is_dead = cloud and network.offline()
    if candidate.place == "box" or own_limit or line_is_dead:
        breaker.undecided(candidate.name)
    else:
        breaker.failed(candidate.name, error)
