"""Who may answer for a role, and in which order.

========== ==============================================
policy     order
========== ==============================================
local      the local model alone: nothing leaves the box
local_first local model, LAN servers, cloud
cloud_first LAN servers, cloud, local model
cloud      LAN servers, cloud, never the local model
========== ==============================================

Within LAN and cloud the order is the owner's (``order``), then that of the configuration. A
provider named for a role is asked before all others.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from appliance.errors import ConfigError
from appliance.providers.keys import find_key
from appliance.providers.known import KNOWN, Provider, resolve
from appliance.providers.quota_day import Price
from appliance.settings import ProviderSettings, RoutePolicy, Settings

LOCAL = "local"
"""The name of the box itself among the providers."""
CHAT_ROLES = ("chat", "code", "vision")
MAX_SHOWN = 60
"""Characters of a wrong name in a report."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What must be known of a provider before it is asked."""

    name: str
    place: Literal["box", "lan", "cloud"]
    metered: bool = False
    """It has a price or a limit: reserve before, settle after, and never ask on a guess."""
    tools: bool = True
    vision: bool = True
    context_tokens: Mapping[str, int] = field(default_factory=dict)
    """Prompt and answer together at most, by role; none: it looks after that itself."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """By role."""
    first_token_s: float = 4.0
    """Deadline of the first token; after it the next provider is asked as well."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The owner's wishes."""

    local: Candidate
    others: tuple[Candidate, ...] = ()
    """LAN and cloud providers in the owner's order."""
    roles: Mapping[str, RoutePolicy] = field(default_factory=dict)
    preferred: Mapping[str, str] = field(default_factory=dict)
    """Name of the provider that is asked first, by role."""

    def of(self, role: str) -> RoutePolicy:
        """Return the policy of *role*."""
        return self.roles.get(role, "local_first")

    def order(self, role: str) -> tuple[Candidate, ...]:
        """Return every candidate in the order in which they are asked for *role*."""
        others = sorted(self.others, key=lambda candidate: candidate.place != "lan")
        local_last = self.of(role) in ("cloud_first", "cloud")
        ordered = [*others, self.local] if local_last else [self.local, *others]
        first = self.preferred.get(role)
        return tuple(sorted(ordered, key=lambda candidate: candidate.name != first))

    def allows(self, role: str, candidate: Candidate) -> bool:
        """Return whether *candidate* may be asked for *role* at all."""
        policy = self.of(role)
        if policy == "local":
            return candidate.place == "box"
        return candidate.place != "box" or policy != "cloud"


# --- from the configuration ------------------------------------------------------------------


def in_use(settings: Settings) -> dict[str, Provider]:
    """Return the providers that the owner configured, in the order in which they are asked.

    Those are the tables ``[providers.NAME]`` that are not switched off, and whoever is named in
    ``routing.order`` or ``routing.provider``. What cannot be used is left out; :func:`mistakes`
    tells of it.
    """
    routing = settings.routing
    names = dict.fromkeys([*routing.order, *settings.providers, *routing.provider.values()])
    found = {}
    for name in names:
        table = settings.providers.get(name, ProviderSettings())
        if table.enabled and name != LOCAL:
            with contextlib.suppress(ConfigError):
                found[name] = resolve(name, table)
    return found


def from_settings(settings: Settings) -> Policy:
    """Return the owner's wishes."""
    routing = settings.routing
    return Policy(
        local=Candidate(name=LOCAL, place="box", first_token_s=routing.local_first_token_s),
        others=tuple(map(_candidate, in_use(settings).values())),
        roles={str(role): policy for role, policy in routing.policy.items()},
        preferred={str(role): name for role, name in routing.provider.items()},
    )


def _candidate(provider: Provider) -> Candidate:
    models = {role: provider.about(model) for role, model in provider.models.items()}
    prices = {role: provider.price(model) for role, model in provider.models.items()}
    priced = any(price.input or price.output or price.cached for price in prices.values())
    return Candidate(
        name=provider.name,
        place="lan" if provider.lan else "cloud",
        metered=not provider.lan or bool(provider.limits) or priced,
        tools="tools" in provider.supports,
        vision="vision" in provider.supports,
        context_tokens={role: model.context_tokens for role, model in models.items()},
        prices=prices,
        first_token_s=provider.timeouts.first_token_s,
    )


def mistakes(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what does not fit together: the key, and what is wrong with it."""
    routing = settings.routing
    known = sorted({*KNOWN, *settings.providers})
    for name in routing.order:
        if name == LOCAL:
            yield "routing.order", "where the local model stands is for routing.policy to say"
        elif name not in known:
            yield "routing.order", f"unknown provider {_named(name, known)}"
    for role, name in routing.provider.items():
        yield from _preferred_mistakes(settings, role, name, known)
    for role, wish in routing.policy.items():
        able = any(provider.model(role) for provider in in_use(settings).values())
        if wish == "cloud" and not able:
            yield f"routing.policy.{role}", f"is cloud, but no provider has a model for {role}"
    for name, table in settings.providers.items():
        try:
            resolve(name, table)
        except ConfigError as error:
            yield f"providers.{name}", str(error).removeprefix(f"providers.{name}: ")
    for name, provider in in_use(settings).items():
        yield from _provider_mistakes(provider, environ, f"providers.{name}")


def _provider_mistakes(
    provider: Provider, environ: Mapping[str, str], where: str
) -> Iterator[tuple[str, str]]:
    try:
        key = find_key(provider.key_name, environ)
    except ConfigError as error:
        yield where, str(error)
        return
    if key is None and not provider.lan:
        yield (
            where,
            f"its key is missing: set {provider.key_name} in the environment, or give it as "
            "a systemd credential",
        )
    if not provider.models:
        yield f"{where}.models", "name a model for a role, such as chat"
    if provider.limits.cost is None:
        return
    for role in CHAT_ROLES:
        model = provider.model(role)
        price = provider.price(model)
        if model and not (price.input and price.output):
            yield (
                f"{where}.daily_limit_usd",
                f"the price of {model} ({role}) is not known; set price_input and price_output",
            )


def _preferred_mistakes(
    settings: Settings, role: str, name: str, known: Sequence[str]
) -> Iterator[tuple[str, str]]:
    key = f"routing.provider.{role}"
    policy = {str(r): policy for r, policy in settings.routing.policy.items()}.get(role)
    if name == LOCAL:
        if policy == "cloud":
            yield key, f"local may not answer: routing.policy.{role} is cloud"
        return
    if name not in known:
        yield key, f"unknown provider {_named(name, [LOCAL, *known])}"
        return
    if policy == "local":
        yield key, f"{name} may not answer: routing.policy.{role} is local"
    provider = in_use(settings).get(name)
    if provider is None:
        yield key, f"{name} is switched off, or cannot be used"
    elif not provider.model(role):
        yield key, f"{name} has no model for {role}; set providers.{name}.models.{role}"
    elif role == "tts" and not provider.voices:
        yield key, f"{name} has no voice; set providers.{name}.voices"


def _named(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"{name[:MAX_SHOWN]!r} ({hint}; others need providers.NAME.base_url)"
