"""Builds the local page: what its server may use of the rest of Luna."""

from __future__ import annotations

from contextlib import AsyncExitStack

from appliance.web.services import Services


class Page:
    """The running page; :meth:`stop` closes all connections.

    Args:
        services: what the handlers may use.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stack = AsyncExitStack()

    async def stop(self) -> None:
        """Close connections and ports."""
        await self._stack.aclose()
