"""The line between the main process and a worker: one JSON object a line over a socket pair.

Text rather than pickles: a worker that handles foreign data can send a wrong message, but
never code. The worker's end blocks in a thread of its own; the main end is asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
from collections.abc import AsyncIterator

from appliance.errors import ServiceError
from appliance.events import Message, from_json, to_json

MAX_LINE = 4 * 1024 * 1024
"""Bytes in one message at most: a long conversation fits, a runaway does not."""
MAX_UNSENT = 8 * 1024 * 1024
"""Bytes the main process keeps for a worker that does not read before it gives it up."""


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Return the main process's end and the worker's end."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class WorkerChannel:
    """The worker's end. Any thread may send; one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(True)
        self._sending = threading.Lock()
        self._received = bytearray()
        self._poll = select.poll()
        self._poll.register(end.fileno(), select.POLLIN)

    def send(self, message: Message) -> None:
        """Send *message*.

        Raises:
            EOFError: the main process is gone.
        """
        line = to_json(message).encode() + b"\n"
        try:
            with self._sending:
                self._socket.sendall(line)
        except OSError as error:
            raise EOFError("the main process has closed the channel") from error

    def receive(self, timeout: float | None = None) -> Message | None:
        """Return the next message, or None when none came within *timeout* seconds.

        Raises:
            EOFError: the main process is gone.
            ServiceError: the line is not a message, or is too long.
        """
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > MAX_LINE:
                raise ServiceError(f"a message of over {MAX_LINE} bytes was refused")
            if not self._poll.poll(None if timeout is None else timeout * 1000):
                return None
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise EOFError("the channel to the main process broke") from error
            if not data:
                raise EOFError("the main process has closed the channel")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return from_json(line)

    def close(self) -> None:
        self._socket.close()


class MainChannel:
    """The main process's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> MainChannel:
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=MAX_LINE)
        return cls(reader, writer)

    def send(self, message: Message) -> None:
        """Send *message* without waiting.

        Raises:
            ServiceError: the worker is gone, or has not read for so long that memory would fill.
        """
        if self._writer.is_closing():
            raise ServiceError("the worker has closed its channel")
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            raise ServiceError("the worker does not read its messages")
        self._writer.write(to_json(message).encode() + b"\n")

    async def messages(self) -> AsyncIterator[Message]:
        """Yield messages until the other end closes; a line that is none raises ServiceError."""
        while True:
            try:
                line = await self._reader.readline()
            except (OSError, ValueError) as error:
                if isinstance(error, ValueError):
                    raise ServiceError(f"a message of over {MAX_LINE} bytes was refused") from error
                return
            if not line.endswith(b"\n"):
                return
            yield from_json(line)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
