"""Server-sent events: what the streams of the page have in common.

A reader that takes nothing is cut off, so that nothing piles up for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aiohttp import web

from appliance.errors import LunaError
from appliance.web.routing import EVENT_STREAM

HEARTBEAT_S = 15.0
"""So often something is sent that keeps a connection without events alive."""
SLOW_S = 10.0
"""A reader that takes nothing for so long is dropped."""
T = TypeVar("T")


async def begin(request: web.Request) -> web.StreamResponse:
    """Return the answer to *request*; its headers are sent."""
    headers = {
        "Content-Type": EVENT_STREAM,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    return response


async def write(response: web.StreamResponse, data: bytes) -> None:
    """Send *data*.

    Raises:
        ConnectionError: the reader has gone.
        TimeoutError: it takes nothing.
    """
    async with asyncio.timeout(SLOW_S):
        await response.write(data)


@contextmanager
def reader(request: web.Request) -> Iterator[None]:
    """Do within this what ends when the reader has gone, or takes nothing."""
    try:
        yield
    except ConnectionError:
        pass
    except TimeoutError:
        if request.transport:
            request.transport.abort()  # what waits to be sent to it is given up


async def send(
    request: web.Request,
    items: AsyncIterator[T],
    written: Callable[[T], bytes],
    *,
    first: bytes = b"",
    refused_within_s: float = 0.0,
) -> web.StreamResponse:
    """Answer with *items* until they end, or the reader has gone.

    Args:
        request: is answered.
        items: end the stream also by raising LunaError.
        written: returns an item as an event; empty: it is not sent.
        first: is sent at once.
        refused_within_s: so long the headers wait for the first item.

    Raises:
        LunaError: the first item raised it in time: a refusal, with a status of its own.
    """
    upcoming = asyncio.ensure_future(anext(items, None))
    try:
        await asyncio.wait([upcoming], timeout=refused_within_s)
        if upcoming.done():
            upcoming.result()
        response = await begin(request)
        with reader(request):
            if first:
                await write(response, first)
            while True:
                done, _ = await asyncio.wait([upcoming], timeout=HEARTBEAT_S)
                if not done:
                    await write(response, b": still here\n\n")
                    continue
                try:
                    item = upcoming.result()
                except LunaError:
                    break
                if item is None:
                    break
                upcoming = asyncio.ensure_future(anext(items, None))
                if data := written(item):
                    await write(response, data)
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
    return response
