"""Many readers of the page, in a process of their own: ``python -m tests.benchmarks.web_load``.

Opens event streams and asks for things at a steady rate, until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools

import aiohttp

PATHS = ("/status", "/turns", "/reminders", "/quota", "/providers", "/config", "/conversations")


async def load(url: str, token: str, streams: int, per_second: float) -> None:
    """Read *streams* event streams and send *per_second* requests, for ever."""
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with (
        aiohttp.ClientSession(url, connector=connector, headers=headers, timeout=timeout) as web,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(streams):
            tasks.create_task(_follow(web))
        clock = asyncio.get_running_loop()
        began = clock.time()
        for number in itertools.count():
            tasks.create_task(_ask(web, f"/api/v1{PATHS[number % len(PATHS)]}"))
            await asyncio.sleep(began + (number + 1) / per_second - clock.time())


async def _follow(web: aiohttp.ClientSession) -> None:
    async with web.get("/events") as stream:
        stream.raise_for_status()
        async for _ in stream.content.iter_any():
            pass


async def _ask(web: aiohttp.ClientSession, path: str) -> None:
    async with web.get(path) as answer:
        answer.raise_for_status()
        await answer.read()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--per-second", type=float, default=20.0)
    given = parser.parse_args()
    asyncio.run(load(given.url, given.token, given.streams, given.per_second))
