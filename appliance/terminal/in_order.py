"""An application in which each key has had its effect before the next one is looked at."""

from __future__ import annotations

import asyncio
import contextlib

from textual import events
from textual.app import App

PATIENCE_S = 0.5
"""How long a key is waited for at most: a widget that is busy shall not hold up the others."""


class InOrder(App[None]):
    """Deals with keys one after the other.

    Textual hands a key that is text to the queue of the widget that has the focus, and looks up
    what is bound to the others by way of the application's own queue. Where several keys arrive
    at once, as from a slow line, one overtakes the other: the new line stands before the letter
    that was typed before it.
    """

    async def on_event(self, event: events.Event) -> None:
        """Take an event; wait for the effect of a key or a paste."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        if isinstance(event, events.Key) and not self._is_text(event):
            for priority in (True, False):
                if await self._check_bindings(event.key, priority=priority):
                    return
        await super().on_event(event)
        await self._taken()

    def _is_text(self, event: events.Key) -> bool:
        focused = self.focused
        return focused is not None and focused.check_consume_key(event.key, event.character)

    async def _taken(self) -> None:
        """Wait until who has the focus has dealt with what was handed to it."""
        done = asyncio.Event()
        if self.focused is not None and self.focused.call_later(done.set):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), PATIENCE_S)
