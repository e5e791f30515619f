"""How one gets in, and who is in: log-in, pairing, sessions, tokens, the password."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from aiohttp import hdrs, web
from pydantic import Field

from appliance.errors import UsageError
from appliance.web import passwords, sessions
from appliance.web.access import RIGHTS, Access, access_of
from appliance.web.api.bodies import Answer, Body, Done, body, reply
from appliance.web.certificates import MAX_BYTES, About
from appliance.web.keyring import Keyring
from appliance.web.limits import Backoff, whole_seconds
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.security import COOKIE, SECURE_COOKIE, stranger

PREFIX = "/api/v1"
SMALL = 4096
"""Bytes of what a log-in needs."""


class Office(Protocol):
    """What the rest of the page does for those who come in."""

    def pair(self) -> str:
        """Open the pairing window, have the code spoken, and return it."""

    def status(self) -> dict[str, Any]:
        """Return where Luna listens, and who may come in."""

    async def use_certificate(self, pem: bytes) -> About:
        """Use this certificate and key from now on; empty: make one."""


class LogIn(Body):
    """The owner's password."""

    password: str = Field(max_length=passwords.MAX_LENGTH)
    name: str = Field("", max_length=sessions.MAX_NAME)
    """What the device is called."""


class Pair(Body):
    """The code that Luna has said."""

    code: str = Field(max_length=20)
    name: str = Field("", max_length=sessions.MAX_NAME)


class NewPassword(Body):
    """Another password; the present one, where there is one."""

    password: str = Field(max_length=passwords.MAX_LENGTH)
    current: str = Field("", max_length=passwords.MAX_LENGTH)


class NewToken(Body):
    """What a token is for."""

    name: str = Field(max_length=sessions.MAX_NAME)
    scope: Literal["read", "talk", "admin"] = "read"


class NewCertificate(Body):
    """Certificates and key in PEM form; empty: Luna makes her own."""

    pem: str = Field("", max_length=MAX_BYTES)


class Session(Answer):
    """Who asks, and how one gets in."""

    kind: Literal["session", "token", "local", "none"]
    name: str
    scopes: list[str]
    csrf: str
    """For the header X-CSRF-Token of every change; empty: none is needed."""
    needs: Literal["pair", "password", ""]
    """How to log in; empty: that is done."""


