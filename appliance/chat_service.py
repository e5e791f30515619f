"""Answers those who use the box as a language model: their messages, not its conversation.

Whoever speaks to the box goes first. There is one local engine, so a request waits while a turn
is under way; and when a turn begins while the engine writes for a request, it stops at once and
goes on afterwards exactly where it was. Who asked sees a pause.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from appliance.assistant import no_answer
from appliance.assistant.answering import RoleLimits
from appliance.assistant.answers import Finished, Text
from appliance.assistant.local_models import LocalModels
from appliance.assistant.no_answer import NoAnswerError
from appliance.assistant.router import Router
from appliance.chat import ChatMessage
from appliance.events import Event, ProviderUsed, TurnEnded, TurnStarted
from appliance.providers.base import ChatRequest, Delta, Role, Usage
from appliance.web.openai_parts import ApiError, Done, Gate, Written

DEFAULT_TOKENS = 1024
"""Of an answer, where the client names no limit."""
MAX_TOKENS = 4096
ROLES: tuple[Role, ...] = ("chat", "code", "vision")


class Resident(Protocol):
    """Whoever answers the box's own questions with the same engine."""

    def step_aside(self) -> None:
        """Leave the engine alone until the next question, or until ``rest``."""

    def renew(self, language: str) -> None:
        """Have the conversation evaluated again."""

    def rest(self, language: str) -> None:
        """There is time to tidy up."""


class Turns:
    """Knows whether somebody is speaking with the box; :meth:`take` hears every event."""

    def __init__(self) -> None:
        self._under_way: set[int] = set()
        self.begun = asyncio.Event()
        """Set while a turn is under way."""
        self.over = asyncio.Event()
        """Set while none is."""
        self.over.set()

    def take(self, event: Event) -> None:
        """Follow the turns."""
        if isinstance(event, TurnStarted):
            self._under_way.add(event.turn_id)
        elif isinstance(event, TurnEnded):
            self._under_way.discard(event.turn_id)
        else:
            return
        set_, clear = (self.begun, self.over) if self._under_way else (self.over, self.begun)
        set_.set()
        clear.clear()


