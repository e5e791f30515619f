"""The :class:`~appliance.llm.engine.ChatEngine` that sees: a GGUF model with its projector.

An image lies in the cache like tokens do: its mark fills its positions. So a second question
about the same image finds it there, and only the question is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from appliance import images
from appliance.chat import ChatMessage
from appliance.llm.engine import Choice, Generated, Proceed, images_of, text_of
from appliance.llm.llama import LlamaEngine
from appliance.llm.projector import Projector, Prompt
from appliance.llm.weights import Weights

BATCH_TOKENS = 512
"""Some models read an image as one batch; and reading one takes so long that a text batch of
this size does not matter."""
IMAGE_TOKENS = 1024
"""Counted for an image before it was looked at: some models take 64 a slice, others 729."""


class VisionEngine(LlamaEngine):
    """A model that reads images; takes messages in OpenAI's form with ``image_url`` parts.

    Their URLs are ``data:`` URLs; nothing is ever fetched.
    """

    def __init__(self, weights: Weights, projector: Projector, **options: Any) -> None:
        """Make a context; *options* are those of :class:`LlamaEngine`.

        The engine closes *projector*.
        """
        self._projector = projector
        self._present: Prompt | None = None
        """The prompt whose images are in memory."""
        try:
            super().__init__(weights, **options, batch_tokens=BATCH_TOKENS)
        except BaseException:
            projector.close()
            raise

    def count_tokens(self, message: ChatMessage) -> int:
        return super().count_tokens(message) + IMAGE_TOKENS * len(images_of(message))

    def warm(self, messages: Sequence[ChatMessage], proceed: Proceed) -> bool:
        try:
            return super().warm(messages, proceed)
        finally:
            self._hold(None)

    def generate(self, messages: Sequence[ChatMessage], **options: Any) -> Generated:
        try:
            return super().generate(messages, **options)
        finally:
            self._hold(None)

    def classify(
        self, messages: Sequence[ChatMessage], choices: Sequence[str], proceed: Proceed
    ) -> Choice:
        try:
            return super().classify(messages, choices, proceed)
        finally:
            self._hold(None)

    def close(self) -> None:
        super().close()
        self._projector.close()

    # --- what differs from an engine for text ------------------------------------------------

    def _prompt(self, messages: Sequence[ChatMessage], continues: str = "") -> list[int]:
        marker = self._projector.marker
        pictures: list[tuple[int, int, bytes]] = []
        plain: list[ChatMessage] = []
        for message in messages:
            found = [images.pixels(images.from_data_url(url)) for url in images_of(message)]
            pictures += found
            text = self._plain(text_of(message).replace(marker, " "))
            plain.append({**message, "content": "\n".join([*[marker] * len(found), text])})
        text = self._template.render(plain) + self._plain(continues.replace(marker, " "))
        if not pictures:
            return self._weights.tokenize(text)
        self._hold(self._projector.tokenize(text, pictures))
        assert self._present is not None
        return self._present.tokens

    def _hold(self, prompt: Prompt | None) -> None:
        """Keep the images of *prompt* in memory, and no others."""
        if self._present is not None:
            self._present.close()
        self._present = prompt

    def _size(self, prompt: Sequence[int]) -> int:
        images = self._present.images.values() if self._present else ()
        return len(prompt) + sum(
            (image.cells - image.positions) * prompt.count(image.mark) // image.positions
            for image in images
        )

    def _advance(self, tokens: list[int], proceed: Proceed) -> bool:
        if not proceed():
            return False
        done = len(self._cached)
        ahead = tokens[done : done + self._runtime.batch_tokens]
        if ahead[0] >= 0:
            self._decode(list(itertools.takewhile(lambda token: token >= 0, ahead)))
            return True
        assert self._present is not None
        image = self._present.images[ahead[0]]
        try:
            if not self._projector.evaluate(image, self._runtime, done, proceed):
                return False
        except BaseException:
            self._forget_all()
            raise
        self._cached += [image.mark] * image.positions
        return True
