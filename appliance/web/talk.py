"""Talk from the browser: sound both ways over one WebSocket.

Text messages are JSON objects with a ``type``, binary ones are PCM (int16, little-endian, mono).
The browser sends ``press``, then sound at 16 kHz, ``release``, ``stop`` and ``played``; it gets
``ready``, ``turn``, ``audio`` (with the rate), sound, ``end``, ``flush`` and ``refused``. What is
said in words comes by the event stream, not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from appliance.clock import monotonic
from appliance.errors import LunaError
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.security import worded

PATH = "/api/v1/talk"
MAX_MESSAGE = 16 * 1024
"""Bytes: half a second of sound."""
MAX_TEXT = 1024
HEARTBEAT_S = 10.0
"""A browser that does not answer a ping within half of it is gone."""
SLOW_S = 10.0
"""One that takes nothing for so long is disconnected."""
BYTES_PER_S = 1.2 * 2 * 16_000
"""Sound comes as fast as it is spoken; a clock that runs fast is forgiven."""
BYTES_AT_ONCE = 3 * 32_000
"""What may have gathered while the network was slow."""
MESSAGES_PER_S = 150.0
MESSAGES_AT_ONCE = 400.0


class TalkSession(Protocol):
    """One browser; see :class:`appliance.page_sound.PageSession`."""

    def press(self) -> None:
        """The talk button was pressed; raises LunaError when Luna cannot listen."""

    def sound(self, pcm: bytes) -> None:
        """Take what was captured."""

    def release(self) -> None:
        """The talk button was let go."""

    def stop(self) -> None:
        """Luna shall stop; raises LunaError when she is still starting."""

    def played(self, turn_id: int, samples: int, *, finished: bool) -> None:
        """The browser has played so much of a reply."""

    def messages(self) -> AsyncIterator[dict[str, Any] | bytes]:
        """Yield what is to be sent."""

    def close(self) -> None:
        """The browser has gone."""


class _Limit:
    """A bucket that fills at *rate* up to *most*."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._left, self._at = most, monotonic()

    def take(self, amount: float) -> bool:
        """Take *amount* out; return whether so much was in it."""
        now = monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True


class _MisuseError(Exception):
    """The browser did what is not allowed; the sentence says what."""


def routes(connect: Callable[[], TalkSession]) -> list[Route]:
    """Return the WebSocket's route; *connect* raises LunaError when too many talk already."""

    async def talk(request: web.Request) -> web.StreamResponse:
        return await _talk(request, connect)

    doc = Doc("Talk from a browser: a WebSocket for sound both ways", answer_types=(), status=101)
    return [Route("GET", PATH, talk, "talk", stream=True, doc=doc)]


async def _talk(request: web.Request, connect: Callable[[], TalkSession]) -> web.StreamResponse:
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE, compress=False)
    if not socket.can_prepare(request).ok:
        raise RequestError(400, "this address is for WebSockets")
    await socket.prepare(request)
    try:
        session = connect()
    except LunaError as error:
        await socket.send_json({"type": "refused", "text": worded(error, request)})
        await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
        return socket
    sending = asyncio.create_task(_send(request, socket, session))
    try:
        await _receive(request, socket, session)
    except _MisuseError as error:
        with contextlib.suppress(ConnectionError):
            await socket.send_json({"type": "refused", "text": str(error)})
        await socket.close(code=WSCloseCode.POLICY_VIOLATION)
    finally:
        session.close()
        sending.cancel()
        await asyncio.wait([sending])
    return socket


async def _receive(
    request: web.Request, socket: web.WebSocketResponse, session: TalkSession
) -> None:
    """Take messages until the browser goes.

    Raises:
        _MisuseError: it sends what it may not.
    """
    sound = _Limit(BYTES_PER_S, BYTES_AT_ONCE)
    messages = _Limit(MESSAGES_PER_S, MESSAGES_AT_ONCE)
    async for message in socket:
        if not messages.take(1):
            raise _MisuseError("too many messages")
        if message.type is WSMsgType.BINARY:
            if len(message.data) % 2:
                raise _MisuseError("half a sample: sound is 16 bits, mono, 16 kHz")
            if not sound.take(len(message.data)):
                raise _MisuseError("more sound than anybody can speak: it is 16 bits, mono, 16 kHz")
            session.sound(message.data)
        elif message.type is WSMsgType.TEXT:
            try:
                _obey(_parsed(message), session)
            except LunaError as error:
                await socket.send_json({"type": "refused", "text": worded(error, request)})
        else:
            return  # broken, or larger than allowed; the library has closed it


def _parsed(message: WSMessage) -> dict[str, Any]:
    try:
        order = json.loads(message.data) if len(message.data) <= MAX_TEXT else None
    except (ValueError, RecursionError):
        order = None
    if not isinstance(order, dict):
        raise _MisuseError("not a message of this page")
    return order


def _obey(order: dict[str, Any], session: TalkSession) -> None:
    match order:
        case {"type": "press"}:
            session.press()
        case {"type": "release"}:
            session.release()
        case {"type": "stop"}:
            session.stop()
        case {"type": "played", "turn_id": int(turn_id), "samples": int(samples)} if samples >= 0:
            session.played(turn_id, samples, finished=order.get("finished") is True)
        case _:
            raise _MisuseError("not a message of this page")


async def _send(request: web.Request, socket: web.WebSocketResponse, session: TalkSession) -> None:
    """Send what there is to send; a browser that takes nothing is cut off."""
    try:
        async for message in session.messages():
            async with asyncio.timeout(SLOW_S):
                if isinstance(message, bytes):
                    await socket.send_bytes(message)
                else:
                    await socket.send_json(message)
    except (TimeoutError, ConnectionError):
        # The one that receives learns it at once, and ends the session.
        if request.transport is not None:
            request.transport.abort()
