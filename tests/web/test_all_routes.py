"""Every route of the real service: who may use it, and what a path may lead to."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from appliance import engines
from appliance.app import App, Plan
from appliance.page import Page
from appliance.settings import PanelSettings, Settings, WebSettings
from appliance.texts import text
from appliance.web.routing import Route

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = {
    "GET /health",
    "GET /ready",
    "GET /api/v1/openapi.json",
    "GET /api/v1/session",
    "POST /api/v1/login",
    "POST /api/v1/pair",
}
TRAVERSALS = (
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%5c..%5cboot.ini",
    "%2fetc%2fpasswd",
    "..",
    "%2e%2e",
    "%00",
    "a%00.txt",
    "%252e%252e%252f",
    "a%0d%0aX-Evil:%201",
    "~root",
    "x" * 3000,
    "%ff%fe",
    "-1",
    "1%20or%201=1",
    "$(id)",
)
RANKS = {"read": 1, "talk": 2, "admin": 3}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page() -> AsyncIterator[Page]:
    with (
        tempfile.TemporaryDirectory(prefix="luna-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        for variable in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "DATA_DIR"):
            patch.setenv(variable, f"{name}/{variable.lower()[:8]}")
        patch.setenv("LUNA_OWN_SERVICE", "1")
        (Path(name) / "data_dir").mkdir()
        settings = replace(Settings(), web=WebSettings(port=0), panel=PanelSettings(enabled=False))
        async with App(settings, engines.fake(settings), Plan(service=True)) as app:
            assert app.page is not None
            yield app.page


def _routes(page: Page) -> list[Route]:
    return page.server._routes


def _filled(path: str, value: str) -> str:
    return re.sub(r"\{[^}]*\}+", value, path)


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


async def _status(
    session: aiohttp.ClientSession, page: Page, route: Route, value: str = "1", **headers: str
) -> int:
    url = URL(page.url.rstrip("/") + _filled(route.path, value), encoded=True)
    async with session.request(route.method, url, headers=headers) as answer:
        return answer.status


async def test_what_is_open_is_on_a_short_list(page: Page) -> None:
    files = {f"GET {path}" for path in _files()}
    found = {_name(route) for route in _routes(page) if route.scope == "open"}
    assert found <= OPEN | files
    assert len(_routes(page)) > 60


def _files() -> set[str]:
    from appliance.web.page_files import FILES

    return set(FILES)


async def test_nothing_else_answers_without_log_in(page: Page) -> None:
    async with aiohttp.ClientSession() as nobody:
        for route in _routes(page):
            if route.scope != "open":
                assert await _status(nobody, page, route) == 401, _name(route)
                wrong = {"Authorization": "Bearer luna_x", "Cookie": "luna_session=x.y"}
                assert await _status(nobody, page, route, **wrong) == 401, _name(route)


async def test_no_scope_reaches_beyond_itself(page: Page) -> None:
    for scope in ("read", "talk"):
        made = await page.keyring.tokens.create(scope, scope)
        bearer = {"Authorization": f"Bearer {made['token']}"}
        async with aiohttp.ClientSession() as program:
            for route in _routes(page):
                if RANKS.get(route.scope, 0) > RANKS[scope]:
                    assert await _status(program, page, route, **bearer) == 403, _name(route)
        await page.keyring.end_token(made["id"])
        async with aiohttp.ClientSession() as program:
            for route in _routes(page):
                if route.scope != "open":
                    assert await _status(program, page, route, **bearer) == 401, _name(route)


async def test_a_session_changes_nothing_without_its_csrf_token(page: Page) -> None:
    _, cookie = await page.keyring.begin_session("thief")
    headers = {"Cookie": f"luna_session={cookie}"}
    async with aiohttp.ClientSession() as browser:
        for route in _routes(page):
            if route.method != "GET":
                assert await _status(browser, page, route, **headers) == 403, _name(route)
                foreign = {**headers, "Origin": "http://evil.example"}
                assert await _status(browser, page, route, **foreign) == 403, _name(route)


async def test_no_path_leads_anywhere_else(page: Page) -> None:
    made = await page.keyring.tokens.create("admin", "admin")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    async with aiohttp.ClientSession() as program:
        for route in _routes(page):
            if "{" not in route.path:
                continue
            for value in TRAVERSALS:
                url = URL(page.url.rstrip("/") + _filled(route.path, value), encoded=True)
                async with program.request(route.method, url, headers=bearer) as answer:
                    shown = await answer.text(errors="replace")
                    assert answer.status in (400, 404, 405, 409, 422), (url, answer.status)
                    assert "root:" not in shown
                    assert "X-Evil" not in answer.headers


async def test_nobody_who_follows_the_events_learns_the_code(page: Page) -> None:
    made = await page.keyring.tokens.create("reader", "read")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    seen = b""
    async with (
        aiohttp.ClientSession() as program,
        program.get(page.url + "events", headers=bearer) as events,
    ):
        code = page.pair()
        async with asyncio.timeout(30):
            while b"event: turn_ended" not in seen:
                seen += await events.content.readany()
        for path in ("api/v1/turns", "api/v1/status", "api/v1/logs", "api/v1/conversations"):
            async with program.get(page.url + path, headers=bearer) as answer:
                assert answer.status == 200
                seen += await answer.read()
    digits = ", ".join(text(f"pairing.digit_{digit}", "en") for digit in code)
    assert code.encode() not in seen
    assert digits.encode() not in seen
