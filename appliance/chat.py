"""The form of a conversation, how it is cut to what a model can read, and what is summed up.

A message is OpenAI's: ``{"role": "system" | "user" | "assistant" | "tool", "content": str}``; an
assistant's may carry ``tool_calls``, a tool's carries their result, and a user's content may be
a list of parts with an image.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

ChatMessage = Mapping[str, Any]

KEPT_AFTER_CUT = 0.6
"""Part of the history's budget that stays when it overflows. Each cut changes the prompt right
after the system prompt, and all that follows must be evaluated anew; cutting deep makes that
happen once in several turns and not in each."""
SUMMARISED_CHARACTERS = 600
"""Of each message that is summed up: a small model has little room."""


BYTES_PER_TOKEN = 2.5
"""Of text in UTF-8. Measured: English prose has 3.5 to 4.1 bytes a token (the tokenizers of
SmolLM2 and of Qwen2.5), Portuguese 2.6 and 3.2, Python 3.6 to 4.9, JSON 2.8 and 3.3."""
MESSAGE_TOKENS = 8
"""What a chat format writes around a message: role, separators, and room for a tool's id."""
IMAGE_TOKENS = 1_600
"""Of one image. OpenAI counts up to 1,105 for one in high detail, Anthropic width x height / 750
(1,600 at its largest), Gemini 258 a tile."""


def estimate_tokens(message: ChatMessage) -> int:
    """Return about how many tokens *message* has, for a model whose tokenizer is not at hand.

    Meant to be too many rather than too few (see ``BYTES_PER_TOKEN``); only long runs of digits
    or of rare characters can have more.
    """
    content = message.get("content") or ""
    images = 0
    if not isinstance(content, str):
        images = sum(part.get("type") == "image_url" for part in content)
        content = "".join(str(part.get("text", "")) for part in content)
    size = len(content.encode())
    if calls := message.get("tool_calls"):
        size += len(json.dumps(calls, ensure_ascii=False).encode())
    return math.ceil(size / BYTES_PER_TOKEN) + MESSAGE_TOKENS + images * IMAGE_TOKENS


def truncate(
    messages: Sequence[ChatMessage],
    budget_tokens: int,
    count_tokens: Callable[[ChatMessage], int],
) -> list[ChatMessage]:
    """Return *messages* without the oldest exchanges, so that they fit into *budget_tokens*.

    The system messages at the beginning and the last user message always stay, even where they
    alone exceed the budget: whether those fit into the context is for the caller to find out,
    and to say. In between whole exchanges go (a user message with everything up to the next
    one, so tool calls stay with their results), oldest first, until ``KEPT_AFTER_CUT`` of the
    room for history is left. What the last user message has led to so far stays with it.

    The function has no memory, and must nevertheless cut a growing conversation at the same
    place in every turn, or the model's cache would be useless. So it plays the conversation
    again, turn by turn, and cuts where it was cut then.
    """
    system, _, kept = _cut(messages, budget_tokens, count_tokens)
    return [*system, *kept]


def to_summarise(
    messages: Sequence[ChatMessage],
    budget_tokens: int,
    count_tokens: Callable[[ChatMessage], int],
) -> list[ChatMessage]:
    """Return what :func:`truncate` leaves out: the oldest messages, in whole exchanges."""
    return _cut(messages, budget_tokens, count_tokens)[1]


def summary_request(
    instruction: str, dropped: Sequence[ChatMessage], former: str = ""
) -> tuple[ChatMessage, ...]:
    """Return the messages that ask a model for a summary, for when it has nothing else to do.

    Args:
        instruction: how to sum up, in the language of the conversation (a prompt).
        dropped: what :func:`to_summarise` returned.
        former: the summary of what went before that; the new one replaces it.
    """
    lines = [former] if former else []
    for message in dropped:
        content = message.get("content")
        if message["role"] in ("user", "assistant") and isinstance(content, str) and content:
            lines.append(f"{message['role']}: {' '.join(content.split())[:SUMMARISED_CHARACTERS]}")
    return (
        {"role": "system", "content": instruction},
        {"role": "user", "content": "\n".join(lines)},
    )


def with_summary(system_prompt: str, summary: str) -> str:
    """Return the system prompt that also tells what went before.

    The summary stands at its end, so that the evaluated prompt before it can be used again, and
    in the same message, because many chat formats allow only one from the system.
    """
    return f"{system_prompt}\n\n{summary}" if summary else system_prompt


def _cut(
    messages: Sequence[ChatMessage],
    budget_tokens: int,
    count_tokens: Callable[[ChatMessage], int],
) -> tuple[list[ChatMessage], list[ChatMessage], list[ChatMessage]]:
    """Return the system messages, what goes and what stays."""
    head = 0
    while head < len(messages) and messages[head]["role"] == "system":
        head += 1
    system, exchanges = list(messages[:head]), _exchanges(messages[head:])
    room = budget_tokens - sum(map(count_tokens, system))
    sizes = [sum(map(count_tokens, exchange)) for exchange in exchanges]

    start, held = 0, 0
    for turn, exchange in enumerate(exchanges):
        asked = sizes[turn] - sum(map(count_tokens, _answer(exchange)))
        if held + asked > room:
            keep = KEPT_AFTER_CUT * max(room - asked, 0)
            while start < turn and held > keep:
                held -= sizes[start]
                start += 1
        held += sizes[turn]
    return system, _flat(exchanges[:start]), _flat(exchanges[start:])


def _flat(exchanges: Sequence[Sequence[ChatMessage]]) -> list[ChatMessage]:
    return [message for exchange in exchanges for message in exchange]


def _answer(exchange: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    """Return the final answer of an exchange: what was not there when the model was asked."""
    last = exchange[-1]
    final = last["role"] == "assistant" and not last.get("tool_calls")
    return exchange[-1:] if final else ()


def _exchanges(messages: Sequence[ChatMessage]) -> list[list[ChatMessage]]:
    """Group *messages*: a user message with all up to the next; no answer stands alone."""
    groups: list[list[ChatMessage]] = []
    for message in messages:
        if message["role"] == "user":
            groups.append([message])
        elif groups:
            groups[-1].append(message)
    return groups
