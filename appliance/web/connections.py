"""The doors of the server: listening sockets, and a watch over every connection.

aiohttp knows no limit on connections and waits for ever for the first request of one. Here each
connection is counted from the moment it is accepted (before TLS), has a deadline for its next
request, and, as long as nobody has logged in on it, gives way to newer ones: however many idle
connections somebody opens, the owner gets in.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from appliance.clock import monotonic
from appliance.web.limits import client_of

Side = Literal["loopback", "lan", "unix"]

REQUEST_S = 15.0
"""A connection that has not sent a whole request head after so long is closed."""
HANDSHAKE_S = 10.0
LIMITS: dict[Side, int] = {"loopback": 192, "lan": 384, "unix": 64}
"""Connections at once: each side has its own, so that the network cannot lock this machine out."""
PER_CLIENT = 96
"""Connections of one address of the LAN."""
BACKLOG = 256
FAREWELL_S = 0.2
PAUSE_S = 0.2
"""Rest after the system refused to accept (no descriptors left)."""


@dataclass(eq=False)
class Connection:
    """One client's connection."""

    side: Side
    client: str
    """The address, as it is counted."""
    socket: socket.socket
    owner: str = ""
    """The id of the session or token whose requests come by it; empty: nobody has logged in."""
    transport: asyncio.Transport | None = None
    deadline: float = field(default_factory=lambda: monotonic() + REQUEST_S)
    """When it is closed, unless a request begins before; infinity while one is answered."""
    closed: bool = False

    def begin(self) -> None:
        """A request has begun."""
        self.deadline = float("inf")

    def end(self) -> None:
        """It has been answered; time runs for the next."""
        self.deadline = monotonic() + REQUEST_S

    def abort(self) -> None:
        """Close it at once; what waits to be sent is given up."""
        self.closed = True
        if self.transport is not None:
            self.transport.abort()
        else:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class _Watched(asyncio.Protocol):
    """Passes everything on to aiohttp's protocol and tells the doors when it is over."""

    def __init__(
        self, handler: asyncio.Protocol, connection: Connection, over: Callable[[], None]
    ) -> None:
        self._handler = handler
        self._connection = connection
        self._over = over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.transport = cast(asyncio.Transport, transport)
        self._handler.connection_made(transport)
        if self._connection.closed:
            self._connection.abort()

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._over()
        self._handler.connection_lost(error)


class Doors:
    """Accepts connections on any number of sockets.

    Args:
        admits: asked about each connection of a Unix socket.
    """

    handler: Callable[[], Any]
    """Makes aiohttp's protocol for a connection; set before anything listens."""

    def __init__(self, admits: Callable[[socket.socket], bool]) -> None:
        self._admits = admits
        self._open: dict[str, tuple[socket.socket, asyncio.Task[None]]] = {}
        self._connections: dict[int, Connection] = {}
        """By the identity of aiohttp's protocol; the oldest first."""
        self._starting: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    def listen(
        self, name: str, listener: socket.socket, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        """Accept connections on *listener*; *tls* returns the certificate of this moment."""
        listener.setblocking(False)
        listener.listen(BACKLOG)
        task = asyncio.create_task(self._accept(listener, tls), name=f"door {name}")
        self._open[name] = listener, task

    def shut(self, name: str) -> None:
        """Accept no more on the socket of this name; what is connected stays."""
        if found := self._open.pop(name, None):
            listener, task = found
            task.cancel()
            asyncio.get_running_loop().remove_reader(listener.fileno())
            listener.close()

    def names(self) -> tuple[str, ...]:
        """Return what is open."""
        return tuple(self._open)

    def port(self, name: str) -> int:
        """Return the port of an open socket."""
        return int(self._open[name][0].getsockname()[1])

    def find(self, protocol: object) -> Connection | None:
        """Return the connection behind ``request.protocol``."""
        return self._connections.get(id(protocol))

    def count(self) -> dict[str, int]:
        """Return how many connections there are, by side."""
        counts = dict.fromkeys(LIMITS, 0)
        for connection in self._connections.values():
            counts[connection.side] += 1
        return {str(side): count for side, count in counts.items()}

    def hang_up(self, *, side: str = "", owner: str = "") -> None:
        """Close all connections of one side, or of one session or token, in a moment.

        Who ends its own session still gets the answer; a further request finds no session.
        """
        loop = asyncio.get_running_loop()
        for connection in self._connections.values():
            if side == connection.side or (owner and owner == connection.owner):
                loop.call_later(FAREWELL_S, connection.abort)

    async def stop(self) -> None:
        """Close the doors and everything that came through them."""
        for name in list(self._open):
            self.shut(name)
        for connection in list(self._connections.values()):
            connection.abort()
        tasks = [*self._starting, *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- accepting ---

    async def _accept(
        self, listener: socket.socket, tls: Callable[[], ssl.SSLContext] | None
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno == errno.EBADF:
                    return
                self._make_room(lambda c: c.side == "lan")
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                connection = self._admit(accepted, address)
            except OSError:
                connection = None  # it has gone before it could be looked at
            if connection is None:
                accepted.close()
                continue
            handler = self.handler()
            self._connections[id(handler)] = connection
            task = loop.create_task(self._start(connection, handler, tls))
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)
            if self._sweeper is None or self._sweeper.done():
                self._sweeper = loop.create_task(self._sweep())

    async def _start(
        self,
        connection: Connection,
        handler: Any,
        tls: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        """Hand a connection to aiohttp, after the TLS handshake where there is one."""

        def over() -> None:
            self._connections.pop(id(handler), None)

        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Watched(handler, connection, over),
                connection.socket,
                ssl=tls() if tls else None,
                ssl_handshake_timeout=HANDSHAKE_S if tls else None,
            )
        except (OSError, ssl.SSLError, ConnectionError):
            over()  # it hung up, or spoke no TLS
            connection.socket.close()
        except BaseException:
            over()
            connection.socket.close()
            raise

    def _admit(self, accepted: socket.socket, address: Any) -> Connection | None:
        """Return the record of a new connection; None: it is refused."""
        if accepted.family == socket.AF_UNIX:
            if not self._admits(accepted):
                return None
            connection = Connection("unix", "unix", accepted, owner="local")
        else:
            client = client_of(address[0])
            side: Side = "loopback" if client == "loopback" else "lan"
            connection = Connection(side, client, accepted)
        side, client = connection.side, connection.client
        if side == "lan" and not self._room(lambda c: c.client == client, PER_CLIENT):
            return None
        return connection if self._room(lambda c: c.side == side, LIMITS[side]) else None

    def _room(self, among: Callable[[Connection], bool], limit: int) -> bool:
        """Return whether one more fits; where none does, the oldest stranger has to go."""
        if sum(map(among, self._connections.values())) < limit:
            return True
        return self._make_room(among)

    def _make_room(self, among: Callable[[Connection], bool]) -> bool:
        for key, connection in self._connections.items():
            if among(connection) and not connection.owner:
                del self._connections[key]
                connection.abort()
                return True
        return False

    async def _sweep(self) -> None:
        """Close what has been silent for too long; ends when there is nothing to watch."""
        while self._connections:
            await asyncio.sleep(1.0)
            now = monotonic()
            for connection in list(self._connections.values()):
                if connection.deadline < now:
                    connection.abort()
