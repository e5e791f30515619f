"""The bridge between the conversation in memory and the one on the disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from appliance.assistant.conversations import Conversations, Saved
from appliance.assistant.history import Exchange, History
from appliance.errors import StorageError
from appliance.storage.background import Background


class SavedHistory:
    """A :class:`~appliance.assistant.history.Keeper` that writes on a thread of its own.

    Where the disk fails, the owner hears of it and the conversation goes on in memory.

    Args:
        conversations: the file.
        on_error: is told why something could not be kept; called in the writing thread.
        keep_days, max_messages: what is older, or more, is deleted (0: no limit).
    """

    def __init__(
        self,
        conversations: Conversations,
        on_error: Callable[[StorageError], None],
        *,
        keep_days: int = 0,
        max_messages: int = 0,
    ) -> None:
        self._conversations = conversations
        self._background = Background("history")
        self._on_error = on_error
        self._keep_days = keep_days
        self._max_messages = max_messages
        self._id = -1
        """The conversation in memory; -1 before the first was loaded, 0 when none is kept."""

    def keep(self, exchange: Exchange) -> None:
        """Keep an exchange."""
        self._order(self._keep, exchange)

    def begin(self) -> None:
        """Begin a new conversation; old ones beyond the limits go."""
        self._order(self._begin)

    def compact(self, summary: str, remaining: int) -> None:
        """Keep a summary of all exchanges but the newest *remaining*."""
        self._order(self._compact, summary, remaining)

    async def refresh(self, history: History) -> bool:
        """Load the current conversation if *history* holds another; return whether it did.

        So a restarted service goes on where it stopped, and `luna history new` and `purge` in
        another process take effect with the next turn. Costs about a millisecond.
        """
        try:
            saved = await self._background.call(self._load_other)
        except StorageError as error:
            self._on_error(error)
            return False
        if saved is None:
            return False
        history.restore(saved.exchanges, saved.summary, saved.rested_s)
        return True

    def close(self) -> None:
        """Wait until everything is written."""
        self._background.submit(self._conversations.close)
        self._background.close()

    # --- in the thread ---

    def _keep(self, exchange: Exchange) -> None:
        self._id = self._conversations.append(max(self._id, 0), exchange)

    def _begin(self) -> None:
        self._id = self._conversations.begin()
        self._conversations.retain(keep_days=self._keep_days, max_messages=self._max_messages)

    def _compact(self, summary: str, remaining: int) -> None:
        self._conversations.summarise(self._id, summary, remaining)

    def _load_other(self) -> Saved | None:
        current = self._conversations.current()
        if current == self._id:
            return None
        self._id = current
        return self._conversations.load(current)

    def _order(self, function: Callable[..., None], *arguments: Any) -> None:
        self._background.submit(function, *arguments).add_done_callback(self._report)

    def _report(self, done: Future[None]) -> None:
        error = done.exception()
        if isinstance(error, StorageError):
            self._on_error(error)
        elif error is not None:
            raise error
