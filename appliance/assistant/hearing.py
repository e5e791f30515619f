"""Who writes down what was said: the box itself, or a provider where the owner wants one.

The sound never passes here: the ``stt`` worker asks the provider, and only for a ``Transcribe``
that names it. Such a command is given after its cost was reserved, and not before the person has
certainly finished, so that a pause in the middle of a sentence costs nothing. Where the provider
fails, the next one is asked, and in the end the box.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from appliance.assistant.no_answer import Skip, SkipReason, skip_of
from appliance.assistant.provider_call import NOT_CHARGED, Ledger
from appliance.assistant.verdict import judge
from appliance.clock import milliseconds_since, monotonic
from appliance.commands import Command, Transcribe
from appliance.errors import LunaError, ProviderError
from appliance.events import (
    Event,
    Logged,
    ProviderChosen,
    ProviderUsed,
    Transcribed,
    TranscriptionFailed,
    WorkerChanged,
)
from appliance.providers.base import Usage
from appliance.providers.circuit_breaker import CircuitBreaker
from appliance.providers.offline import Network
from appliance.providers.policy import Candidate, Policy
from appliance.providers.quota_day import MILLION, Price

ROLE = "stt"
RATE = 16_000
"""Samples a second of the positions in a ``Transcribe``."""
TOKENS_PER_S = 10
"""As which a second of sound counts; OpenAI's models for sound count it so."""
TEXT_TOKENS_PER_S = 5
"""The text of a second: fast speech has three words."""
LEAST_S = 10.0
"""Groq bills no request as less."""
ANSWER_WITHIN_S = 30.0
"""The worker ends each request much earlier; who is silent for so long is not asked again."""

Send = Callable[[Command], bool]


class Outbound(Protocol):
    """Notes what leaves the box."""

    def __call__(self, provider: str, model: str, turn_id: int, samples: int) -> None: ...


@dataclass
class _Job:
    """A range of sound that is to be written down."""

    command: Transcribe
    send: Send
    certain: asyncio.Event = field(default_factory=asyncio.Event)
    asked: str = ""
    """The provider that has been asked last."""
    result: asyncio.Future[ProviderError | None] | None = None
    task: asyncio.Task[None] | None = None


