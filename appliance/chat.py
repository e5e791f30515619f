"""The form of a conversation, and how it is cut to what a model can read.

A message is OpenAI's: ``{"role": "system" | "user" | "assistant", "content": str}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

ChatMessage = Mapping[str, Any]

KEPT_AFTER_CUT = 0.6
"""Part of the history's budget that stays when it overflows. Each cut changes the prompt right
after the system prompt, and all that follows must be evaluated anew; cutting deep makes that
happen once in several turns and not in each."""


def truncate(
    messages: Sequence[ChatMessage],
    budget_tokens: int,
    count_tokens: Callable[[ChatMessage], int],
) -> list[ChatMessage]:
    """Return *messages* without the oldest exchanges, so that they fit into *budget_tokens*.

    The system messages at the beginning and the last user message always stay, even where they
    alone exceed the budget: whether those fit into the context is for the caller to find out,
    and to say. In between whole exchanges go (a user message with everything up to the next
    one), oldest first, until ``KEPT_AFTER_CUT`` of the room for history is left.

    The function has no memory, and must nevertheless cut a growing conversation at the same
    place in every turn, or the model's cache would be useless. So it plays the conversation
    again, turn by turn, and cuts where it was cut then.
    """
    head = 0
    while head < len(messages) and messages[head]["role"] == "system":
        head += 1
    system, exchanges = list(messages[:head]), _exchanges(messages[head:])
    room = budget_tokens - sum(map(count_tokens, system))
    sizes = [sum(map(count_tokens, exchange)) for exchange in exchanges]

    start, held = 0, 0
    for turn, exchange in enumerate(exchanges):
        question = count_tokens(exchange[0])
        if held + question > room:
            keep = KEPT_AFTER_CUT * max(room - question, 0)
            while start < turn and held > keep:
                held -= sizes[start]
                start += 1
        held += sizes[turn]
    return system + [message for exchange in exchanges[start:] for message in exchange]


def _exchanges(messages: Sequence[ChatMessage]) -> list[list[ChatMessage]]:
    """Group *messages*: a user message with all up to the next; no answer stands alone."""
    groups: list[list[ChatMessage]] = []
    for message in messages:
        if message["role"] == "user":
            groups.append([message])
        elif groups:
            groups[-1].append(message)
    return groups
