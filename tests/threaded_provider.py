"""The provider of :mod:`tests.fake_provider` for tests that do not run an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Any, Self

from tests.fake_provider import FakeProvider, Play, Received

LIMIT_S = 30.0


class ThreadedProvider:
    """A provider in a thread of its own, while the context lasts."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._provider = FakeProvider()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._provider.start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._provider.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(LIMIT_S)
        self._loop.close()

    @property
    def base_url(self) -> str:
        return self._provider.base_url

    @property
    def requests(self) -> list[Received]:
        return self._provider.requests

    def play(self, *script: Play) -> None:
        """Play this from now on; the last one is repeated."""
        self._provider.play(*script)

    def pull_the_cable(self) -> None:
        """Refuse connections."""
        self._do(self._provider.stop())

    def put_it_back(self) -> None:
        """Take connections again, on the same port."""
        self._do(self._provider.start())

    def wait_for_request(self) -> None:
        """Wait until one more request has arrived."""
        count, deadline = len(self.requests), time.monotonic() + LIMIT_S
        while len(self.requests) == count:
            assert time.monotonic() < deadline, "no request came"
            time.sleep(0.02)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)