class Hearing:
    """Hands ``Transcribe`` commands to the worker.

    Args:
        models: of the providers that can transcribe, by name.
        ledger: books what metered providers use.
        breaker, network, policy: as for the router.
        emit: takes an event of a turn.
        note: is told before a sound leaves the box.
        publish: takes ``ProviderChosen``, ``ProviderUsed`` and ``Logged``.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        *,
        ledger: Ledger,
        breaker: CircuitBreaker,
        network: Network,
        policy: Policy,
        emit: Callable[[Event], None],
        note: Outbound,
        publish: Callable[[Event], None],
    ) -> None:
        self._models = models
        self._ledger = ledger
        self._breaker = breaker
        self._network = network
        self._policy = policy
        self._emit = emit
        self._note = note
        self._publish = publish
        self._jobs: dict[int, _Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def transcribe(self, command: Transcribe, send: Send, *, certain: bool) -> None:
        """Have *command* done by whoever is to do it; *send* gives it to the worker.

        *certain*: the person has finished; else :meth:`confirm` will tell.
        """
        self.cancel(command.turn_id)
        if self._policy.order(ROLE)[0].place == "box":
            send(command)
            return
        job = self._jobs[command.turn_id] = _Job(command, send)
        if certain:
            job.certain.set()
        job.task = asyncio.create_task(self._work(job))
        self._tasks.add(job.task)
        job.task.add_done_callback(self._tasks.discard)

    def confirm(self, turn_id: int) -> None:
        """The person has finished speaking."""
        if job := self._jobs.get(turn_id):
            job.certain.set()

    def cancel(self, turn_id: int) -> None:
        """The words of this turn are not wanted any more; what was sent is booked."""
        if (job := self._jobs.pop(turn_id, None)) and job.task:
            job.task.cancel()

    def take(self, event: Event) -> None:
        """Take what the worker, or the supervisor about it, has to say."""
        match event:
            case Transcribed(provider=str(name)) if name:
                self._tell(event.turn_id, event.attempt, name, None)
            case TranscriptionFailed():
                error = ProviderError(
                    event.detail, kind=event.kind, retry_after_s=event.retry_after_s
                )
                self._tell(event.turn_id, event.attempt, event.provider, error)
            case WorkerChanged(worker="stt", status=status) if status != "ready":
                for job in self._jobs.values():
                    lost = ProviderError("the worker was lost", kind="lost")
                    self._tell(job.command.turn_id, job.command.attempt, job.asked, lost)

    async def close(self) -> None:
        """Stop all work, and wait until it is booked."""
        for turn_id in list(self._jobs):
            self.cancel(turn_id)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _tell(self, turn_id: int, attempt: int, name: str, error: ProviderError | None) -> None:
        job = self._jobs.get(turn_id)
        if job is None or (job.command.attempt, job.asked) != (attempt, name):
            return
        if job.result is not None and not job.result.done():
            job.result.set_result(error)

    # --- one job -------------------------------------------------------------------------

    async def _work(self, job: _Job) -> None:
        try:
            await self._ask_in_order(job)
        finally:
            if self._jobs.get(job.command.turn_id) is job:
                del self._jobs[job.command.turn_id]

    async def _ask_in_order(self, job: _Job) -> None:
        """Ask one after the other until one has answered."""
        skipped: list[Skip] = []
        for candidate in self._policy.order(ROLE):
            if (skip := self._reason_to_skip(candidate)) is not None:
                skipped.append(skip)
            elif candidate.place == "box":
                job.send(job.command)
                self._chosen(job, candidate, "", skipped)
                return
            else:
                error = await self._ask(job, candidate, skipped)
                if error is None or getattr(error, "kind", "") == "lost":
                    return  # a new worker is asked anew
                skipped.append(skip_of(candidate.name, error, sent=bool(job.asked)))
        reasons = "; ".join(f"{skip.provider}: {skip.detail or skip.reason}" for skip in skipped)
        text = f"nobody could transcribe what was said: {reasons}"
        self._publish(Logged(level="error", text=text))
        order = job.command
        self._emit(
            Transcribed(
                turn_id=order.turn_id,
                attempt=order.attempt,
                start=order.start,
                end=order.end,
                text="",
            )
        )

    def _reason_to_skip(self, candidate: Candidate) -> Skip | None:
        def skip(reason: SkipReason, detail: str) -> Skip:
            return Skip(provider=candidate.name, reason=reason, detail=detail)

        name = candidate.name
        if not self._policy.allows(ROLE, candidate):
            return skip("policy", "the policy for stt excludes it")
        if candidate.place == "box":
            return None
        if name not in self._models:
            return skip("unsupported", "it has no model for speech, or no key")
        if candidate.place == "cloud" and self._network.offline():
            return skip("offline", "there is no network")
        if not self._breaker.admit(name):
            health = self._breaker.health(name)
            bad = health.status == "misconfigured"
            return skip("misconfigured" if bad else "cooldown", health.last_error)
        return None

    async def _ask(self, job: _Job, candidate: Candidate, skipped: list[Skip]) -> LunaError | None:
        """Have one provider asked; return what went wrong, None when it answered."""
        name, order = candidate.name, job.command
        seconds = max((order.end - order.start) / RATE, LEAST_S)
        usage = Usage(
            prompt_tokens=math.ceil(seconds * TOKENS_PER_S),
            completion_tokens=math.ceil(seconds * TEXT_TOKENS_PER_S),
            estimated=True,
        )
        price = candidate.prices.get(ROLE, Price())
        reservation, sent = None, False
        error: LunaError | None = None
        try:
            if candidate.metered:
                await job.certain.wait()
                reservation = await self._ledger.reserve(
                    name,
                    ROLE,
                    prompt_tokens=usage.prompt_tokens,
                    max_tokens=usage.completion_tokens,
                    price=price,
                )
            self._note(name, self._models[name], order.turn_id, order.end - order.start)
            began = monotonic()
            job.asked = name
            job.result = asyncio.get_running_loop().create_future()
            sent = job.send(replace(order, provider=name))
            error = await self._answer(job.result, name) if sent else None
        except LunaError as failure:
            error = failure
        finally:
            await self._book(reservation, usage, error, sent=sent)
            if not sent or (isinstance(error, ProviderError) and error.kind == "lost"):
                self._breaker.undecided(name)
        if not sent and error is None:
            return ProviderError("there is no worker", kind="lost")
        if isinstance(error, ProviderError) and error.kind != "lost":
            judge(candidate, error, sent=sent, breaker=self._breaker, network=self._network)
        elif error is None:
            self._breaker.succeeded(name)
            if candidate.place == "cloud":
                self._network.succeeded()
            self._chosen(job, candidate, self._models[name], skipped)
        if sent:
            self._used(order.turn_id, name, usage, price, error, milliseconds_since(began))
        return error

    async def _answer(
        self, result: asyncio.Future[ProviderError | None], name: str
    ) -> ProviderError | None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await result
        except TimeoutError:
            return ProviderError(f"{name} did not answer", kind="timeout")

    async def _book(
        self, reservation: Any, usage: Usage, error: LunaError | None, *, sent: bool
    ) -> None:
        if reservation is None:
            return
        try:
            if sent and getattr(error, "kind", "") not in NOT_CHARGED:
                await self._ledger.settle(reservation, usage)
            else:
                await self._ledger.release(reservation)
        except LunaError as failure:
            self._publish(Logged(level="error", text=f"speech was not booked: {failure}"))

    def _chosen(self, job: _Job, candidate: Candidate, model: str, skipped: list[Skip]) -> None:
        self._publish(
            ProviderChosen(
                turn_id=job.command.turn_id,
                role=ROLE,
                provider=candidate.name,
                model=model,
                reason="next" if skipped else "first",
                skipped={skip.provider: skip.reason for skip in skipped},
            )
        )

    def _used(
        self,
        turn_id: int,
        name: str,
        usage: Usage,
        price: Price,
        error: LunaError | None,
        took_ms: float,
    ) -> None:
        free = error is not None and getattr(error, "kind", "") in NOT_CHARGED
        tokens = (0, 0) if free else (usage.prompt_tokens, usage.completion_tokens)
        self._publish(
            ProviderUsed(
                turn_id=turn_id,
                role=ROLE,
                provider=name,
                model=self._models[name],
                outcome="finished" if error is None else getattr(error, "kind", "failed"),
                prompt_tokens=tokens[0],
                completion_tokens=tokens[1],
                estimated=True,
                cost=price.micros(*tokens) / MILLION,
                first_token_ms=round(took_ms, 1),
            )
        )
