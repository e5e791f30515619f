"""The local control socket: how `luna ask`, `luna listen`, `luna status` reach the service.

A Unix socket that only the service's own user, root and (for the service) the group `luna` can
open; the kernel tells who is calling. Lines of JSON both ways, see :mod:`appliance.events`: a
client sends requests, and receives a snapshot, then every public event.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from appliance import paths
from appliance.errors import ServiceError
from appliance.events import (
    ButtonPressed,
    ButtonReleased,
    Event,
    JobRequested,
    LoopbackRequested,
    Message,
    MeterRequested,
    MuteRequested,
    PairingRequested,
    ProviderTestRequested,
    RemindersRequested,
    RepeatRequested,
    RestartRequested,
    SayRequested,
    StopRequested,
    TextAsked,
    ToneRequested,
    UpdateProgress,
    VolumeRequested,
    from_json,
    to_json,
)

E = TypeVar("E", bound=Event)

MAX_REQUEST = 2 * 1024 * 1024
"""Bytes of one request at most: 100 kB of text with room to spare."""
GROUP = "luna"
NOT_ADMITTED = f"you may not talk to Luna: join the group {GROUP} (sudo adduser $USER {GROUP})"
ALLOWED = (
    ButtonPressed,
    ButtonReleased,
    TextAsked,
    SayRequested,
    StopRequested,
    MuteRequested,
    LoopbackRequested,
    ProviderTestRequested,
    RepeatRequested,
    RestartRequested,
    VolumeRequested,
    RemindersRequested,
    JobRequested,
    PairingRequested,
    MeterRequested,
    ToneRequested,
    UpdateProgress,
)


@dataclass(frozen=True, kw_only=True)
class HealthRequested(Event):
    """A client wants the health report."""


@dataclass(frozen=True, kw_only=True)
class Health(Event):
    """The health report, as at ``/health``."""

    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """A request was not accepted."""

    text: str


Subscribe = Callable[[], AsyncIterator[Event]]


class RequestRefusedError(ServiceError):
    """A request was not accepted; the connection goes on."""


class ControlServer:
    """Serves the socket.

    Args:
        path: of the socket; its folder must exist and belong to this process.
        request: takes a request; raises ServiceError when it is refused.
        subscribe: a new iterator over snapshot and public events.
        health: returns the health report.
    """

    def __init__(
        self,
        path: Path,
        request: Callable[[Event], None],
        subscribe: Subscribe,
        health: Callable[[], dict[str, Any]],
    ) -> None:
        self._path = path
        self._request = request
        self._subscribe = subscribe
        self._health = health
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            ServiceError: another Luna serves this socket, or the folder cannot be used.
        """
        if await _answers(self._path):
            raise ServiceError(
                f"Luna is running already (it answers at {self._path}); stop it first"
            )
        try:
            self._path.unlink(missing_ok=True)
            mask = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(
                    self._client, path=self._path, limit=MAX_REQUEST
                )
            finally:
                os.umask(mask)
            share(self._path)
        except OSError as error:
            raise ServiceError(
                f"the control socket {self._path} cannot be made: {error.strerror}"
            ) from error

    async def stop(self) -> None:
        """Hang up on all clients and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        sender = asyncio.create_task(self._send_events(writer))
        try:
            if not admitted(writer.get_extra_info("socket")):
                _write(writer, Refused(text=f"only members of the group {GROUP} may do this"))
                return
            while line := await reader.readline():
                _write(writer, *self._answer(line))
                await writer.drain()
        except ValueError:
            _write(writer, Refused(text=f"a request has {MAX_REQUEST} bytes at most"))
        except OSError:
            pass  # the client hung up
        except asyncio.CancelledError:
            pass  # the server stops; left to asyncio's streams, it would be logged as a fault
        finally:
            sender.cancel()
            self._clients.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    def _answer(self, line: bytes) -> list[Event]:
        try:
            message = from_json(line)
            if isinstance(message, HealthRequested):
                return [Health(report=self._health())]
            if not isinstance(message, ALLOWED):
                raise ServiceError(f"{message.type} is not a request")
            self._request(message)
        except ServiceError as error:
            return [Refused(text=str(error))]
        return []

    async def _send_events(self, writer: asyncio.StreamWriter) -> None:
        try:
            async for event in self._subscribe():
                _write(writer, event)
                await writer.drain()
        except OSError:
            pass  # the client hung up; its reading side ends the connection


def _write(writer: asyncio.StreamWriter, *messages: Message) -> None:
    for message in messages:
        writer.write(to_json(message).encode() + b"\n")


def share(path: Path) -> None:
    """Let the members of the group open a socket; on a laptop there is no such group.

    Raises:
        OSError: there is no such socket.
    """
    with contextlib.suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
        path.chmod(0o660)


def admitted(connection: socket.socket) -> bool:
    """Ask the kernel who is calling (``SO_PEERCRED``)."""
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, gid = struct.unpack("3i", credentials)
    if uid in (0, os.getuid()):
        return True
    try:
        group = grp.getgrnam(GROUP)
        return gid == group.gr_gid or pwd.getpwuid(uid).pw_name in group.gr_mem
    except KeyError:
        return False


async def _answers(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


class ControlClient:
    """The other end of the socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, path: Path) -> ControlClient:
        """Connect to the running service.

        Raises:
            ServiceError: it is not running, or may not be reached.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=4 * 1024 * 1024)
        except PermissionError as error:
            raise ServiceError(NOT_ADMITTED) from error
        except OSError as error:
            raise ServiceError("Luna is not running; start it with `luna run`") from error
        return cls(reader, writer)

    async def send(self, event: Event) -> None:
        """Send a request."""
        self._writer.write(to_json(event).encode() + b"\n")
        try:
            await self._writer.drain()
        except OSError as error:
            raise ServiceError("the connection to Luna broke") from error

    async def events(self) -> AsyncIterator[Event]:
        """Yield the snapshot and then events, until the service closes the connection.

        Raises:
            RequestRefusedError: a request was refused; call again to go on.
            ServiceError: the connection broke.
        """
        while True:
            try:
                line = await self._reader.readline()
            except (OSError, ValueError) as error:
                raise ServiceError("the connection to Luna broke") from error
            if not line:
                return
            message = from_json(line)
            if isinstance(message, Refused):
                raise RequestRefusedError(message.text)
            if isinstance(message, Event):
                yield message

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def ask(
    request: Event, kind: type[E], limit_s: float, meant: Callable[[E], bool] = lambda _: True
) -> E | None:
    """Return the running service's answer of *kind* that is *meant*; None without a service.

    Raises:
        ServiceError: it refuses, or does not answer.
    """
    try:
        client = await ControlClient.connect(paths.control_socket())
    except ServiceError:
        return None
    try:
        await client.send(request)
        async with asyncio.timeout(limit_s):
            async for event in client.events():
                if isinstance(event, kind) and meant(event):
                    return event
    except TimeoutError as error:
        raise ServiceError("Luna does not answer; look at its log") from error
    finally:
        await client.close()
    raise ServiceError("Luna hung up; look at its log")
