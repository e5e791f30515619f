"""The text of one answer on its way to the listener."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.providers.base import ChatRequest, Delta
from appliance.providers.chat_stream import ChatStream
from appliance.providers.continuation import Continuation
from appliance.providers.estimate import tokens_at_most
from appliance.providers.known import Provider
from appliance.providers.redaction import Redacted, Restorer

MAX_TEXT_BYTES_PER_TOKEN = 16
"""Answers have about four bytes a token. One that exceeds this ignores the output limit."""


class Answer:
    """The text of one answer: restored, without a repetition, and not without end."""

    def __init__(
        self, request: ChatRequest, provider: Provider, redacted: Redacted | None, limit: int
    ) -> None:
        self.limit = limit
        self.bytes = 0
        self._redacted = redacted
        self._restorer = Restorer(redacted) if redacted is not None else None
        self._continuation = Continuation(request.continues, provider.continues)

    @property
    def too_long(self) -> bool:
        return self.bytes > self.limit * MAX_TEXT_BYTES_PER_TOKEN

    def take(self, piece: str) -> str:
        """Return what of the answer can be passed on."""
        self.bytes += tokens_at_most(piece)
        restored = self._restorer.feed(piece) if self._restorer is not None else piece
        return self._continuation.feed(restored) if restored else ""

    def end(self, parser: ChatStream) -> Delta:
        """Return the last piece, with tool calls and the reason for the end."""
        calls = parser.tool_calls()
        if self._redacted is not None:
            calls = tuple(_restored(call, self._redacted) for call in calls)
        return Delta(text=self._rest(), finish=parser.finish, tool_calls=calls)

    def cut_off(self) -> Delta:
        """Return the last piece of an answer that was too long."""
        return Delta(text=self._rest(), finish="length")

    def _rest(self) -> str:
        rest = self._restorer.close() if self._restorer is not None else ""
        return self._continuation.feed(rest) + self._continuation.close()


def _restored(call: Mapping[str, Any], redacted: Redacted) -> Mapping[str, Any]:
    function = call["function"]
    arguments = redacted.restore_json(function["arguments"])
    return {**call, "function": {**function, "arguments": arguments}}
