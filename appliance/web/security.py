"""What stands before every handler: who may ask, from where, how often, and how much.

A request passes, in this order: the Host header, HTTPS where there is a certificate, log-in, the
limit on requests, the route's scope, origin and CSRF token, path parameters, the body's size.
Whatever fails is answered here; every answer gets the protective headers.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import secrets
import socket
import traceback
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from aiohttp import hdrs, web

from appliance.errors import (
    ConfigError,
    LunaError,
    ProviderError,
    ServiceError,
    StorageError,
    TurnError,
    UsageError,
)
from appliance.texts import FALLBACK, text
from appliance.web.access import ACCESS, LOCAL, NOBODY, Access
from appliance.web.connections import Connection, Doors, Side
from appliance.web.limits import Buckets, client_of, whole_seconds
from appliance.web.routing import Handler, RequestError, Route

logger = logging.getLogger("luna.web")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
CSRF_HEADER = "X-CSRF-Token"
COOKIE, SECURE_COOKIE = "luna_session", "__Host-luna_session"
"""Over HTTPS the browser itself sees to it that no other way sets the cookie (RFC 6265bis)."""
READING = frozenset({"GET", "HEAD"})
BODY_S, BODY_RATE = 15.0, 16 * 1024
"""A body may take so long, and a second more for so many bytes of what its route allows."""
PARAMETER = re.compile(r"(?!\.)[\w.:@~+-]{1,128}", re.ASCII)
"""What a part of a path may be: never a way to another folder."""
STRANGER_RATE, STRANGER_BURST = 10.0, 100.0
FRIEND_RATE, FRIEND_BURST = 50.0, 300.0
_LANGUAGES = ("en", "pt")
_KEYS = {401: "refusal.log_in", 413: "refusal.too_large", 429: "refusal.too_many"}
"""Texts, by status, of what is refused here and a person may have caused."""
_STATUS: tuple[tuple[type[LunaError], int], ...] = (
    (UsageError, 400),
    (ConfigError, 400),
    (ServiceError, 503),
    (TurnError, 502),
    (ProviderError, 502),
    (StorageError, 500),
)
_HOST = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.]{2,45})\]|(?P<name>[A-Za-z0-9._-]{1,253}))(?::\d{1,5})?"
)


class Keys(Protocol):
    """Knows who has logged in."""

    def session(self, cookie: str) -> Access | None:
        """Return who has the session of this cookie."""

    def token(self, token: str) -> Access | None:
        """Return who has this API token."""

    def csrf(self, session: str) -> str:
        """Return the CSRF token of a session."""


class Nobody:
    """Keys of which there are none."""

    def session(self, cookie: str) -> Access | None:
        """Return None."""

    def token(self, token: str) -> Access | None:
        """Return None."""

    def csrf(self, session: str) -> str:
        """Return nothing that could be guessed."""
        return secrets.token_hex(16) + session


class Gate:
    """The middleware.

    Args:
        doors: know the connection of a request.
        keys: who has logged in.
        names: further host names under which the owner reaches Luna.
        https_port: returns the port to which the LAN is sent; 0: there is no certificate.
    """

    def __init__(
        self, doors: Doors, keys: Keys, names: Iterable[str], https_port: Callable[[], int]
    ) -> None:
        self._doors = doors
        self._keys = keys
        self._names = own_names() | {name.lower() for name in names}
        self._https_port = https_port
        self._strangers = Buckets(STRANGER_RATE, STRANGER_BURST)
        self._friends = Buckets(FRIEND_RATE, FRIEND_BURST)
        self._routes: dict[web.AbstractRoute, Route] = {}

    def add(self, app: web.Application, routes: Iterable[Route]) -> None:
        """Add routes to the application; there are no others."""
        for route in routes:
            self._routes[app.router.add_route(route.method, route.path, route.handler)] = route

    def middleware(self) -> Any:
        """Return what aiohttp calls for every request, whether or not there is such a route."""

        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = self._doors.find(request.protocol)
            if connection is None:  # closed already
                raise ConnectionResetError
            connection.begin()
            try:
                return await self._answer(request, handler, connection)
            finally:
                connection.end()

        return gate

    async def _answer(
        self, request: web.Request, handler: Handler, connection: Connection
    ) -> web.StreamResponse:
        try:
            return await self._pass(request, handler, connection)
        except web.HTTPException as error:
            if error.status < 400:  # noqa: PLR2004
                raise
            said = (error.text or error.reason).removeprefix(f"{error.status}: ")
            if error.content_type == "application/json":
                raise
            if error.status in _KEYS and (language := language_of(request)):
                said = text(_KEYS[error.status], language)
            answer = failure(error.status, said)
            for name in (hdrs.RETRY_AFTER, hdrs.ALLOW, hdrs.WWW_AUTHENTICATE):
                if name in error.headers:
                    answer.headers[name] = error.headers[name]
            return answer
        except LunaError as error:
            status = next((s for kind, s in _STATUS if isinstance(error, kind)), 500)
            if isinstance(error, RequestError):
                status = error.status
            return failure(status, worded(error, request), error.exit_code)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - nothing may pass by this line
            number = secrets.token_hex(4)
            # The message of a foreign exception may hold what a person wrote.
            stack = "".join(traceback.format_tb(error.__traceback__))
            logger.error("error %s: %s\n%s", number, type(error).__name__, stack)
            return failure(500, f"something went wrong; the log has it as error {number}")

    async def _pass(
        self, request: web.Request, handler: Handler, connection: Connection
    ) -> web.StreamResponse:
        side = connection.side
        if side != "unix":
            self._check_host(request)
            if redirect := self._to_https(request, side):
                return redirect
        access = LOCAL if side == "unix" else self._identify(request)
        connection.owner = access.id or access.name
        request[ACCESS] = access
        self._check_rate(access, connection)
        route = self._routes.get(request.match_info.route)
        if route is None:  # no such path or method; this raises
            return await handler(request)
        if not access.may(route.scope):
            if access.kind == "none":
                raise web.HTTPUnauthorized(
                    text="log in first", headers={hdrs.WWW_AUTHENTICATE: "Bearer"}
                )
            raise web.HTTPForbidden(text=f"this needs the scope {route.scope}")
        if side != "unix":
            self._check_origin(request, access)
        if not all(PARAMETER.fullmatch(value) for value in request.match_info.values()):
            raise web.HTTPNotFound
        _check_body(request, route)
        return await _within_time(request, handler, route, connection)

    # --- the checks ---

    def _check_host(self, request: web.Request) -> None:
        """Refuse foreign names: a web page can point its own name at this address."""
        hosts = request.headers.getall(hdrs.HOST, [])
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        name = (match["v6"] or match["name"]).lower().rstrip(".") if match else ""
        if not name or not request.raw_path.startswith("/"):
            raise web.HTTPBadRequest(text="the Host header is wrong")
        if name not in self._names and name != _own_address(request):
            raise web.HTTPForbidden(text="Luna does not answer to this name; see [web] names")

    def _to_https(self, request: web.Request, side: Side) -> web.StreamResponse | None:
        if side != "lan" or request.secure or not (port := self._https_port()):
            return None
        if request.method not in READING:
            raise web.HTTPForbidden(text="use HTTPS")
        host = request.headers[hdrs.HOST]
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        target = f"https://{name}:{port}{request.rel_url.raw_path_qs}"
        return web.Response(status=308, headers={hdrs.LOCATION: target})

    def _identify(self, request: web.Request) -> Access:
        """Return who asks; a token that is wrong does not fall back to a cookie."""
        if hdrs.AUTHORIZATION in request.headers:
            scheme, _, token = request.headers[hdrs.AUTHORIZATION].partition(" ")
            found = self._keys.token(token.strip()) if scheme.lower() == "bearer" else None
            return found or NOBODY
        cookie = request.cookies.get(SECURE_COOKIE if request.secure else COOKIE, "")
        return (self._keys.session(cookie) if cookie else None) or NOBODY

    def _check_rate(self, access: Access, connection: Connection) -> None:
        if access.kind == "local":
            return
        if access.kind == "none" and connection.side == "lan":
            wait = self._strangers.wait_s(connection.client)
        else:
            wait = self._friends.wait_s(f"{access.kind} {access.id or connection.client}")
        if wait:
            raise web.HTTPTooManyRequests(
                text="too many requests; wait a moment",
                headers={hdrs.RETRY_AFTER: str(whole_seconds(wait))},
            )

    def _check_origin(self, request: web.Request, access: Access) -> None:
        """Refuse what another web page makes the browser send."""
        socket_wanted = hdrs.UPGRADE in request.headers
        changes = request.method not in READING
        cookie = access.kind == "session"
        origin = request.headers.get(hdrs.ORIGIN)
        own = f"{request.scheme}://{request.headers[hdrs.HOST]}"
        if origin is not None and origin.lower() != own.lower():
            raise web.HTTPForbidden(text="this comes from another web page")
        if origin is None and cookie and socket_wanted:
            raise web.HTTPForbidden(text="the Origin header is missing")
        fetched = request.headers.get("Sec-Fetch-Site", "none")
        if (changes or socket_wanted or cookie) and fetched not in ("same-origin", "none"):
            raise web.HTTPForbidden(text="this comes from another web page")
        if changes and cookie:
            given = request.headers.get(CSRF_HEADER, "")
            if not hmac.compare_digest(given.encode(), self._keys.csrf(access.id).encode()):
                raise RequestError(
                    403, "the CSRF token is missing or old; load the page anew"
                ).worded("refusal.csrf")


def _check_body(request: web.Request, route: Route) -> None:
    """Refuse bodies that are too large, or do not say how large they are."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType(text="send the body without compression")
    if request.body_exists and request.content_length is None:
        raise web.HTTPLengthRequired(text="say in Content-Length how long the body is")
    if (request.content_length or 0) > route.max_body:
        raise web.HTTPRequestEntityTooLarge(
            max_size=route.max_body,
            actual_size=request.content_length or 0,
            text=f"the body may have {route.max_body} bytes at most",
        )