class YieldingModels:
    """The box's own models for whoever has time: one request at a time, and never in a turn.

    Args:
        local: the models.
        turns: who goes first.
        resident: whose conversation stands in the chat model's cache.
        language: of that conversation.
    """

    name = "local"

    def __init__(self, local: LocalModels, turns: Turns, resident: Resident, language: str) -> None:
        self._local = local
        self._turns = turns
        self._resident = resident
        self._language = language
        self._engine = asyncio.Lock()
        self._attempts = itertools.count(1)

    def model(self, role: Role) -> str:
        """See :class:`~appliance.providers.base.ChatProvider`."""
        return self._local.model(role)

    def count_tokens(self, messages: tuple[ChatMessage, ...], model: str) -> int:
        """See :class:`~appliance.providers.base.ChatProvider`."""
        return self._local.count_tokens(messages, model)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See :class:`~appliance.providers.base.ChatProvider`; it may pause for minutes."""
        request = replace(request, role=self._engine_of(request.role))
        async with self._engine:
            try:
                async with aclosing(self._in_pieces(request)) as deltas:
                    async for delta in deltas:
                        yield delta
            finally:
                if not self._turns.begun.is_set():
                    self._give_back(request.role)
                    self._resident.rest(self._language)

    def _engine_of(self, role: Role) -> Role:
        """Return the role whose cache is used: not the conversation's, where that costs nothing.

        The code role has a context of its own. Where it has the chat role's model as well, a
        request leaves the conversation in the chat role's context as it is.
        """
        return "code" if self.model(role) == self.model("code") else role

    def _give_back(self, role: Role) -> None:
        """Let the next spoken question find the conversation evaluated, as always."""
        if role == "chat":
            self._resident.renew(self._language)

    async def _in_pieces(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        written, tokens = request.continues, 0
        while True:
            await self._turns.over.wait()
            before = tokens
            self._resident.step_aside()
            piece = replace(
                request,
                attempt=next(self._attempts),
                continues=written,
                max_tokens=request.max_tokens - tokens,
            )
            async with aclosing(self._until_a_turn(piece)) as deltas:
                async for delta in deltas:
                    if delta.finish:
                        yield replace(delta, usage=_in_all(delta.usage, before))
                        return
                    written += delta.text
                    tokens += 1  # the worker sends each token as it is written
                    yield delta
            self._give_back(request.role)  # while the person is still speaking
            if tokens >= request.max_tokens:
                yield Delta(finish="length")
                return

    async def _until_a_turn(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """Yield from the model; end, and stop it, when a turn begins."""
        begun = asyncio.ensure_future(self._turns.begun.wait())
        try:
            async with aclosing(self._local.stream(request)) as deltas:
                while True:
                    step = asyncio.ensure_future(anext(deltas, None))
                    try:
                        await asyncio.wait((step, begun), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        if not step.done():
                            step.cancel()
                            await asyncio.wait((step,))
                    if step.cancelled() or (delta := step.result()) is None:
                        return
                    yield delta
        finally:
            begun.cancel()


def _in_all(usage: Usage | None, before: int) -> Usage | None:
    """Return the usage of an answer of which *before* tokens had been written in other pieces.

    Those were part of the last piece's prompt.
    """
    if usage is None:
        return None
    return replace(
        usage,
        prompt_tokens=max(usage.prompt_tokens - before, 0),
        completion_tokens=usage.completion_tokens + before,
    )


class ChatService:
    """Answers requests (see :class:`appliance.web.openai_parts.Chat`).

    Args:
        router: the box's own; policy, quotas and who is cooling down are shared with it.
        local: the box's models.
        turns: hears of every turn.
        resident: who answers the box's own questions.
        limits: of each role, for the temperature.
        language: of the box.
    """

    def __init__(
        self,
        router: Router,
        local: LocalModels,
        turns: Turns,
        resident: Resident,
        limits: Mapping[Role, RoleLimits],
        language: str,
    ) -> None:
        patient = replace(router.policy.local, first_token_s=math.inf)
        own = YieldingModels(local, turns, resident, language)
        self._publish = router.publish
        self._router = Router(
            {**router.providers, "local": own},
            ledger=router.ledger,
            breaker=router.breaker,
            network=router.network,
            # It waits for a turn to end; that is no reason to spend money elsewhere.
            policy=replace(router.policy, local=patient),
            publish=self._take,
            start_within_s=math.inf,
        )
        self._limits = limits
        self._language = language
        self._gate = Gate()
        self._numbers = itertools.count(-1, -1)
        """Turns count upwards from 1; these are none."""
        self._used: dict[int, ProviderUsed] = {}

    def roles(self) -> tuple[Role, ...]:
        """Return the roles that have a model somewhere."""
        policy, providers = self._router.policy, self._router.providers
        return tuple(
            role
            for role in ROLES
            if any(
                policy.allows(role, candidate)
                and candidate.name in providers
                and providers[candidate.name].model(role)
                for candidate in policy.order(role)
            )
        )

    async def complete(
        self,
        messages: Sequence[ChatMessage],
        role: Role,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stop: Sequence[str] = (),
    ) -> AsyncGenerator[Written | Done]:
        """Yield the answer as it is written, ``Done`` last.

        Raises:
            ApiError: nobody can answer or go on, or too many wait.
        """
        request = ChatRequest(
            role=role,
            messages=tuple(messages),
            max_tokens=min(max_tokens or DEFAULT_TOKENS, MAX_TOKENS),
            temperature=self._limits[role].temperature if temperature is None else temperature,
            turn_id=next(self._numbers),
            language=self._language,
            whole=True,
        )
        with self._gate.enter():
            try:
                async with aclosing(self._answer(request, stop)) as pieces:
                    async for piece in pieces:
                        yield piece
            except NoAnswerError as error:
                raise _refusal(error, self._language) from error
            finally:
                self._used.pop(request.turn_id, None)

    async def _answer(
        self, request: ChatRequest, stop: Sequence[str]
    ) -> AsyncGenerator[Written | Done]:
        certain = asyncio.Event()
        certain.set()
        text = StopAt(stop)
        async with aclosing(self._router.answer(request, confirmed=certain)) as answers:
            async for answer in answers:
                if isinstance(answer, Text) and (said := text.feed(answer.text)):
                    yield Written(text=said)
                elif isinstance(answer, Finished):
                    if rest := text.close():
                        yield Written(text=rest)
                    yield _done(answer)
                    return
                if text.stopped:
                    break
        # Only now, when all is stopped and booked, it is known what was used.
        used = self._used.get(request.turn_id)
        yield Done(
            reason="stop",
            prompt_tokens=used.prompt_tokens if used else 0,
            completion_tokens=used.completion_tokens if used else 0,
            provider=used.provider if used else "",
            model=used.model if used else "",
        )

    def _take(self, event: Event) -> None:
        """Pass on what concerns everybody: the usage, but not who answers whom."""
        if isinstance(event, ProviderUsed):
            self._used[event.turn_id] = event
            self._publish(event)


class StopAt:
    """Passes text on up to the first of some words, which may come in pieces."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(filter(None, words))
        self._held = ""
        self.stopped = False
        """One of the words has come."""

    def feed(self, text: str) -> str:
        """Return what may be passed on by now."""
        if self.stopped:
            return ""
        self._held += text
        places = [place for word in self._words if (place := self._held.find(word)) >= 0]
        if places:
            self.stopped = True
            return self._held[: min(places)]
        # The end of it may be the beginning of a word.
        longest = max(map(len, self._words), default=1) - 1
        keep = next(
            (
                size
                for size in range(min(longest, len(self._held)), 0, -1)
                if any(word.startswith(self._held[-size:]) for word in self._words)
            ),
            0,
        )
        cut = len(self._held) - keep
        passed, self._held = self._held[:cut], self._held[cut:]
        return passed

    def close(self) -> str:
        """Return what was held back, at the end of the answer."""
        rest, self._held = self._held, ""
        return "" if self.stopped else rest


def _done(answer: Finished) -> Done:
    usage = answer.usage
    return Done(
        reason="length" if answer.reason == "length" else "stop",
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        provider=answer.provider,
        model=answer.model,
    )


def _refusal(error: NoAnswerError, language: str) -> ApiError:
    """Return what the client is told when nobody could answer."""
    if only := no_answer.only_reason(error):
        return ApiError(only, code="context_length_exceeded" if "too long" in only else None)
    reasons = {skip.reason for skip in error.skipped} - {"policy"}
    sentence = no_answer.sentence(error, language)
    if reasons and reasons <= {"unsupported"}:
        return ApiError(sentence, code="unsupported")
    if "quota" in reasons or "no_credit" in reasons:
        return ApiError(sentence, status=429, code="insufficient_quota", retry_after_s=3600.0)
    return ApiError(sentence, status=503, code="no_answer", retry_after_s=_soonest(error))


def _soonest(error: NoAnswerError) -> float:
    waits: list[float] = [skip.retry_s for skip in error.skipped if skip.retry_s > 0]
    return min(waits, default=0.0)
