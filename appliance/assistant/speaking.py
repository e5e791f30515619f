"""Whose voice speaks a clause: the box's own, or a provider's where the owner wants one.

The sound never passes here: the ``tts`` worker asks the provider for a ``Speak`` that names it,
and speaks with its own voice what the provider cannot. A clause is given to the worker after its
cost was reserved, one after the other, so that their order stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from appliance.assistant.provider_call import NOT_CHARGED, Ledger
from appliance.assistant.verdict import judge
from appliance.commands import Command, EndSpeech, Speak
from appliance.errors import LunaError, ProviderError
from appliance.events import (
    ClauseSynthesised,
    Event,
    Logged,
    ProviderUsed,
    VoiceFailed,
    WorkerChanged,
)
from appliance.providers.base import Usage
from appliance.providers.circuit_breaker import CircuitBreaker
from appliance.providers.offline import Network
from appliance.providers.policy import Candidate, Policy
from appliance.providers.quota_day import MILLION, Price

ROLE = "tts"

Send = Callable[[Command], bool]
Order = Speak | EndSpeech


class Note(Protocol):
    """Notes what leaves the box."""

    def __call__(self, provider: str, model: str, turn_id: int, text: str) -> None: ...


@dataclass(frozen=True)
class _Grant:
    """A provider has been asked to speak a clause, and it is not booked yet."""

    candidate: Candidate
    usage: Usage
    """A character counts as a token: providers of voices bill these."""
    reservation: Any


class Speaking:
    """Hands clauses to the worker.

    Args:
        voices: by provider, its voice for each language.
        models: of these providers.
        ledger: books what metered providers use.
        breaker, network, policy: as for the router.
        note: is told before a text leaves the box.
        publish: takes ``ProviderUsed`` and ``Logged``.
    """

    def __init__(
        self,
        voices: Mapping[str, Mapping[str, str]],
        models: Mapping[str, str],
        *,
        ledger: Ledger,
        breaker: CircuitBreaker,
        network: Network,
        policy: Policy,
        note: Note,
        publish: Callable[[Event], None],
    ) -> None:
        self._voices = voices
        self._models = models
        self._ledger = ledger
        self._breaker = breaker
        self._network = network
        self._policy = policy
        self._note = note
        self._publish = publish
        self._queues: dict[int, tuple[asyncio.Queue[Order], asyncio.Task[None]]] = {}
        self._grants: dict[tuple[int, int], _Grant] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def order(self, command: Order, send: Send) -> None:
        """Have *command* done, after those before it; *send* gives it to the worker."""
        if self._policy.order(ROLE)[0].place == "box":
            send(command)
            return
        turn_id = command.turn_id
        if turn_id not in self._queues:
            queue: asyncio.Queue[Order] = asyncio.Queue()
            self._queues[turn_id] = queue, self._begin(self._work(turn_id, queue, send))
        self._queues[turn_id][0].put_nowait(command)

    def cancel(self, turn_id: int) -> None:
        """Nothing more of this turn is to be said; what a provider may have begun is booked."""
        if found := self._queues.pop(turn_id, None):
            found[1].cancel()
        for key in [key for key in self._grants if key[0] == turn_id]:
            self._done(key, None)

    def take(self, event: Event) -> None:
        """Take what the worker, or the supervisor about it, has to say."""
        match event:
            case ClauseSynthesised() | VoiceFailed():
                key = event.turn_id, event.clause
                grant = self._grants.get(key)
                if grant is None:
                    return
                name = grant.candidate.name
                if isinstance(event, VoiceFailed):
                    self._done(key, ProviderError(event.detail, kind=event.kind))
                elif event.voice == name:
                    self._breaker.succeeded(name)
                    if grant.candidate.place == "cloud":
                        self._network.succeeded()
                    self._done(key, None)
            case WorkerChanged(worker="tts", status=status) if status != "ready":
                for key in list(self._grants):
                    self._done(key, None)

    async def close(self) -> None:
        """Stop all work, and wait until it is booked."""
        for turn_id in [*self._queues, *(key[0] for key in self._grants)]:
            self.cancel(turn_id)
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- one turn ------------------------------------------------------------------------

    async def _work(self, turn_id: int, queue: asyncio.Queue[Order], send: Send) -> None:
        while True:
            command = await queue.get()
            if isinstance(command, EndSpeech):
                break
            await self._speak(command, send)
        del self._queues[turn_id]
        send(command)

    async def _speak(self, command: Speak, send: Send) -> None:
        for candidate in self._policy.order(ROLE):
            if candidate.place == "box":
                break
            if not self._may(candidate, command.language):
                continue
            usage = Usage(prompt_tokens=len(command.text), completion_tokens=0)
            try:
                reservation = await self._reserve(candidate, usage)
            except LunaError:
                self._breaker.undecided(candidate.name)
                continue  # a used-up budget is an event of the ledger's
            name = candidate.name
            self._grants[command.turn_id, command.clause] = _Grant(candidate, usage, reservation)
            self._note(name, self._models[name], command.turn_id, command.text)
            send(replace(command, provider=name))
            return
        send(command)  # the box speaks rather than be silent, whatever the policy

    def _may(self, candidate: Candidate, language: str) -> bool:
        if not (
            self._policy.allows(ROLE, candidate)
            and self._voices.get(candidate.name, {}).get(language)
        ):
            return False
        if candidate.place == "cloud" and self._network.offline():
            return False
        return self._breaker.admit(candidate.name)

    async def _reserve(self, candidate: Candidate, usage: Usage) -> Any:
        if not candidate.metered:
            return None
        return await self._ledger.reserve(
            candidate.name,
            ROLE,
            prompt_tokens=usage.prompt_tokens,
            max_tokens=usage.completion_tokens,
            price=candidate.prices.get(ROLE, Price()),
        )

    # --- booking -------------------------------------------------------------------------

    def _done(self, key: tuple[int, int], error: ProviderError | None) -> None:
        grant = self._grants.pop(key)
        if error is not None:
            judge(grant.candidate, error, sent=True, breaker=self._breaker, network=self._network)
        self._breaker.undecided(grant.candidate.name)
        self._begin(self._book(key[0], grant, error))

    async def _book(self, turn_id: int, grant: _Grant, error: ProviderError | None) -> None:
        free = error is not None and error.kind in NOT_CHARGED
        try:
            if grant.reservation is not None and free:
                await self._ledger.release(grant.reservation)
            elif grant.reservation is not None:
                await self._ledger.settle(grant.reservation, grant.usage)
        except LunaError as failure:
            self._publish(Logged(level="error", text=f"speech was not booked: {failure}"))
        name, characters = grant.candidate.name, 0 if free else grant.usage.prompt_tokens
        price = grant.candidate.prices.get(ROLE, Price())
        self._publish(
            ProviderUsed(
                turn_id=turn_id,
                role=ROLE,
                provider=name,
                model=self._models[name],
                outcome="finished" if error is None else error.kind,
                prompt_tokens=characters,
                cost=price.micros(characters, 0) / MILLION,
            )
        )

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