async def _within_time(
    request: web.Request, handler: Handler, route: Route, connection: Connection
) -> web.StreamResponse:
    """Call the handler; hang up on a client that takes too long to send its body."""

    def late() -> None:
        if not request.content.is_eof():
            connection.abort()

    limit = BODY_S + route.max_body / BODY_RATE
    timer = asyncio.get_running_loop().call_later(limit, late) if request.body_exists else None
    try:
        return await handler(request.clone(client_max_size=route.max_body))
    finally:
        if timer:
            timer.cancel()


def language_of(request: web.Request) -> str:
    """Return the language of Luna's that the reader wants most; empty for a program's requests.

    Who wants another one gets English.
    """
    header = request.headers.get(hdrs.ACCEPT_LANGUAGE, "")
    wanted = header.partition(",")[0].partition(";")[0].strip().partition("-")[0].lower()
    return wanted if wanted in _LANGUAGES or not wanted else FALLBACK


def worded(error: LunaError, request: web.Request) -> str:
    """Return the sentence of *error*: in the reader's language, or in full for a program."""
    language = language_of(request)
    return text(error.key, language, **error.values) if error.key and language else str(error)


def failure(status: int, message: str, code: int = 1) -> web.Response:
    """Return the JSON answer of an error."""
    return web.json_response(
        {"error": {"message": message, "code": code}},
        status=status,
        dumps=lambda value: json.dumps(value, ensure_ascii=False),
    )


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    """Put the protective headers on an answer (a signal of aiohttp: streams have them too)."""
    response.headers.update(HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers.pop(hdrs.SERVER, None)


def own_names() -> set[str]:
    """Return the names under which this machine is reached in any case."""
    host = socket.gethostname().lower()
    names = {"localhost", "127.0.0.1", "::1", "luna.local", host, f"{host.partition('.')[0]}.local"}
    return {name for name in names if name}


def _own_address(request: web.Request) -> str:
    """Return the address at which the client has reached this machine."""
    found = request.transport.get_extra_info("sockname") if request.transport else None
    if not isinstance(found, tuple):
        return ""
    address = str(found[0]).partition("%")[0].lower()
    return address.removeprefix("::ffff:")


def stranger(request: web.Request) -> str:
    """Return the name under which this request's address is counted."""
    return client_of(request.remote or "unix")
