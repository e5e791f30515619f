"""How a model wants a conversation to be written: its chat template."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Protocol

import jinja2
import llama_cpp.llama_cpp as llama
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from appliance.chat import ChatMessage
from appliance.errors import ModelError

_PROBE = "Zq7"
"""A text that no template contains."""


class ChatTemplate(Protocol):
    """Writes a conversation as the text that a model continues."""

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """Return the prompt, up to where the assistant's next message begins.

        Raises:
            ModelError: the template refuses the conversation.
        """


class JinjaTemplate:
    """The template that the model's own file carries (``tokenizer.chat_template``)."""

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        try:
            self._formatter = Jinja2ChatFormatter(source, eos_token=eos, bos_token=bos)
        except jinja2.TemplateError as error:
            raise ModelError(f"the model's chat template cannot be used: {error}") from error
        self._in_parts = False
        self._in_parts = not self._shows_text()

    def _shows_text(self) -> bool:
        """Return whether the template writes a plain text; some vision models' want parts."""
        try:
            return _PROBE in self.render([{"role": "user", "content": _PROBE}])
        except ModelError:
            return False

    def render(self, messages: Sequence[ChatMessage]) -> str:
        if self._in_parts:
            messages = [
                {**message, "content": [{"type": "text", "text": message["content"]}]}
                for message in messages
            ]
        try:
            return str(self._formatter(messages=list(messages)).prompt)
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            raise ModelError(
                f"the model's chat template refuses the conversation: {error}"
            ) from error


class NamedTemplate:
    """One of llama.cpp's built-in formats, for a file without a template.

    The names (``chatml``, ``llama3``, ``gemma`` ...) are those of ``llama-server
    --chat-template``; the catalogue gives one as ``prompt_format``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.render([{"role": "user", "content": "a"}])

    def render(self, messages: Sequence[ChatMessage]) -> str:
        chat = (llama.llama_chat_message * len(messages))()
        for slot, message in zip(chat, messages, strict=True):
            slot.role = str(message["role"]).encode()
            slot.content = str(message["content"]).encode()
        size = 256 + 2 * sum(len(slot.role) + len(slot.content) for slot in chat)
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = llama.llama_chat_apply_template(
                self._name.encode(), chat, len(messages), True, buffer, size
            )
            if length < 0:
                raise ModelError(f"llama.cpp has no prompt format {self._name!r}")
            if length <= size:
                return buffer.raw[:length].decode()
            size = length
