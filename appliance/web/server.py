"""The server of page and API: three doors, one list of routes.

- loopback (plain HTTP): always open;
- the LAN: open once somebody can log in, or while somebody is to be paired; HTTPS on a port of
  its own as soon as there is a certificate;
- a Unix socket for the commands of this machine, where the kernel says who is calling.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from aiohttp import web

from appliance.errors import ServiceError
from appliance.settings import WebSettings
from appliance.web import page_files
from appliance.web.connections import Doors
from appliance.web.routing import Route
from appliance.web.security import Gate, Keys, Nobody, protect

STOP_S = 0.3
LINGER_S = 2.0
LOOPBACK = {"localhost": "127.0.0.1"}


class WebServer:
    """A running server.

    Args:
        settings: where it listens.
        routes: all there is to ask for.
        keys: who has logged in.
        admits: asked about each connection of the Unix socket.
        certificate: returns the certificate of this moment; None: there is none.
    """

    def __init__(
        self,
        settings: WebSettings,
        routes: Sequence[Route],
        *,
        keys: Keys | None = None,
        admits: Callable[[socket.socket], bool] = lambda _: False,
        certificate: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._routes = [*page_files.routes(), *routes]
        self._keys = keys or Nobody()
        self._admits = admits
        self._certificate = certificate
        self._port = settings.port
        self._secure_port = settings.https_port
        self._https_port = 0
        self._socket: Path | None = None
        self.lan_problem = ""
        """Why the LAN is not listened on although it should be."""

    @property
    def url(self) -> str:
        """The address on this machine."""
        host = LOOPBACK.get(self._settings.host, self._settings.host)
        return f"http://[{host}]:{self._port}/" if ":" in host else f"http://{host}:{self._port}/"

    @property
    def port(self) -> int:
        """Of plain HTTP."""
        return self._port

    @property
    def https_port(self) -> int:
        """Of HTTPS on the LAN; 0: it is not open."""
        return self._https_port

    @property
    def lan(self) -> bool:
        """Whether the LAN is listened on."""
        return any(name.startswith("lan") for name in self._doors.names())

    @property
    def doors(self) -> Doors:
        """The connections."""
        return self._doors

    async def start(self, unix_socket: Path | None = None) -> None:
        """Listen on loopback, and on *unix_socket* if there is one.

        Raises:
            ServiceError: the port is taken or may not be used.
        """
        self._doors = Doors(self._admits)
        gate = Gate(self._doors, self._keys, self._settings.names, lambda: self._https_port)
        app = web.Application(middlewares=[gate.middleware()])
        gate.add(app, self._routes)
        app.on_response_prepare.append(protect)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=STOP_S,
            handler_cancellation=True,
            lingering_time=LINGER_S,
            auto_decompress=False,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        self._doors.handler = self._runner.server
        try:
            self._open_loopback()
            if unix_socket is not None:
                self._open_unix(unix_socket)
        except ServiceError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close all connections and ports."""
        for name in self._doors.names():
            self._doors.shut(name)
        await self._runner.cleanup()
        await self._doors.stop()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    def listen_on_lan(self, wanted: bool) -> None:
        """Open or shut the door to the LAN; also after the certificate has changed.

        What goes wrong is in ``lan_problem``; this machine itself is served in any case.
        """
        wanted = wanted and self._settings.lan
        certificate = self._certificate() if wanted else None
        if wanted == self.lan and bool(certificate) == bool(self._https_port):
            return
        self.lan_problem = ""
        for name in self._doors.names():
            if name.startswith("lan") or (name == "loopback" and wanted):
                self._doors.shut(name)
        self._https_port = 0
        if not wanted:
            self._doors.hang_up(side="lan")
            if "loopback" not in self._doors.names():
                self._open_loopback()
            return
        try:
            # One socket serves LAN and loopback: whose connection it is, its address says.
            self._listen("lan http", "0.0.0.0", self._port)  # noqa: S104
        except ServiceError as error:
            self.lan_problem = str(error)
            self._open_loopback()
            return
        self._open_second("lan http v6", self._port)
        if certificate is not None:
            self._open_https()

    def _open_https(self) -> None:
        def current() -> ssl.SSLContext:
            found = self._certificate()
            if found is None:
                raise ssl.SSLError("the certificate is gone")
            return found

        try:
            self._secure_port = self._listen("lan https", "0.0.0.0", self._secure_port, current)  # noqa: S104
        except ServiceError as error:
            # Not in the clear what was meant to be secret.
            self.lan_problem = str(error)
            for name in ("lan http", "lan http v6"):
                self._doors.shut(name)
            self._open_loopback()
            return
        self._https_port = self._secure_port
        self._open_second("lan https v6", self._https_port, current)

    def _open_loopback(self) -> None:
        host = LOOPBACK.get(self._settings.host, self._settings.host)
        self._port = self._listen("loopback", host, self._port)

    def _open_second(
        self, name: str, port: int, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> None:
        """Listen on IPv6 as well, where this machine has it."""
        with contextlib.suppress(ServiceError):
            self._listen(name, "::", port, tls)

    def _listen(
        self, name: str, host: str, port: int, tls: Callable[[], ssl.SSLContext] | None = None
    ) -> int:
        """Open a port and return it.

        Raises:
            ServiceError: it is taken or may not be used.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener: socket.socket | None = None
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((host, port))
            self._doors.listen(name, listener, tls)
        except OSError as error:
            if listener is not None:
                listener.close()
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"fails: {error.strerror}"
            key = "https_port" if tls else "port"
            raise ServiceError(
                f"the page's port {host}:{port} {reason}; choose another with --set web.{key}="
                f"{port + 1 if port else 8081}"
            ) from error
        return self._doors.port(name)

    def _open_unix(self, path: Path) -> None:
        """Listen on a Unix socket; which users get in, ``admits`` decides."""
        try:
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            mask = os.umask(0o177)
            try:
                listener.bind(str(path))
            finally:
                os.umask(mask)
            self._socket = path
            self._doors.listen("unix", listener)
        except OSError as error:
            raise ServiceError(f"the socket {path} cannot be made: {error.strerror}") from error
