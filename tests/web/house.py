"""A real page with a few routes of each scope, on real sockets; and raw connections to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from appliance.events import Event, SayRequested
from appliance.page import Page
from appliance.settings import Settings, WebSettings
from appliance.web import connections, limits, security
from appliance.web.access import access_of
from appliance.web.routing import Route

PASSWORD = "a moon of cheese"
API = "api/v1/"
LAN = "127.0.0.2"
"""Stands for an address of the LAN: the kernel accepts it everywhere (see `lan_by_address`)."""


async def _who(request: web.Request) -> web.Response:
    access = access_of(request)
    return web.json_response({"kind": access.kind, "name": access.name})


async def _echo(request: web.Request) -> web.Response:
    return web.json_response({"bytes": len(await request.read())})


async def _break(request: web.Request) -> web.Response:
    raise KeyError(request.query["word"])


async def _socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(str(message.data))
    return socket


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun\n")
    await asyncio.sleep(600)
    return response


ROUTES = [
    Route("GET", "/api/v1/who", _who, "read"),
    Route("GET", "/api/v1/things/{id}", _who, "read"),
    Route("GET", "/api/v1/stream", _stream, "read", stream=True),
    Route("GET", "/api/v1/break", _break, "read"),
    Route("POST", "/api/v1/say", _echo, "talk", max_body=1000),
    Route("POST", "/api/v1/change", _echo, "admin", max_body=1000),
    Route("GET", "/api/v1/talk", _socket, "talk", stream=True),
    Route("GET", "/health", _who, "open"),
]


class House:
    """The page, and what it wanted said."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.published: list[Event] = []
        self.page = Page(settings, folder / "data", ROUTES, self._request, self.published.append)

    def _request(self, event: Event) -> None:
        assert isinstance(event, SayRequested)
        self.said.append(event.text)

    @property
    def url(self) -> str:
        return self.page.url

    @property
    def socket(self) -> Path:
        return self.folder / "api.sock"

    @asynccontextmanager
    async def client(
        self, source: str = "", **headers: str
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """A browser on this machine, or on the LAN (*source*), with a cookie jar."""
        connector = aiohttp.TCPConnector(local_addr=(source, 0) if source else None)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(
            self.url, connector=connector, cookie_jar=jar, headers=headers
        ) as session:
            yield session

    @asynccontextmanager
    async def paired(self, source: str = "") -> AsyncIterator[aiohttp.ClientSession]:
        """A browser that is logged in; its changes carry the CSRF token."""
        code = self.page.pair()
        async with self.client(source) as session:
            who = await post(session, "pair", {"code": code, "name": "phone"})
            session.headers["X-CSRF-Token"] = who["csrf"]
            yield session

    @asynccontextmanager
    async def local(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A command on this machine."""
        connector = aiohttp.UnixConnector(str(self.socket))
        async with aiohttp.ClientSession("http://luna/", connector=connector) as session:
            yield session

    def port(self) -> int:
        return self.page.server.port


async def post(session: aiohttp.ClientSession, path: str, body: Any, status: int = 200) -> Any:
    """Post JSON to the API; return the answer."""
    async with session.post(API + path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def status_of(session: aiohttp.ClientSession, method: str, path: str, **more: Any) -> int:
    async with session.request(method, path, **more) as answer:
        text = await answer.text()
        if answer.status >= 400:
            assert set(json.loads(text)["error"]) == {"message", "code"}
        return answer.status


async def raw(port: int, data: bytes, host: str = "127.0.0.1", source: str = "") -> bytes:
    """Send bytes as they are; return all that comes until the other side hangs up."""
    local = (source, 0) if source else None
    reader, writer = await asyncio.open_connection(host, port, local_addr=local)
    try:
        writer.write(data)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def lan_by_address(patch: pytest.MonkeyPatch) -> None:
    """Only 127.0.0.1 is this machine; 127.0.0.2 and so on stand for others on the LAN."""
    real = limits.client_of

    def client_of(address: str) -> str:
        return address if address.startswith("127.") and address != "127.0.0.1" else real(address)

    patch.setattr(connections, "client_of", client_of)
    patch.setattr(security, "client_of", client_of)


@asynccontextmanager
async def house(folder: Path, **web_settings: Any) -> AsyncIterator[House]:
    """A house with open doors."""
    settings = replace(Settings(), web=WebSettings(port=0, https_port=0, **web_settings))
    built = House(folder, settings)
    (folder / "data").mkdir(exist_ok=True)
    await built.page.start(built.socket)
    try:
        yield built
    finally:
        await built.page.stop()