class Login:
    """The handlers.

    Args:
        keyring: who gets in.
        office: what the rest of the page does.
    """

    def __init__(self, keyring: Keyring, office: Office) -> None:
        self._keyring = keyring
        self._office = office

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(
                "GET",
                f"{PREFIX}/session",
                self.session,
                "open",
                max_body=0,
                doc=Doc("Who asks, and how to log in.", answer=Session),
            ),
            Route(
                "POST",
                f"{PREFIX}/login",
                self.log_in,
                "open",
                max_body=SMALL,
                doc=Doc("Log in with the password.", body=LogIn, answer=Session),
            ),
            Route(
                "POST",
                f"{PREFIX}/pair",
                self.pair,
                "open",
                max_body=SMALL,
                doc=Doc("Log in with a pairing code.", body=Pair, answer=Session),
            ),
            Route(
                "POST",
                f"{PREFIX}/logout",
                self.log_out,
                "read",
                max_body=0,
                doc=Doc("End this session.", answer=Done),
            ),
            Route(
                "POST",
                f"{PREFIX}/pairing",
                self.start_pairing,
                "admin",
                max_body=0,
                doc=Doc("Begin to pair a device: the code is said aloud and returned.", status=201),
            ),
            Route("DELETE", f"{PREFIX}/pairing", self.end_pairing, "admin", max_body=0),
            Route(
                "POST",
                f"{PREFIX}/password",
                self.set_password,
                "admin",
                max_body=SMALL,
                doc=Doc("Set the password; other sessions end.", body=NewPassword, answer=Done),
            ),
            Route("GET", f"{PREFIX}/access", self.status, "admin", max_body=0),
            Route("GET", f"{PREFIX}/sessions", self.sessions, "admin", max_body=0),
            Route("DELETE", f"{PREFIX}/sessions", self.end_sessions, "admin", max_body=0),
            Route("DELETE", f"{PREFIX}/sessions/{{id}}", self.end_session, "admin", max_body=0),
            Route("GET", f"{PREFIX}/tokens", self.tokens, "admin", max_body=0),
            Route(
                "POST",
                f"{PREFIX}/tokens",
                self.create_token,
                "admin",
                max_body=SMALL,
                doc=Doc("Make an API token; it is shown this once.", body=NewToken, status=201),
            ),
            Route("DELETE", f"{PREFIX}/tokens/{{id}}", self.end_token, "admin", max_body=0),
            Route(
                "POST",
                f"{PREFIX}/certificate",
                self.use_certificate,
                "admin",
                max_body=2 * MAX_BYTES,
                doc=Doc("Use a certificate; from this machine only.", body=NewCertificate),
            ),
        ]

    # --- getting in ---

    async def session(self, request: web.Request) -> web.Response:
        """Who asks, and how to log in."""
        return reply(self._who(access_of(request)))

    def _who(self, access: Access) -> dict[str, Any]:
        needs = ""
        if access.kind == "none":
            needs = "password" if self._keyring.passwords.is_set else "pair"
        return {
            "kind": access.kind,
            "name": access.name,
            "scopes": sorted(access.scopes),
            "csrf": self._keyring.csrf(access.id) if access.kind == "session" else "",
            "needs": needs,
        }

    async def log_in(self, request: web.Request) -> web.Response:
        """Log in with the password."""
        wanted = await body(request, LogIn)
        if not self._keyring.passwords.is_set:
            raise RequestError(409, "there is no password yet; pair this device instead")
        client = stranger(request)
        _slow_down(self._keyring.log_ins, client)
        if not await self._keyring.passwords.verify(wanted.password):
            raise RequestError(403, "this is not the password")
        self._keyring.log_ins.forgive(client)
        return await self._begin(request, wanted.name)

    async def pair(self, request: web.Request) -> web.Response:
        """Log in with a pairing code."""
        wanted = await body(request, Pair)
        client = stranger(request)
        if not self._keyring.pairing.left_s():
            raise RequestError(
                409, 'no pairing is under way; say "pair my phone", or type `luna web pair`'
            )
        _slow_down(self._keyring.pairings, client)
        code = "".join(wanted.code.split())
        if not self._keyring.pairing.redeem(code):
            raise RequestError(403, "this is not the code")
        self._keyring.pairings.forgive(client)
        try:
            return await self._begin(request, wanted.name)
        finally:
            self._keyring.pairing.close()

    async def _begin(self, request: web.Request, name: str) -> web.Response:
        """Answer with a new session's cookie; a session that was there before is over."""
        before = access_of(request)
        key, cookie = await self._keyring.begin_session(name)
        if before.kind == "session":
            await self._keyring.end_session(before.id)
        response = reply(self._who(Access("session", RIGHTS["admin"], key, name)))
        response.set_cookie(
            SECURE_COOKIE if request.secure else COOKIE,
            cookie,
            max_age=sessions.COOKIE_AGE_S,
            path="/",
            secure=request.secure,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def log_out(self, request: web.Request) -> web.Response:
        """End this session."""
        access = access_of(request)
        if access.kind != "session":
            raise UsageError("this is no session; `luna web tokens revoke` ends a token")
        response = reply({"done": True})
        response.headers[hdrs.CONNECTION] = "close"
        response.del_cookie(SECURE_COOKIE if request.secure else COOKIE, path="/")
        await self._keyring.end_session(access.id)
        return response

    # --- letting others in ---

    async def start_pairing(self, _: web.Request) -> web.Response:
        """Begin to pair a device: the code is said aloud and returned."""
        code = self._office.pair()
        return reply({"code": code, "seconds": round(self._keyring.pairing.left_s())}, 201)

    async def end_pairing(self, _: web.Request) -> web.Response:
        """Let nobody be paired any more."""
        self._keyring.pairing.close()
        return reply({"done": True})

    async def set_password(self, request: web.Request) -> web.Response:
        """Set the password; other sessions end."""
        wanted = await body(request, NewPassword)
        access = access_of(request)
        passwords.check_strength(wanted.password)
        if self._keyring.passwords.is_set and access.kind != "local":
            # Who finds the owner's browser open must not be able to lock the owner out.
            client = f"password {access.id}"
            _slow_down(self._keyring.changes, client)
            if not await self._keyring.passwords.verify(wanted.current):
                raise RequestError(403, "the present password is another one").worded(
                    "refusal.password_other"
                )
            self._keyring.changes.forgive(client)
        await self._keyring.set_password(wanted.password, keep=access.id)
        return reply({"done": True})

    # --- who is in ---

    async def status(self, _: web.Request) -> web.Response:
        """Where Luna listens, and who may come in."""
        return reply(self._office.status())

    async def sessions(self, request: web.Request) -> web.Response:
        """The devices that are logged in."""
        own = access_of(request).id
        rows = self._keyring.sessions.listed()
        return reply({"sessions": [{**row, "own": row["id"] == own} for row in rows]})

    async def end_session(self, request: web.Request) -> web.Response:
        """Log a device out."""
        await self._keyring.end_session(request.match_info["id"])
        return reply({"done": True})

    async def end_sessions(self, request: web.Request) -> web.Response:
        """Log all other devices out."""
        count = await self._keyring.end_all_sessions(but=access_of(request).id)
        return reply({"ended": count})

    async def tokens(self, _: web.Request) -> web.Response:
        """The API tokens, without what opens anything."""
        return reply({"tokens": self._keyring.tokens.listed()})

    async def create_token(self, request: web.Request) -> web.Response:
        """Make an API token; it is shown this once."""
        wanted = await body(request, NewToken)
        return reply(await self._keyring.tokens.create(wanted.name, wanted.scope), 201)

    async def end_token(self, request: web.Request) -> web.Response:
        """Revoke an API token."""
        await self._keyring.end_token(request.match_info["id"])
        return reply({"done": True})

    async def use_certificate(self, request: web.Request) -> web.Response:
        """Use a certificate; from this machine only."""
        if access_of(request).kind != "local":
            # A key does not travel over a network.
            raise RequestError(403, "only `luna web cert` on the box itself may do this")
        wanted = await body(request, NewCertificate)
        return reply((await self._office.use_certificate(wanted.pem.encode())).row())


def _slow_down(backoff: Backoff, client: str) -> None:
    """Count a guess, or refuse it."""
    if wait := backoff.wait_s(client):
        seconds = whole_seconds(wait)
        raise web.HTTPTooManyRequests(
            text=f"too many attempts; try again in {seconds} s",
            headers={hdrs.RETRY_AFTER: str(seconds)},
        )
