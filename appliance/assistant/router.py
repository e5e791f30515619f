"""Chooses who answers, and goes on with the next one when that fails, within the same turn.

    async with aclosing(router.answer(request, confirmed=confirmed)) as answers:
        async for answer in answers:
            ...  # Chosen, Text, Text, ..., Finished

The candidates stand in the order of the policy. One after the other is asked; whoever sends the
first token has the turn. A candidate is passed over when policy forbids it, when it does not
support what is asked, has no budget left today, is cooling down, or cannot be reached because
there is no network. If it fails, or has sent nothing by its deadline, the next one starts (after
a deadline both run, and the loser is cancelled). If it fails after the first words, the next one
gets exactly these words as the beginning of its answer.

This is the only place that retries anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from appliance.assistant.answers import Answer, Chosen, Finished, Text
from appliance.assistant.no_answer import NoAnswerError, Skip, SkipReason, skip_of
from appliance.assistant.provider_call import Ledger, News, ProviderCall, count_prompt
from appliance.assistant.verdict import judge
from appliance.chat import estimate_tokens, truncate
from appliance.clock import monotonic
from appliance.errors import LunaError, ProviderError
from appliance.events import Event, ProviderChosen
from appliance.providers.base import ChatProvider, ChatRequest, Delta
from appliance.providers.circuit_breaker import CircuitBreaker
from appliance.providers.offline import Network
from appliance.providers.policy import Candidate, Policy

MAX_ASKED = 2
"""How often one candidate is asked within a turn: again only when nobody else is left."""


class Router:
    """Answers requests.

    Args:
        providers: by name; the box's own models are called ``local``.
        ledger: books what metered providers use.
        breaker: knows who is cooling down.
        network: knows whether there is a network.
        policy: the owner's wishes.
        publish: takes ``ProviderChosen`` and ``ProviderUsed`` events.
        clock: seconds, monotonic.
        start_within_s: a provider whose deadline lies beyond this is not asked any more, so that
            a row of slow ones cannot hold up a turn; the box itself always is.
        history_tokens: of the conversation, the question included, that leave the box at most
            besides the system prompt. The box cuts by itself, with the model's own tokenizer.
    """

    def __init__(
        self,
        providers: Mapping[str, ChatProvider],
        *,
        ledger: Ledger,
        breaker: CircuitBreaker,
        network: Network,
        policy: Policy,
        publish: Callable[[Event], None],
        clock: Callable[[], float] = monotonic,
        start_within_s: float = 30.0,
        history_tokens: int = 1000,
    ) -> None:
        self.providers = providers
        self.ledger = ledger
        self.breaker = breaker
        self.network = network
        self.policy = policy
        self.publish = publish
        self.clock = clock
        self.start_within_s = start_within_s
        self.history_tokens = history_tokens

    async def answer(
        self, request: ChatRequest, *, confirmed: asyncio.Event
    ) -> AsyncGenerator[Answer]:
        """Yield the answer as it is written.

        Until *confirmed* is set the question is only a guess: then whatever costs nothing works
        already, and a metered provider is not asked. Closing the iterator (or cancelling the
        task that reads it) stops all work; what was begun is booked with an estimate.

        Raises:
            NoAnswerError: nobody could answer, or finish the answer; it says why for each.
        """
        turn = _Turn(self, request, confirmed)
        try:
            async for answer in turn.run():
                yield answer
        finally:
            await turn.close()

    def report(self) -> list[dict[str, Any]]:
        """Return the state of every candidate, in the order of the chat role.

        ``status`` is ``ok``, ``degraded``, ``misconfigured`` or ``offline``; ``cooldown_s`` are
        the seconds until it is asked again.
        """
        offline = self.network.offline()
        rows = []
        for candidate in self.policy.order("chat"):
            health = self.breaker.health(candidate.name)
            status: str = health.status
            if candidate.name not in self.providers:
                status = "misconfigured"
            elif offline and candidate.place == "cloud":
                status = "offline"
            rows.append(
                {
                    "name": candidate.name,
                    "place": candidate.place,
                    "status": status,
                    "cooldown_s": round(self.breaker.cooldown_s(candidate.name), 1),
                    "last_error": health.last_error,
                }
            )
        return rows


class _Turn:
    """One request on its way through the candidates."""

    def __init__(self, router: Router, request: ChatRequest, confirmed: asyncio.Event) -> None:
        self._router = router
        self._request = request
        self._confirmed = confirmed
        self._confirmed_at: float | None = None
        self._waiting = deque(router.policy.order(request.role))
        self._asked: Counter[str] = Counter()
        self._running: list[ProviderCall] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._news: asyncio.Queue[tuple[ProviderCall, News]] = asyncio.Queue()
        self._skipped: list[Skip] = []
        self._given = ""

    async def run(self) -> AsyncIterator[Answer]:
        winner: ProviderCall | None = None
        while True:
            if not (self._running or self._start_next()):
                role = self._request.role
                raise NoAnswerError(self._skipped, role=role, given=self._given)
            call, news = await self._next_news(hedge=winner is None)
            if call not in self._running:
                continue  # it has lost already
            if isinstance(news, Exception):
                self._failed(call, news)
                winner = None if winner is call else winner
                continue
            wins = news == "ended" or (isinstance(news, Delta) and (news.text or news.tool_calls))
            if winner is None and wins:
                winner = call
                yield self._choose(call)
            if isinstance(news, Delta) and news.text:
                self._given += news.text
                yield Text(text=news.text)
            if news == "ended":
                yield self._finish(call)
                return

    async def close(self) -> None:
        """Stop all work, and wait until it is booked."""
        for call in self._running:
            self._stop(call)
        self._running.clear()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- choosing ------------------------------------------------------------------------

    def _start_next(self) -> bool:
        """Ask the next candidate that can be asked; return False when there is none."""
        while self._waiting:
            candidate = self._waiting.popleft()
            provider = self._router.providers.get(candidate.name)
            skip = self._reason_to_skip(candidate, provider)
            if skip is not None:
                self._skipped.append(skip)
            elif provider is not None:
                self._start(candidate, provider)
                return True
        return False

    def _reason_to_skip(self, candidate: Candidate, provider: ChatProvider | None) -> Skip | None:
        def skip(reason: SkipReason, detail: str = "", retry_s: float = 0.0) -> Skip:
            return Skip(provider=candidate.name, reason=reason, detail=detail, retry_s=retry_s)

        router, request = self._router, self._request_for(candidate)
        if not router.policy.allows(request.role, candidate):
            return skip("policy", f"the policy for {request.role} excludes it")
        if provider is None:
            return skip("misconfigured", "it has no key, or is not set up")
        if missing := _unsupported(candidate, provider, request):
            return skip("unsupported", missing)
        if candidate.place == "box":
            return None
        if candidate.place == "cloud" and router.network.offline():
            return skip("offline", "there is no network")
        if self._spent_s() + candidate.first_token_s > router.start_within_s:
            return skip("deadline", "too little time is left")
        if not router.breaker.admit(candidate.name):
            health = router.breaker.health(candidate.name)
            bad = health.status == "misconfigured"
            wait = router.breaker.cooldown_s(candidate.name)
            return skip("misconfigured" if bad else "cooldown", health.last_error, wait)
        return None

    def _request_for(self, candidate: Candidate) -> ChatRequest:
        """Return what *candidate* is asked: with all that was answered so far.

        A long conversation is paid anew with each question, so others get only the end of it.
        """
        whole = self._request.whole or candidate.place == "box"
        request = self._request if whole else self._shortened
        if not self._given:
            return request
        return replace(request, continues=request.continues + self._given)

    @cached_property
    def _shortened(self) -> ChatRequest:
        messages = self._request.messages
        system = sum(estimate_tokens(m) for m in messages if m["role"] == "system")
        budget = system + self._router.history_tokens
        kept = truncate(messages, budget, estimate_tokens)
        return replace(self._request, messages=tuple(kept))

    def _spent_s(self) -> float:
        """Return how long the certain question has been waiting for its first words."""
        if not self._confirmed.is_set() or self._given:
            return 0.0
        now = self._router.clock()
        self._confirmed_at = now if self._confirmed_at is None else self._confirmed_at
        return now - self._confirmed_at

    def _start(self, candidate: Candidate, provider: ChatProvider) -> None:
        router = self._router
        call = ProviderCall(
            candidate,
            provider,
            self._request_for(candidate),
            confirmed=self._confirmed,
            ledger=router.ledger,
            tell=lambda call, news: self._news.put_nowait((call, news)),
            publish=router.publish,
            clock=router.clock,
        )
        self._asked[call.name] += 1
        self._running.append(call)
        task = call.start()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _choose(self, call: ProviderCall) -> Chosen:
        """Give the turn to *call*; whoever else is running has lost."""
        losers = [other for other in self._running if other is not call]
        wanted = any(skip.reason != "policy" for skip in self._skipped)
        reason = "next" if wanted else "first"
        if self._given:
            reason = "continues"
        elif any(loser.late for loser in losers):
            reason = "hedge"
        self._running = [call]
        for loser in losers:
            self._drop(loser)
        if call.candidate.place == "cloud":
            self._router.network.succeeded()
        self._router.publish(
            ProviderChosen(
                turn_id=self._request.turn_id,
                role=self._request.role,
                provider=call.name,
                model=call.model,
                reason=reason,
                skipped={skip.provider: skip.reason for skip in self._skipped},
                first_token_ms=round(call.first_token_ms, 1),
            )
        )
        return Chosen(
            provider=call.name,
            model=call.model,
            reason=reason,
            skipped=tuple(self._skipped),
            first_token_ms=call.first_token_ms,
        )

    def _finish(self, call: ProviderCall) -> Finished:
        self._running.remove(call)
        self._router.breaker.succeeded(call.name)
        return Finished(
            provider=call.name,
            model=call.model,
            reason=call.finish,
            usage=call.usage(),
            first_token_ms=call.first_token_ms,
            tool_calls=call.tool_calls,
        )

    # --- when it does not go well -----------------------------------------------------------

    def _drop(self, loser: ProviderCall) -> None:
        """Cancel *loser*; it may have the turn again if nobody else is left."""
        if loser.late:
            late = f"{loser.name}: no token within {loser.candidate.first_token_s:g} s"
            self._skipped.append(Skip(provider=loser.name, reason="deadline", detail=late))
            self._judge(loser, ProviderError(late, kind="timeout"))
        self._again(loser.candidate)
        self._stop(loser)

    def _stop(self, call: ProviderCall) -> None:
        self._router.breaker.undecided(call.name)
        if call.task is not None:
            call.task.cancel()

    def _again(self, candidate: Candidate) -> None:
        if self._asked[candidate.name] < MAX_ASKED:
            self._waiting.append(candidate)

    def _failed(self, call: ProviderCall, error: Exception) -> None:
        """Take note of *error*; a mistake in the code is nothing a provider did, and is raised."""
        self._running.remove(call)
        if not isinstance(error, LunaError):
            raise error
        self._skipped.append(skip_of(call.name, error, sent=call.sent_at is not None))
        if not isinstance(error, ProviderError):
            self._router.breaker.undecided(call.name)
            return
        self._judge(call, error)
        if error.kind == "lost":
            self._again(call.candidate)  # its worker is being restarted

    def _judge(self, call: ProviderCall, error: ProviderError) -> None:
        judge(
            call.candidate,
            error,
            sent=call.sent_at is not None,
            breaker=self._router.breaker,
            network=self._router.network,
        )

    # --- waiting -------------------------------------------------------------------------

    async def _next_news(self, *, hedge: bool) -> tuple[ProviderCall, News]:
        """Return the next that happens; meanwhile, with *hedge*, deadlines start others."""
        while True:
            with contextlib.suppress(asyncio.QueueEmpty):
                return self._news.get_nowait()
            due = [call for call in self._running if call.sent_at is not None and not call.late]
            if not (hedge and due):
                return await self._news.get()
            call = min(due, key=lambda call: call.deadline)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(call.deadline - self._router.clock(), 0.0)):
                    return await self._news.get()
            call.late = True
            self._start_next()


def _unsupported(candidate: Candidate, provider: ChatProvider, request: ChatRequest) -> str:
    """Return what *candidate* lacks for *request*; empty when nothing."""
    model = provider.model(request.role)
    if not model:
        return f"it has no model for {request.role}"
    if request.has_image and not candidate.vision:
        return "it cannot look at pictures"
    if request.tools and not candidate.tools:
        return "it cannot use tools"
    if room := candidate.context_tokens.get(request.role, 0):
        needed = count_prompt(provider, request, model) + request.max_tokens
        if needed > room:
            return f"it reads {room} tokens, and {needed} are needed"
    return ""
