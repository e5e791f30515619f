"""What is kept on the disk to answer from: the owner's documents, and answers given before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from appliance.assistant.answer_cache import AnswerCache, Asked
from appliance.errors import LunaError
from appliance.storage.background import Background

T = TypeVar("T")


class Grounding(Protocol):
    """What the documents say to a question (see :mod:`appliance.knowledge.coverage`)."""

    @property
    def user_message(self) -> str: ...
    @property
    def citation(self) -> str: ...
    @property
    def quote(self) -> str: ...


class Documents(Protocol):
    """The owner's documents. All calls read the disk."""

    def grounding(self, question: str, language: str) -> Grounding | None: ...
    def version(self) -> str: ...
    def prepare(self) -> None: ...


class Recall:
    """Looks both up on a thread of its own, so that the event loop never waits for the disk.

    A file that cannot be used costs the look-up, not the turn; the owner reads of it in the log.

    Args:
        documents, cache: None where the owner has switched them off.
        on_error: is told what failed; in any thread.
        close: called in the thread when all is over.
    """

    def __init__(
        self,
        documents: Documents | None,
        cache: AnswerCache | None,
        on_error: Callable[[LunaError], None],
        close: Callable[[], None],
    ) -> None:
        self._documents = documents
        self._cache = cache
        self._on_error = on_error
        self._close = close
        self._background = Background("recall")

    def prepare(self) -> None:
        """Load what the first question needs, without waiting for it."""
        if self._documents is not None:
            self._background.submit(self._prepare, self._documents)

    async def grounding(self, question: str, language: str) -> Grounding | None:
        """Return what the documents say to *question*; None where they do not cover it."""
        documents = self._documents
        if documents is None:
            return None
        return await self._try(lambda: documents.grounding(question, language))

    async def answer(self, asked: Asked) -> str | None:
        """Return the answer that was given to the same question before."""
        cache = self._cache
        if cache is None:
            return None
        return await self._try(lambda: cache.get(self._dated(asked)))

    async def keep(self, asked: Asked, answer: str) -> None:
        """Keep an answer for the next time."""
        if (cache := self._cache) is not None:
            await self._try(lambda: cache.put(self._dated(asked), answer))

    async def close(self) -> None:
        """Close the files."""
        await self._background.call(self._close)
        self._background.close()

    def _dated(self, asked: Asked) -> Asked:
        version = self._documents.version() if self._documents else ""
        return replace(asked, knowledge=version)

    def _prepare(self, documents: Documents) -> None:
        try:
            documents.prepare()
        except LunaError as error:
            self._on_error(error)

    async def _try(self, function: Callable[[], T]) -> T | None:
        try:
            return await self._background.call(function)
        except LunaError as error:
            self._on_error(error)
            return None
