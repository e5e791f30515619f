"""The local page's server: its files, its headers, its doors."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from appliance.errors import ServiceError
from appliance.settings import WebSettings
from appliance.web.page_files import FILES
from appliance.web.security import HEADERS
from appliance.web.server import WebServer
from tests.web.house import API, LAN, House, house, status_of


async def test_files_and_protective_headers(home: House) -> None:
    async with home.client() as client:
        for path, (_, kind) in FILES.items():
            async with client.get(path) as answer:
                assert answer.status == 200
                assert answer.content_type == kind
                assert HEADERS.items() <= dict(answer.headers).items()
                assert "unsafe" not in answer.headers["Content-Security-Policy"]
                assert "Server" not in answer.headers
                tag = answer.headers["ETag"]
            async with client.get(path, headers={"If-None-Match": tag}) as answer:
                assert answer.status == 304
            async with client.get(path, headers={"Accept-Encoding": "identity"}) as answer:
                assert "Content-Encoding" not in answer.headers
                assert await answer.read()


async def test_answers_of_the_api_are_not_kept_by_browsers(home: House) -> None:
    async with home.client() as client, client.get(API + "session") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert await answer.json() == {
            "kind": "none",
            "name": "",
            "scopes": [],
            "csrf": "",
            "needs": "pair",
        }


async def test_no_other_files(home: House) -> None:
    async with home.client() as client:
        for path in ("/../config.py", "/%2e%2e/config.py", "/static/luna.js", "/locales/xx.json"):
            async with client.get(path) as answer:
                assert answer.status == 404
                assert HEADERS.items() <= dict(answer.headers).items()
        assert await status_of(client, "POST", "/") == 405


async def test_the_unix_socket_needs_no_log_in(home: House) -> None:
    async with home.local() as client:
        async with client.get(API + "who") as answer:
            assert await answer.json() == {"kind": "local", "name": "local"}
        assert await status_of(client, "POST", API + "change", data=b"x") == 200
    assert home.socket.stat().st_mode & 0o007 == 0


async def test_closed_on_the_lan_until_somebody_is_paired(home: House) -> None:
    async def reaches() -> bool:
        try:
            _, writer = await asyncio.open_connection(LAN, home.port())
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    assert not await reaches()
    home.page.pair()
    assert await reaches()
    home.page.keyring.pairing.close()
    assert not await reaches()
    async with home.paired() as client:
        assert await reaches()
        async with client.delete(API + "sessions") as answer:
            assert answer.status == 200  # all others: this one stays
        assert await reaches()
        assert await status_of(client, "POST", API + "logout") == 200
    assert not await reaches()
    await home.page.keyring.set_password("correct horse")
    assert await reaches()


async def test_the_owner_may_forbid_the_lan(short_path: Path) -> None:
    async with house(short_path, lan=False) as built:
        await built.page.keyring.set_password("correct horse")
        assert not built.page.server.lan
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LAN, built.port())


async def test_stop_with_open_streams(short_path: Path) -> None:
    async with house(short_path) as built, built.local() as client:
        async with client.get(API + "stream") as answer:
            assert await answer.content.readline() == b"begun\n"
            async with asyncio.timeout(5):
                await built.page.stop()


async def test_port_in_use(home: House) -> None:
    other = WebServer(WebSettings(port=home.port()), [])
    with pytest.raises(ServiceError, match=f"{home.port()} is in use; choose another"):
        await other.start()


async def test_a_lan_port_in_use_leaves_this_machine_served(home: House) -> None:
    with socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        blocker.bind((LAN, home.port()))
        blocker.listen()
        home.page.pair()
        assert "in use" in home.page.server.lan_problem
        assert any("in use" in str(event) for event in home.published)
        async with home.client() as client:
            assert await status_of(client, "GET", "/health") == 200


async def test_errors_say_nothing_of_what_is_inside(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with home.local() as client, client.get(API + "break?word=hush") as answer:
        assert answer.status == 500
        message = (await answer.json())["error"]["message"]
    number = message.rpartition(" ")[2]
    assert number in caplog.text
    assert "hush" not in message + caplog.text


async def test_https_on_the_lan(home: House) -> None:
    async with home.local() as client, client.post(API + "certificate", json={}) as answer:
        assert answer.status == 200
        about = await answer.json()
    assert about["self_signed"]
    assert {"localhost", "luna.local", "127.0.0.1", "::1"} <= set(about["names"])
    home.page.pair()
    secure = home.page.server.https_port
    assert secure
    fingerprint = aiohttp.Fingerprint(bytes.fromhex(about["fingerprint"].replace(":", "")))
    url = f"https://{LAN}:{secure}/"
    async with home.client(LAN) as client:
        async with client.get(url + API + "session", ssl=fingerprint) as answer:
            assert answer.status == 200
        plain = f"http://{LAN}:{home.port()}/api/v1/session?a=1"
        async with client.get(plain, allow_redirects=False) as answer:
            assert answer.status == 308
            assert answer.headers["Location"] == f"{url}api/v1/session?a=1"
        assert await status_of(client, "POST", plain.replace("session", "login")) == 403
        code = home.page.pair()
        pairing = client.post(url + API + "pair", json={"code": code}, ssl=fingerprint)
        async with pairing as answer:
            cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-luna_session=")
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    async with home.client() as client:  # this machine itself stays as it is
        assert await status_of(client, "GET", API + "session") == 200
        # A new certificate is used at once.
        async with home.local() as local, local.post(API + "certificate", json={}) as answer:
            assert answer.status == 200
        with pytest.raises(aiohttp.ServerFingerprintMismatch):
            await client.get(url, ssl=fingerprint)
