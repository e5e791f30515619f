"""The box's own models as one more provider: the ``llm`` worker behind the router's contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from appliance.chat import ChatMessage, estimate_tokens
from appliance.commands import Cancel, Classify, Command, Generate, Warm
from appliance.errors import ProviderError
from appliance.events import (
    Classified,
    Event,
    GenerationFinished,
    TokensGenerated,
    WorkerChanged,
)
from appliance.providers.base import ChatRequest, Delta, Role, Usage

CLASSIFY_WITHIN_S = 2.0
"""A guess of the rules that the model has not confirmed by then is taken for conversation."""

_Key = tuple[int, int]


class LocalModels:
    """Streams what the worker writes.

    Args:
        send: gives a command to the worker; False where there is none to take it.
        models: name of the model by role; of a role that has none nothing.
    """

    name = "local"

    def __init__(self, send: Callable[[Command], bool], models: Mapping[str, str]) -> None:
        self._send = send
        self._models = dict(models)
        self._ready = asyncio.Event()
        self._answers: dict[_Key, asyncio.Queue[TokensGenerated | GenerationFinished | None]] = {}
        self._choices: dict[_Key, asyncio.Future[Classified]] = {}

    def model(self, role: Role) -> str:
        """See :class:`~appliance.providers.base.ChatProvider`."""
        return self._models.get(role, "")

    def count_tokens(self, messages: tuple[ChatMessage, ...], model: str) -> int:
        """See :class:`~appliance.providers.base.ChatProvider`; nobody pays for these."""
        del model
        return sum(map(estimate_tokens, messages))

    def take(self, event: Event) -> None:
        """Take what the worker, or the supervisor about it, has to say."""
        match event:
            case TokensGenerated() | GenerationFinished():
                if queue := self._answers.get((event.turn_id, event.attempt)):
                    queue.put_nowait(event)
            case Classified():
                choice = self._choices.get((event.turn_id, event.attempt))
                if choice is not None and not choice.done():
                    choice.set_result(event)
            case WorkerChanged(worker="llm", status="ready"):
                self._ready.set()
            case WorkerChanged(worker="llm"):
                self._ready.clear()
                for queue in self._answers.values():
                    queue.put_nowait(None)

    def warm(self, role: str, messages: Sequence[ChatMessage]) -> None:
        """Have a prompt's beginning evaluated before it is needed."""
        self._send(Warm(role=role, messages=tuple(dict(message) for message in messages)))

    async def classify(
        self, key: _Key, messages: tuple[dict[str, object], ...], choices: tuple[str, ...]
    ) -> tuple[str, float]:
        """Return the model's choice and its probability; an empty one where it does not tell."""
        if not self._ready.is_set():
            return "", 0.0
        choice = self._choices[key] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(CLASSIFY_WITHIN_S):
                self._send(
                    Classify(turn_id=key[0], attempt=key[1], messages=messages, choices=choices)
                )
                found = await choice
                return found.choice, found.probability
        except TimeoutError:
            return "", 0.0
        finally:
            del self._choices[key]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta]:
        """See :class:`~appliance.providers.base.ChatProvider`.

        Waits for a worker that is being restarted.

        Raises:
            ProviderError: ``lost`` when the worker died, ``rejected`` when the model refuses.
        """
        await self._ready.wait()
        key = request.turn_id, request.attempt
        queue = self._answers[key] = asyncio.Queue()
        finished = False
        try:
            self._send(_generate(request))
            while not finished:
                event = await queue.get()
                if event is None:
                    finished = True
                    raise ProviderError("the language model's worker was lost", kind="lost")
                if isinstance(event, TokensGenerated):
                    yield Delta(text=event.text)
                elif event.reason == "failed":
                    finished = True
                    raise ProviderError(event.detail, kind="rejected")
                elif event.reason != "cancelled":  # who cancels has closed this stream
                    finished = True
                    yield Delta(finish=event.reason, usage=_usage(event))
        finally:
            if self._answers.get(key) is queue:
                del self._answers[key]
            if not finished:
                self._send(Cancel(turn_id=key[0], attempt=key[1]))


def _generate(request: ChatRequest) -> Generate:
    return Generate(
        turn_id=request.turn_id,
        attempt=request.attempt,
        role=request.role,
        messages=tuple(dict(message) for message in request.messages),
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        continues=request.continues,
        whole=request.whole,
    )


def _usage(event: GenerationFinished) -> Usage:
    return Usage(
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        cached_tokens=event.cached_tokens,
    )
