"""Builds everything that stands behind the router, from the configuration."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance import paths
from appliance.errors import ConfigError
from appliance.events import Event
from appliance.providers import policy as policies
from appliance.providers.circuit_breaker import CircuitBreaker, Limits
from appliance.providers.keys import Secret, find_key
from appliance.providers.known import Provider
from appliance.providers.offline import Network
from appliance.providers.openai_compatible import OpenAICompatible
from appliance.providers.outbound_log import OutboundLog
from appliance.providers.policy import CHAT_ROLES, Policy
from appliance.providers.quota import QuotaLedger
from appliance.providers.quota_store import on_flash
from appliance.providers.redaction import Redactor
from appliance.settings import Settings


@dataclass(frozen=True)
class Providers:
    """Everything but the box's own models."""

    clients: Mapping[str, OpenAICompatible]
    """By name; those without a key are missing."""
    ledger: QuotaLedger
    breaker: CircuitBreaker
    network: Network
    policy: Policy
    outbound: OutboundLog | None

    async def close(self) -> None:
        """Close connections, ledger and log."""
        for client in self.clients.values():
            await client.close()
        try:
            await self.ledger.close()
        finally:
            if self.outbound is not None:
                self.outbound.close()


def outbound_folder(settings: Settings) -> Path:
    """Return where the log of what left the box lies."""
    return paths.data_dir(settings.general.data_dir) / "outbound"


def owner_zone() -> tzinfo:
    """Return the time zone of this machine, summer time included; UTC where it has none."""
    name = os.environ.get("TZ", "").lstrip(":")
    with contextlib.suppress(OSError, ValueError, KeyError):
        if name:
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key="localtime")
    return UTC


def usable(settings: Settings, role: str) -> dict[str, tuple[Provider, Secret | None]]:
    """Return the providers, with their keys, that have a model for *role*."""
    found = {}
    for name, provider in policies.in_use(settings).items():
        with contextlib.suppress(ConfigError):  # `luna config check` says why
            key = find_key(provider.key_name)
            if (key or provider.lan) and provider.model(role):
                found[name] = provider, key
    return found


def assemble(
    settings: Settings,
    *,
    on_event: Callable[[Event], None],
    environ: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Providers:
    """Build everything; nothing is opened or connected yet.

    A provider that cannot be used (its key is missing) costs only itself: the router names it
    as misconfigured, and `luna config check` says why.
    """
    routing, privacy = settings.routing, settings.privacy
    outbound = None
    if privacy.log_outbound:
        size = privacy.log_megabytes * 1_000_000
        outbound = OutboundLog(outbound_folder(settings), max_bytes=size, max_days=privacy.log_days)
    in_use = policies.in_use(settings)
    redactor = Redactor(privacy.redact)
    clients = {}
    for name, provider in in_use.items():
        with contextlib.suppress(ConfigError):
            key = find_key(provider.key_name, environ)
            if (key or provider.lan) and any(map(provider.model, CHAT_ROLES)):
                clients[name] = OpenAICompatible(
                    provider, key, redactor=redactor, outbound=outbound
                )
    return Providers(
        clients=clients,
        ledger=QuotaLedger(
            on_flash(paths.data_dir(settings.general.data_dir)),
            {name: provider.limits for name, provider in in_use.items()},
            owner_zone(),
            on_event=on_event,
            now=now,
        ),
        breaker=CircuitBreaker(
            Limits(
                first_s=routing.degraded_s,
                longest_s=routing.degraded_longest_s,
                failures=routing.failures,
                window_s=routing.failure_window_s,
            )
        ),
        network=Network({name for name, provider in in_use.items() if not provider.lan}),
        policy=policies.from_settings(settings),
        outbound=outbound,
    )
