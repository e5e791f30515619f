"""`luna providers test NAME`: one short real request, counted like any other."""

from __future__ import annotations

import asyncio

from appliance.assistant.provider_call import News, ProviderCall
from appliance.assistant.router import Router
from appliance.control import ask
from appliance.errors import LunaError, ProviderError
from appliance.events import Event, ProviderTested, ProviderTestRequested
from appliance.providers.base import ChatRequest, Role
from appliance.settings import Settings

ROLES: tuple[Role, ...] = ("chat", "code", "vision")
MAX_TOKENS = 100
"""Enough for a model that thinks before its one word."""
LIMIT_S = 180.0


async def tested(name: str, settings: Settings) -> ProviderTested:
    """Let the running service test *name*: it alone may count. Where there is none, do it here."""
    request = ProviderTestRequested(provider=name)
    answer = await ask(request, ProviderTested, LIMIT_S, lambda answer: answer.provider == name)
    return answer or await _tested_here(name, settings)


async def _tested_here(name: str, settings: Settings) -> ProviderTested:
    from appliance.providers import assembly

    parts = assembly.assemble(settings, on_event=_ignore)
    try:
        router = Router(
            parts.clients,
            ledger=parts.ledger,
            breaker=parts.breaker,
            network=parts.network,
            policy=parts.policy,
            publish=_ignore,
        )
        return await check(router, name)
    finally:
        await parts.close()


def _ignore(_: Event) -> None:
    """Nobody listens to this command."""


async def check(router: Router, name: str) -> ProviderTested:
    """Ask *name* for one word, whatever policy and cooldown say, but never beyond its quota.

    A success ends its cooldown.
    """
    candidates = {candidate.name: candidate for candidate in router.policy.order("chat")}
    candidate, provider = candidates.get(name), router.providers.get(name)
    if candidate is None:
        return ProviderTested(provider=name, ok=False, detail=f"{name} is not configured")
    if provider is None:
        detail = f"{name} cannot be used; `luna config check` says why"
        return ProviderTested(provider=name, ok=False, detail=detail)
    role = next((role for role in ROLES if provider.model(role)), None)
    if role is None:
        return ProviderTested(provider=name, ok=False, detail=f"{name} has no model for answers")
    wanted = {"role": "user", "content": "Answer with this one word: ready"}
    request = ChatRequest(role=role, messages=(wanted,), max_tokens=MAX_TOKENS, temperature=0.0)
    confirmed = asyncio.Event()
    confirmed.set()
    failures: list[Exception] = []

    def note(_: ProviderCall, news: News) -> None:
        if isinstance(news, Exception):
            failures.append(news)

    call = ProviderCall(
        candidate,
        provider,
        request,
        confirmed=confirmed,
        ledger=router.ledger,
        tell=note,
        publish=router.publish,
        clock=router.clock,
    )
    task = call.start()
    try:
        await task
    finally:
        task.cancel()
    error = failures[0] if failures else None
    if error is not None and not isinstance(error, LunaError):
        raise error
    if isinstance(error, ProviderError) and error.kind != "quota":
        router.breaker.failed(name, error)
    if error is None:
        router.breaker.succeeded(name)
        if candidate.place == "cloud":
            router.network.succeeded()
    usage = call.usage()
    return ProviderTested(
        provider=name,
        ok=error is None,
        detail=str(error or ""),
        model=call.model,
        first_token_ms=round(call.first_token_ms, 1),
        prompt_tokens=0 if error else usage.prompt_tokens,
        completion_tokens=0 if error else usage.completion_tokens,
    )
