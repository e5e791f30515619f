"""How many tokens a text has at most, for a model whose tokenizer is not here.

The quota ledger reserves this number before a call, so it must never be too small. Of a text we
know for certain only this: each token of a byte-level BPE (GPT, Llama 3, Qwen, DeepSeek, Kimi) or
of SentencePiece with byte fallback (Gemma, Llama 2) covers at least one byte of it. Hence

    tokens <= bytes in UTF-8 + FRAME_TOKENS for each message + REQUEST_TOKENS + images

which for English is about four times too much. The provider's own counts make it tight: what it
counted for an earlier prompt is an upper bound for each beginning of that prompt, and the next
prompt of a conversation begins like the last one. So only what is new is counted in bytes:

    tokens <= min over known beginnings b of (counted for b + bytes of what follows b + ...)
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from appliance.chat import ChatMessage

FRAME_TOKENS = 8
"""Control tokens and role around a message; ChatML and Llama 3 take 5 to 6."""
REQUEST_TOKENS = 64
"""What a template adds once: the start of the answer, a date, a preamble (gpt-oss: about 60)."""
TOOLS_TOKENS = 256
"""What a template says about tools in general; Qwen's takes about 150."""
MAX_BYTES_PER_TOKEN = 32
"""On average over a prompt; text has about 4, a program with long runs of blanks about 10."""
MAX_KNOWN = 512
"""Beginnings that are remembered for one model."""


def tokens_at_most(text: str) -> int:
    """Return the greatest number of tokens that *text* can have."""
    return len(text.encode("utf-8", "replace"))


def tools_at_most(tools: Sequence[Any]) -> int:
    """Return the greatest number of tokens that the descriptions of *tools* can have."""
    if not tools:
        return 0
    return TOOLS_TOKENS + tokens_at_most(json.dumps([dict(tool) for tool in tools]))


def believable(counted: int, messages: Sequence[ChatMessage]) -> bool:
    """Return whether *messages* can have so few tokens."""
    texts = (message["content"] for message in messages if isinstance(message["content"], str))
    return counted * MAX_BYTES_PER_TOKEN >= sum(map(tokens_at_most, texts))


class TokenBound:
    """Bounds prompts of one model, and learns from what the provider counted."""

    def __init__(self, image_tokens: int) -> None:
        self._image_tokens = image_tokens
        self._known: OrderedDict[bytes, int] = OrderedDict()
        """The provider's count for a prompt, by the hash of each of its beginnings."""

    def prompt(self, messages: Sequence[ChatMessage]) -> int:
        """Return the greatest number of tokens that the prompt can have, without tools."""
        sizes = [self._message(message) for message in messages]
        best = REQUEST_TOKENS + sum(sizes)
        rest = sum(sizes)
        for size, beginning in zip(sizes, _beginnings(messages), strict=True):
            rest -= size
            if (counted := self._known.get(beginning)) is not None:
                best = min(best, counted + REQUEST_TOKENS + rest)
        return best

    def learn(self, messages: Sequence[ChatMessage], counted: int) -> None:
        """Remember that the provider counted *counted* tokens for the prompt *messages*."""
        for beginning in _beginnings(messages):
            self._known[beginning] = min(counted, self._known.get(beginning, counted))
            self._known.move_to_end(beginning)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _message(self, message: ChatMessage) -> int:
        size = FRAME_TOKENS
        for key, value in message.items():
            if key == "content" and isinstance(value, list):
                size += sum(map(self._part, value))
            elif key != "role" and value is not None:
                size += tokens_at_most(value if isinstance(value, str) else json.dumps(value))
        return size

    def _part(self, part: Any) -> int:
        if part.get("type") == "image_url":
            return self._image_tokens
        return tokens_at_most(str(part.get("text", "")))


def _beginnings(messages: Sequence[ChatMessage]) -> list[bytes]:
    """Return a hash of the first message, of the first two, and so on."""
    found = []
    running = hashlib.blake2b(digest_size=16)
    for message in messages:
        running.update(json.dumps(dict(message), sort_keys=True).encode())
        found.append(running.digest())
    return found
