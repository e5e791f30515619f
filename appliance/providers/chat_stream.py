"""Chat completions as they come over the line: chunks of a stream, or one object.

Everything here comes from outside. What does not have the expected form is ``malformed``; what is
unknown is ignored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from appliance.errors import ProviderError
from appliance.providers.base import Usage

MAX_TOOL_CALLS = 32
MAX_TOKENS = 100_000_000
"""A greater count in ``usage`` is nonsense."""
_FINISH = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "content_filter": "stop",  # what was written so far stands; of an empty answer see the client
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


class ChatStream:
    """Assembles one answer from its chunks."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: dict[int, dict[str, str]] = {}
        self.usage: Usage | None = None
        """What the provider counted, if it is believable."""
        self.finish = ""

    @property
    def has_calls(self) -> bool:
        """Return whether the model calls tools."""
        return bool(self._calls)

    def take(self, event: bytes) -> str:
        """Return the text of one *event*; finish, usage and tool calls are kept for the end.

        Raises:
            ProviderError: ``malformed``, or the error that the provider reports in its stream.
        """
        try:
            chunk = json.loads(event)
        except (ValueError, RecursionError) as error:
            raise self._malformed("what it sent is not JSON") from error
        if not isinstance(chunk, dict):
            raise self._malformed("what it sent is not an object")
        if reported := chunk.get("error"):
            raise self._reported(reported)
        self._count(chunk)
        choices = chunk.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(c, dict) for c in choices):
            raise self._malformed("its choices are not a list of objects")
        # One answer was asked for; more would be told apart by their index.
        return "".join(self._choice(choice) for choice in choices if not choice.get("index"))

    def tool_calls(self) -> tuple[Mapping[str, Any], ...]:
        """Return the calls that are complete, in OpenAI's form.

        Raises:
            ProviderError: the arguments of one are not JSON.
        """
        found = []
        for index, call in sorted(self._calls.items()):
            arguments = call["arguments"] or "{}"
            try:
                json.loads(arguments)
            except (ValueError, RecursionError) as error:
                raise self._malformed("the arguments of a tool call are not JSON") from error
            if not call["name"]:
                raise self._malformed("a tool call has no name")
            function = {"name": call["name"], "arguments": arguments}
            identity = call["id"] or f"call_{index}"
            found.append({"id": identity, "type": "function", "function": function})
        return tuple(found)

    def _choice(self, choice: Mapping[str, Any]) -> str:
        """Take one choice: of a stream it has a ``delta``, of a whole answer a ``message``."""
        part = choice.get("delta") or choice.get("message") or {}
        if not isinstance(part, dict):
            raise self._malformed("a piece of its answer is not an object")
        for place, call in enumerate(part.get("tool_calls") or ()):
            self._call(place, call)
        finish = choice.get("finish_reason")
        if finish == "error":
            raise ProviderError(f"{self._name} failed while it answered", kind="server")
        if isinstance(finish, str) and finish:
            self.finish = "tool_calls" if self._calls else _FINISH.get(finish, "stop")
        content = part.get("content") or ""
        if isinstance(content, list):  # parts, as some servers write them
            content = "".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
        if not isinstance(content, str):
            raise self._malformed("the text of its answer is not a text")
        return content

    def _call(self, place: int, part: Any) -> None:
        function = part.get("function") if isinstance(part, dict) else None
        index = part.get("index", place) if isinstance(part, dict) else None
        if not isinstance(function, dict) or not isinstance(index, int):
            raise self._malformed("a tool call is not an object")
        if index not in self._calls and len(self._calls) >= MAX_TOOL_CALLS:
            raise self._malformed(f"more than {MAX_TOOL_CALLS} tool calls")
        call = self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})
        call["id"] = call["id"] or str(part.get("id") or "")
        call["name"] = call["name"] or str(function.get("name") or "")
        arguments = function.get("arguments") or ""
        call["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def _count(self, chunk: Mapping[str, Any]) -> None:
        """Keep the latest count: some send one with each chunk, each greater than the last."""
        usage = chunk.get("usage")
        if not isinstance(usage, dict):
            return
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        if not _is_count(cached):
            cached = usage.get("prompt_cache_hit_tokens")  # DeepSeek
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if _is_count(prompt) and _is_count(completion) and prompt > 0:
            self.usage = Usage(
                prompt_tokens=prompt,
                completion_tokens=completion,
                cached_tokens=min(cached, prompt) if _is_count(cached) else 0,
            )

    def _reported(self, error: Any) -> ProviderError:
        code = error.get("code") if isinstance(error, dict) else None
        if str(code) in ("429", "rate_limit_exceeded"):
            return ProviderError(f"{self._name} asks to wait", kind="rate_limited")
        return ProviderError(f"{self._name} failed while it answered", kind="server")

    def _malformed(self, what: str) -> ProviderError:
        return ProviderError(f"{self._name}: {what}", kind="malformed")


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS
