"""One client for all that speak OpenAI's chat completions: in the cloud and on the LAN.

    request -> placeholders -> log -> POST -> events -> placeholders restored -> repetition cut

It asks once. Whether to ask again, and whom, is the router's business.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from appliance.chat import ChatMessage
from appliance.errors import ProviderError
from appliance.providers.answer import Answer
from appliance.providers.base import ChatRequest, Delta, Role, Usage
from appliance.providers.chat_stream import ChatStream
from appliance.providers.continuation import with_beginning
from appliance.providers.estimate import TokenBound, believable, tools_at_most
from appliance.providers.http import Deadline, Http
from appliance.providers.keys import Secret
from appliance.providers.known import Provider
from appliance.providers.outbound_log import Outbound, OutboundLog, described
from appliance.providers.redaction import Redacted, Redactor
from appliance.providers.sse import EventStream, EventTooLarge

MAX_LINE_BYTES_PER_TOKEN = 2048
"""Of the stream with all its wrapping: a chunk for one token has some hundred bytes."""
MIN_LINE_BYTES = 262_144
PATIENCE = 2.0
"""Times the deadline of the first words: after one the router asks the next provider as well, and
the two race."""
USAGE_WAIT_S = 2.0
"""How long the count may come after the end of the answer."""
# For the model, not for people, and the same in every turn: the count of a prompt that is known
# can be used again. Models answer in the language of the question all the same.
GO_ON = (
    "Go on exactly where you stopped, in the same language. Write only what follows; "
    "repeat nothing and explain nothing."
)
PLACEHOLDERS = (
    "Words in brackets such as [NAME_1] or [PHONE_1] stand for something private. "
    "Copy them unchanged where you need them."
)


class OpenAICompatible:
    """A provider behind an address. Close it when it is no longer needed."""

    def __init__(
        self,
        provider: Provider,
        key: Secret | None = None,
        *,
        redactor: Redactor | None = None,
        outbound: OutboundLog | None = None,
    ) -> None:
        """*redactor* is used if *provider* wants it; *outbound* notes what leaves the box."""
        self.name = provider.name
        self.provider = provider
        self._key = key
        self._redactor = (redactor or Redactor()) if provider.redact else None
        self._outbound = outbound
        self._http = Http(provider)
        self._bounds: dict[str, TokenBound] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    def model(self, role: Role) -> str:
        """Return the model that answers for *role*; empty when it has none."""
        return self.provider.model(role)

    def count_tokens(self, messages: tuple[ChatMessage, ...], model: str) -> int:
        """Return the size of *messages*, never too small (see :mod:`.estimate`).

        A last message of the assistant counts as one that is to be continued. Descriptions of
        tools come on top: :func:`.estimate.tools_at_most`.
        """
        beginning = ""
        if messages and messages[-1]["role"] == "assistant":
            beginning = str(messages[-1]["content"])
            messages = messages[:-1]
        sent, _, _ = self._compose(messages, beginning)
        return self._bound(model).prompt(sent)

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        """Yield the answer as it is written: texts, then finish and tool calls, then usage.

        Raises:
            ProviderError: the kind says why.
        """
        model = self._model_for(request)
        messages, fields, redacted = self._compose(request.messages, request.continues)
        body = _body(self.provider, request, model, messages, fields)
        url = self._url(request)
        self._note(request, url, model, messages, redacted, len(body))

        limit = _output_limit(self.provider, request, model)
        answer = Answer(request, self.provider, redacted, limit)
        parser = ChatStream(self.name)
        deadline = Deadline(self.provider, PATIENCE)
        finished = False
        async with (
            self._http.post(url, deadline, data=body, headers=self._headers()) as response,
            contextlib.aclosing(_events(self.name, response, deadline, limit)) as events,
        ):
            try:
                async for event in events:
                    piece = parser.take(event)
                    if piece or parser.has_calls:
                        deadline.progress()
                    if text := answer.take(piece):
                        yield Delta(text=text)
                    if answer.too_long:
                        break
                    if parser.finish and not finished:
                        last = answer.end(parser)
                        finished = True
                        yield last
                        deadline.within(USAGE_WAIT_S)
            except ProviderError:
                if not finished:
                    raise
                # The answer is whole; only its count is missing, and will be estimated.
            if not finished and not answer.too_long:
                raise ProviderError(f"{self.name} stopped in the middle", kind="broken")
            if not finished:
                yield answer.cut_off()
        yield Delta(usage=self._usage(request, model, messages, parser, answer))

    # --- what is sent --------------------------------------------------------------------

    def _model_for(self, request: ChatRequest) -> str:
        model = self.model(request.role)
        supports = self.provider.supports
        if not model:
            raise ProviderError(f"{self.name} has no model for {request.role}", kind="unsupported")
        if request.has_image and "vision" not in supports:
            raise ProviderError(f"{self.name} cannot look at pictures", kind="unsupported")
        if request.tools and "tools" not in supports:
            raise ProviderError(f"{self.name} cannot use tools", kind="unsupported")
        return model

    def _compose(
        self, messages: Sequence[ChatMessage], beginning: str
    ) -> tuple[list[ChatMessage], Mapping[str, Any], Redacted | None]:
        """Return the messages that are sent, more fields of the request, and the way back."""
        sent: list[ChatMessage] = list(messages)
        fields: Mapping[str, Any] = {}
        if beginning:
            sent, fields = with_beginning(sent, beginning, self.provider.continues, GO_ON)
        if self._redactor is None:
            return sent, fields, None
        redacted = self._redactor.hide(sent)
        sent = list(redacted.messages)
        if redacted.hidden:
            place = next((i for i, m in enumerate(sent) if m["role"] != "system"), len(sent))
            sent.insert(place, {"role": "system", "content": PLACEHOLDERS})
        return sent, fields, redacted

    def _url(self, request: ChatRequest) -> str:
        base = self.provider.continue_url if request.continues else ""
        return f"{base or self.provider.base_url}/chat/completions"

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        return headers

    def _note(
        self,
        request: ChatRequest,
        url: str,
        model: str,
        messages: Sequence[ChatMessage],
        redacted: Redacted | None,
        size: int,
    ) -> None:
        """Note in the log what is about to leave the box."""
        if self._outbound is not None:
            self._outbound.record(
                Outbound(
                    at=time.time(),
                    provider=self.name,
                    host=urlsplit(url).hostname or "",
                    model=model,
                    role=request.role,
                    turn_id=request.turn_id,
                    redacted=redacted is not None and redacted.hidden,
                    messages=described(messages),
                    sent_bytes=size,
                )
            )

    # --- what it took --------------------------------------------------------------------

    def _bound(self, model: str) -> TokenBound:
        if model not in self._bounds:
            self._bounds[model] = TokenBound(self.provider.about(model).image_tokens)
        return self._bounds[model]

    def _usage(
        self,
        request: ChatRequest,
        model: str,
        messages: Sequence[ChatMessage],
        parser: ChatStream,
        answer: Answer,
    ) -> Usage:
        """Return what the provider counted, if that can be true, else an estimate."""
        bound = self._bound(model)
        counted = parser.usage
        wrote = answer.bytes > 0 or parser.has_calls
        if (
            counted is not None
            and believable(counted.prompt_tokens, messages)
            and (counted.completion_tokens > 0 or not wrote)
        ):
            bound.learn(messages, counted.prompt_tokens)
            return counted
        return Usage(
            prompt_tokens=bound.prompt(messages) + tools_at_most(request.tools),
            # A tool call is not measured: it may have taken all that was allowed.
            completion_tokens=answer.limit if parser.has_calls else min(answer.bytes, answer.limit),
            estimated=True,
        )


def _output_limit(provider: Provider, request: ChatRequest, model: str) -> int:
    return min(request.max_tokens, provider.about(model).max_output_tokens)


def _body(
    provider: Provider,
    request: ChatRequest,
    model: str,
    messages: Sequence[ChatMessage],
    fields: Mapping[str, Any],
) -> bytes:
    body: dict[str, Any] = {
        "model": model,
        "messages": [dict(message) for message in messages],
        provider.limit_field: _output_limit(provider, request, model),
        "temperature": request.temperature,
        "stream": "stream" in provider.supports,
        **provider.about(model).extra,
        **fields,
    }
    if body["stream"] and "usage" in provider.supports:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


async def _events(
    name: str, response: aiohttp.ClientResponse, deadline: Deadline, limit: int
) -> AsyncGenerator[bytes, None]:
    """Yield the data of each event; of an answer in one piece, that piece.

    Raises:
        ProviderError: what comes is too large, or stops for too long.
    """
    most = MIN_LINE_BYTES + limit * MAX_LINE_BYTES_PER_TOKEN
    whole = response.content_type == "application/json"
    stream = EventStream()
    body = b""
    received = 0
    while True:
        async with deadline.waiting():
            chunk = await response.content.readany()
        received += len(chunk)
        if received > most:
            raise ProviderError(f"{name} sent more than {most} bytes", kind="malformed")
        if whole:
            body += chunk
            if not chunk:
                yield body
                return
            continue
        try:
            found = stream.feed(chunk) if chunk else stream.close()
        except EventTooLarge as error:
            raise ProviderError(f"{name} sent {error}", kind="malformed") from error
        for event in found:
            if event.strip() == b"[DONE]":
                return
            yield event
        if not chunk:
            return
