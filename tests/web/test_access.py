"""How one gets in, stays in, and is sent away."""

from __future__ import annotations

import asyncio
import re
import stat
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.storage.backup import backup
from appliance.web.limits import Backoff, Buckets, client_of
from appliance.web.pairing import WINDOW_S, Pairing
from appliance.web.passwords import check_strength
from appliance.web.sessions import LIFETIME, Sessions, clean_name
from appliance.web.store import KEY, AccessStore
from tests.web.house import API, LAN, PASSWORD, House, house, post, status_of

WHO = API + "who"


async def test_pairing_by_a_code_that_is_spoken_and_shown(home: House) -> None:
    async with home.local() as local:
        shown = await post(local, "pairing", None, 201)
    assert re.fullmatch(r"\d{6}", shown["code"])
    assert shown["seconds"] == 600
    words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    digits = ", ".join(words[int(digit)] for digit in shown["code"])
    assert home.said == [f"The pairing code is: {digits}. Once more: {digits}."]
    async with home.client(LAN) as phone:
        url = home.url.replace("127.0.0.1", LAN) + API
        async with phone.post(url + "pair", json={"code": shown["code"], "name": "phone"}) as got:
            assert (await got.json())["kind"] == "session"
            cookie = got.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        async with phone.get(url + "who") as answer:
            assert await answer.json() == {"kind": "session", "name": "phone"}
    async with home.client(LAN) as second:  # the code is good once
        async with second.post(url + "pair", json={"code": shown["code"]}) as again:
            assert again.status == 409


async def test_five_tries_and_the_code_is_void(home: House) -> None:
    code = home.page.pair()
    wrong = "000000" if code != "000000" else "111111"
    sources = [f"127.0.0.{n}" for n in range(2, 8)]
    seen = []
    for source in sources[:5]:
        async with home.client(source) as client:
            seen.append(await status_of(client, "POST", API + "pair", json={"code": wrong}))
    assert seen == [403] * 5
    async with home.client() as client:
        assert await status_of(client, "POST", API + "pair", json={"code": code}) == 409
    assert not home.page.server.lan


async def test_a_pairing_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now, changes = [0.0], []
    pairing = Pairing(lambda: changes.append(1), lambda: now[0])
    code = pairing.open()
    now[0] = WINDOW_S - 1
    assert pairing.left_s() == 1
    now[0] = WINDOW_S
    assert not pairing.redeem(code)
    assert len(changes) == 2
    assert not pairing.redeem("")


async def test_only_who_is_in_lets_others_in(home: House) -> None:
    async with home.client() as nobody:
        assert await status_of(nobody, "POST", API + "pairing") == 401
    async with home.paired() as owner:
        assert (await post(owner, "pairing", None, 201))["code"]


async def test_log_in_by_password(home: House) -> None:
    async with home.local() as local:
        await post(local, "password", {"password": PASSWORD})
    async with home.client() as client:
        async with client.get(API + "session") as answer:
            assert (await answer.json())["needs"] == "password"
        assert await status_of(client, "POST", API + "login", json={"password": "wrong"}) == 403
        await post(client, "login", {"password": PASSWORD, "name": "laptop"})
        assert await status_of(client, "GET", WHO) == 200


async def test_guessing_is_slowed_down_and_locks_nobody_else_out(home: House) -> None:
    async with home.local() as local:
        await post(local, "password", {"password": PASSWORD})
    async with home.paired() as owner:
        seen = []
        for n in range(6):
            async with home.client(f"127.0.0.{2 + n}") as thief:
                seen.append(
                    await status_of(thief, "POST", API + "login", json={"password": f"{n}"})
                )
        # Three a minute, from however many addresses.
        assert seen == [403] * 3 + [429] * 3
        assert await status_of(owner, "GET", WHO) == 200
        async with home.client() as here:
            await post(here, "login", {"password": PASSWORD})
        async with home.client(LAN) as there:
            request = there.post(API + "login", json={"password": PASSWORD})
            async with request as answer:
                assert answer.status == 429
                assert 0 < int(answer.headers["Retry-After"]) <= 60


async def test_changing_the_password_needs_it_and_ends_other_sessions(home: House) -> None:
    async with home.paired() as owner, home.paired() as other:
        await post(owner, "password", {"password": PASSWORD})
        assert await status_of(other, "GET", WHO) == 401
        new = {"password": "another moon", "current": "wrong"}
        assert await status_of(owner, "POST", API + "password", json=new) == 403
        await post(owner, "password", {**new, "current": PASSWORD})
        assert await status_of(owner, "GET", WHO) == 200
        weak = {"password": "password123", "current": "another moon"}
        assert await status_of(owner, "POST", API + "password", json=weak) == 400


