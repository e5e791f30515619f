"""The providers: whether they can be reached; with the owner's consent, whether they answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from appliance.assistant.provider_check import tested
from appliance.doctor.finding import Box, Finding
from appliance.errors import ConfigError, LunaError
from appliance.providers.keys import find_key
from appliance.providers.known import Provider
from appliance.providers.policy import in_use

CONNECT_S = 5.0
HTTPS = 443
HTTP = 80
ILL = frozenset({"degraded", "misconfigured"})
"""States of a provider, by the running service, in which it is not asked."""


def check(box: Box) -> Iterator[Finding]:
    """Yield how each provider is. Those without a key are the configuration's to report."""
    providers = {name: one for name, one in in_use(box.settings).items() if _usable(one)}
    if not providers:
        yield Finding("providers.none", skipped=True)
        return
    known = {row["name"]: row for row in (box.report or {}).get("providers", ())}
    for name, provider in providers.items():
        row = known.get(name, {})
        if box.ask_providers:
            yield _asked(box, name)
        elif row.get("status") in ILL:
            values = {"name": name, "detail": row["last_error"]}
            yield Finding("providers.ill", "warning", values, f"luna providers test {name}")
        else:
            yield _reached(provider, name)
    if not box.ask_providers:
        yield Finding("providers.not_asked", skipped=True, command="luna doctor --providers")


def _usable(provider: Provider) -> bool:
    try:
        return provider.lan or find_key(provider.key_name) is not None
    except ConfigError:
        return False


def _asked(box: Box, name: str) -> Finding:
    """Have a provider say one word; the running service counts it."""
    try:
        answer = asyncio.run(tested(name, box.settings))
    except LunaError as error:
        values = {"name": name, "detail": str(error)}
        return Finding("providers.failed", "failure", values, f"luna providers test {name}")
    if not answer.ok:
        values = {"name": name, "detail": answer.detail}
        return Finding("providers.failed", "failure", values, f"luna providers test {name}")
    values = {"name": name, "model": answer.model, "ms": f"{answer.first_token_ms:.0f}"}
    return Finding("providers.ok", values=values)


def _reached(provider: Provider, name: str) -> Finding:
    """Connect, and send nothing."""
    address = urlsplit(provider.base_url)
    host = address.hostname or ""
    port = address.port or (HTTPS if address.scheme == "https" else HTTP)
    values = {"name": name, "host": host}
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        values["detail"] = str(error.strerror or error)
        return Finding("providers.unreachable", "warning", values, "luna doctor --providers")
    return Finding("providers.reached", values=values)
