"""One provider being asked: reserve, send, read, book. It runs in a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

from appliance.clock import monotonic
from appliance.errors import LunaError, ProviderError
from appliance.events import Event, ProviderUsed
from appliance.providers.base import ChatProvider, ChatRequest, Delta, Usage
from appliance.providers.estimate import tools_at_most
from appliance.providers.policy import Candidate
from appliance.providers.quota_day import MILLION, Price

NOT_CHARGED = frozenset(
    {
        *("rate_limited", "server", "unreachable", "offline", "misconfigured", "rejected"),
        *("unsupported", "quota"),
    }
)
"""A request refused in this way before its first token has cost nothing."""

News = Delta | Exception | Literal["sent", "ended"]
"""The request is on its way, a piece of the answer, its end, or what went wrong."""


class Ledger(Protocol):
    """What is needed of the quota ledger."""

    async def reserve(
        self, provider: str, role: str, *, prompt_tokens: int, max_tokens: int, price: Price
    ) -> Any:
        """Set tokens aside; raises ProviderError (``quota``) where the limit forbids it.

        If the caller is cancelled while it waits, nothing stays reserved.
        """

    async def settle(self, reservation: Any, usage: Usage | None) -> Any:
        """Book what was really used; None books all that was reserved."""

    async def release(self, reservation: Any) -> Any:
        """Give back what was set aside: nothing was used."""


class ProviderCall:
    """One provider being asked.

    Args:
        candidate: what is known of the provider.
        provider: the provider.
        request: what it is asked.
        confirmed: a metered provider is not asked before this is set.
        ledger: books what a metered provider uses.
        tell: hears of each piece of news at once; must not wait.
        publish: takes a ``ProviderUsed`` event when all is over.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        candidate: Candidate,
        provider: ChatProvider,
        request: ChatRequest,
        *,
        confirmed: asyncio.Event,
        ledger: Ledger,
        tell: Callable[[ProviderCall, News], None],
        publish: Callable[[Event], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.candidate = candidate
        self.provider = provider
        self.request = request
        self.model = provider.model(request.role)
        self.sent_at: float | None = None
        self.first_token_ms = 0.0
        self.late = False
        """It has missed its deadline."""
        self.finish = ""
        self.tool_calls: tuple[Mapping[str, Any], ...] = ()
        self.error: LunaError | None = None
        self.task: asyncio.Task[None] | None = None
        self._confirmed = confirmed
        self._ledger = ledger
        self._tell = tell
        self._publish = publish
        self._clock = clock
        self._reservation: Any = None
        self._prompt_tokens = 0
        self._text = ""
        self._usage: Usage | None = None

    @property
    def name(self) -> str:
        """Return the name of the provider."""
        return self.candidate.name

    @property
    def deadline(self) -> float:
        """Return when its first token is due; infinity before it was sent."""
        return float("inf") if self.sent_at is None else self.sent_at + self.candidate.first_token_s

    def start(self) -> asyncio.Task[None]:
        """Begin; cancelling the task stops the provider and books what it has used."""
        self.task = asyncio.create_task(self._work())
        return self.task

    async def _work(self) -> None:
        try:
            await self._ask()
        except LunaError as error:
            self.error = error
            self._tell(self, error)
        except Exception as error:  # noqa: BLE001 - it is raised again where the answer is read
            self._tell(self, error)
        finally:
            await self._book()

    async def _ask(self) -> None:
        if self.candidate.metered:
            await self._confirmed.wait()
            await self._reserve()
        self.sent_at = self._clock()
        self._tell(self, "sent")
        try:
            await self._read()
        except ProviderError:
            if not self.finish:
                raise  # else the answer is complete, and only its count is missing
        if not self.finish:
            raise ProviderError(f"{self.name}: the answer ended too early", kind="broken")
        if not (self._began or self.request.continues):
            raise ProviderError(f"{self.name}: the answer was empty", kind="broken")
        self._tell(self, "ended")

    async def _read(self) -> None:
        stream = self.provider.stream(self.request)
        try:
            async for delta in stream:
                self._take(delta)
                self._tell(self, delta)
        finally:
            if close := getattr(stream, "aclose", None):
                await close()

    def _take(self, delta: Delta) -> None:
        if not self._began and self.sent_at is not None:
            self.first_token_ms = (self._clock() - self.sent_at) * 1000.0
        self._text += delta.text
        self.tool_calls += delta.tool_calls
        self.finish = delta.finish or self.finish
        self._usage = delta.usage or self._usage

    # --- the ledger ----------------------------------------------------------------------

    async def _reserve(self) -> None:
        self._prompt_tokens = count_prompt(self.provider, self.request, self.model)
        self._reservation = await self._ledger.reserve(
            self.name,
            self.request.role,
            prompt_tokens=self._prompt_tokens,
            max_tokens=self.request.max_tokens,
            price=self._price,
        )

    async def _book(self) -> None:
        refused = getattr(self.error, "kind", "") in NOT_CHARGED and not self._began
        used = self.sent_at is not None and not refused
        usage = self.usage() if used else Usage(prompt_tokens=0, completion_tokens=0)
        outcome = "finished" if self.finish else "cancelled"
        if self.error is not None:
            outcome = getattr(self.error, "kind", "failed")
        try:
            if self._reservation is not None and used:
                await self._ledger.settle(self._reservation, usage)
            elif self._reservation is not None:
                await self._ledger.release(self._reservation)
        except LunaError as error:
            outcome = f"not booked: {error}"
        if self.sent_at is not None:
            self._publish(self._event(outcome, usage))

    def usage(self) -> Usage:
        """Return what it used: as it says itself, else an estimate that is not too small."""
        if self._usage is not None:
            return self._usage
        # Of one that has sent nothing it is unknown how much it wrote: perhaps all it may.
        completion = self.request.max_tokens
        if self._began:
            written = ({"role": "assistant", "content": self._text},)
            completion = self.provider.count_tokens(written, self.model)
        return Usage(
            prompt_tokens=self._prompt_tokens
            or count_prompt(self.provider, self.request, self.model),
            completion_tokens=completion,
            estimated=True,
        )

    @property
    def _price(self) -> Price:
        return self.candidate.prices.get(self.request.role, Price())

    def _cost(self, usage: Usage) -> float:
        """Return what the ledger books for *usage*, in US dollars."""
        tokens = usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens
        return self._price.micros(*tokens) / MILLION

    @property
    def _began(self) -> bool:
        return bool(self._text or self.tool_calls)

    def _event(self, outcome: str, usage: Usage) -> ProviderUsed:
        return ProviderUsed(
            turn_id=self.request.turn_id,
            role=self.request.role,
            provider=self.name,
            model=self.model,
            outcome=outcome,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            estimated=usage.estimated,
            cost=self._cost(usage),
            first_token_ms=round(self.first_token_ms, 1),
        )


def count_prompt(provider: ChatProvider, request: ChatRequest, model: str) -> int:
    """Return the tokens of all that is sent: tools and the beginning of the answer as well."""
    messages = request.messages
    if request.continues:
        messages = (*messages, {"role": "assistant", "content": request.continues})
    return provider.count_tokens(messages, model) + tools_at_most(request.tools)