async def test_sessions_survive_a_restart_and_can_be_revoked(short_path: Path) -> None:
    async with house(short_path) as built, built.paired() as phone:
        cookie = next(iter(phone.cookie_jar)).value
        csrf = phone.headers["X-CSRF-Token"]
    headers = {"Cookie": f"luna_session={cookie}", "X-CSRF-Token": csrf}
    async with house(short_path) as built, aiohttp.ClientSession(built.url) as again:
        assert await status_of(again, "GET", WHO, headers=headers) == 200
        async with again.get(API + "sessions", headers=headers) as answer:
            (row,) = (await answer.json())["sessions"]
        assert row["name"] == "phone"
        assert row["own"]
        streaming = again.get(API + "stream", headers=headers)
        async with streaming as stream:
            assert await stream.content.readline() == b"begun\n"
            async with built.local() as local:
                path = f"{API}sessions/{row['id']}"
                assert await status_of(local, "DELETE", path) == 200
                assert await status_of(local, "DELETE", path) == 404
            with pytest.raises(aiohttp.ClientError):  # what was open is cut off
                async with asyncio.timeout(5):
                    await stream.content.read()
        assert await status_of(again, "GET", WHO, headers=headers) == 401


async def test_tokens_are_shown_once_and_have_their_scope(home: House) -> None:
    async with home.local() as local, home.client() as program:
        made = {}
        for scope in ("read", "talk", "admin"):
            made[scope] = await post(local, "tokens", {"name": scope, "scope": scope}, 201)
        async with local.get(API + "tokens") as answer:
            listed = await answer.text()
        stored = "".join(
            file.read_text() for file in (home.folder / "data/web").iterdir() if file.stat().st_size
        )
        for row in made.values():
            assert row["token"] not in listed + stored
        rights = {"read": (200, 403, 403), "talk": (200, 200, 403), "admin": (200, 200, 200)}
        for scope, expected in rights.items():
            bearer = {"Authorization": f"Bearer {made[scope]['token']}"}
            ways = (("GET", WHO), ("POST", API + "say"), ("POST", API + "change"))
            got = [await status_of(program, *way, headers=bearer) for way in ways]
            assert tuple(got) == expected
        row = made["admin"]
        assert await status_of(local, "DELETE", f"{API}tokens/{row['id']}") == 200
        bearer = {"Authorization": f"Bearer {row['token']}"}
        assert await status_of(program, "GET", WHO, headers=bearer) == 401
        # Nor does a wrong token fall back to a cookie that came along.
        async with home.paired() as phone:
            assert await status_of(phone, "GET", WHO, headers=bearer) == 401


async def test_the_key_is_secret_and_stays_out_of_backups(short_path: Path) -> None:
    async with house(short_path) as built, built.paired():
        key = short_path / "data" / KEY
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        import tarfile

        for wanted in (False, True):
            made = backup(short_path / "data", short_path / f"b{wanted}", secrets=wanted)
            with tarfile.open(made.path) as archive:
                assert (str(KEY) in archive.getnames()) is wanted


async def test_a_session_that_is_not_used_ends(tmp_path: Path) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    store = AccessStore(tmp_path)
    sessions = Sessions(store, lambda: now[0])
    _, cookie = await sessions.begin("x")
    now[0] += LIFETIME - timedelta(days=1)
    assert sessions.find(cookie)
    await sessions.note_seen()
    now[0] += LIFETIME - timedelta(days=1)
    assert Sessions(store, lambda: now[0]).find(cookie)
    now[0] += LIFETIME
    assert not sessions.find(cookie)
    store.close()


def test_passwords_that_are_tried_first_are_refused() -> None:
    for weak in ("short", "1234567890", "Password123", "aaaaaaaaaaaa", "abababababab", "x" * 300):
        with pytest.raises(UsageError):
            check_strength(weak)
    check_strength(PASSWORD)


def test_back_off_by_address_and_over_all() -> None:
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    assert [backoff.wait_s("a") > 0 for _ in range(4)] == [False, False, False, True]
    assert backoff.wait_s("b") == 60
    assert not backoff.wait_s("loopback")
    for _ in range(7):  # ten an hour
        now[0] += 61
        assert not backoff.wait_s("c")
    now[0] += 61
    assert backoff.wait_s("d") > 60
    now[0] = 3601
    assert not backoff.wait_s("d")
    backoff.forgive("d")
    assert [backoff.wait_s("d") > 0 for _ in range(3)] == [False, False, False]


@given(st.text(), st.lists(st.floats(0, 10), max_size=50))
def test_a_bucket_never_gives_more_than_it_has(client: str, pauses: list[float]) -> None:
    now = [0.0]
    buckets = Buckets(2.0, 5.0, lambda: now[0])
    given_out = 0
    for pause in pauses:
        now[0] += pause
        given_out += buckets.wait_s(client) == 0
    assert given_out <= 5 + 2 * now[0] + 1e-6


@given(st.text())
def test_names_are_one_short_line(name: str) -> None:
    clean = clean_name(name, "browser")
    assert 0 < len(clean) <= 60
    assert clean.isprintable() or not set(clean) & set(string.whitespace) - {" "}
    assert "\n" not in clean


@given(st.one_of(st.text(), st.ip_addresses().map(str)))
def test_every_address_has_a_name(address: str) -> None:
    assert isinstance(client_of(address), str)
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff") != client_of("2001:db8:0:1::1")
    assert client_of("::ffff:127.0.0.1") == client_of("::1") == "loopback"
