"""Attacks on a page with a few routes, by real sockets: all of them are refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from appliance.web import security
from tests.web.house import API, LAN, House, raw, status_of

WHO, CHANGE, TALK = API + "who", API + "change", API + "talk"
FOREIGN = ("http://evil.example", "null", "https://127.0.0.1", "http://localhost:1", "")


@pytest.fixture
async def phone(home: House) -> AsyncIterator[aiohttp.ClientSession]:
    async with home.paired() as session:
        yield session


# --- names ---


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "127.0.0.3",
        "localhost.evil.example",
        "192.0.2.77",
        "[::2]",
        "localhost@evil.example",
        "",
        "localhost:80:80",
        "[::1",
    ],
)
async def test_forged_hosts(home: House, phone: aiohttp.ClientSession, host: str) -> None:
    for path in (WHO, "/", "/health", API + "session"):
        assert await status_of(phone, "GET", path, headers={"Host": host}) in (400, 403)


async def test_own_names(home: House, phone: aiohttp.ClientSession) -> None:
    for host in (
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:1",
        "[::1]:80",
        "luna.local",
        "luna.local.",
    ):
        assert await status_of(phone, "GET", WHO, headers={"Host": host}) == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\n",
        b"GET /health HTTP/1.0\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        b"GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Length: 5\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1000,
        b"GET /health HTTP/1.1\r\nHost : localhost\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /api/v1/who\r\nX: y HTTP/1.1\r\nHost: localhost\r\n",
    ],
)
async def test_malformed_requests(home: House, head: bytes) -> None:
    answer = await raw(home.port(), head + b"Connection: close\r\n\r\n")
    assert not answer.startswith(b"HTTP/1.1 200")
    assert b"Traceback" not in answer


# --- other web pages ---


@pytest.mark.parametrize("origin", FOREIGN)
async def test_changes_from_other_web_pages(
    phone: aiohttp.ClientSession, home: House, origin: str
) -> None:
    headers = {"Origin": origin}
    assert await status_of(phone, "POST", CHANGE, headers=headers) == 403
    assert await status_of(phone, "POST", API + "logout", headers=headers) == 403
    code = {"code": home.page.pair()}
    async with home.client() as nobody:
        assert await status_of(nobody, "POST", API + "pair", json=code, headers=headers) == 403
    assert await status_of(phone, "GET", WHO) == 200


async def test_what_the_browser_itself_says_of_the_sender(phone: aiohttp.ClientSession) -> None:
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        assert await status_of(phone, "POST", CHANGE, headers=headers) == 403
        assert await status_of(phone, "GET", WHO, headers=headers) == 403
    own = {"Sec-Fetch-Site": "same-origin", "Origin": str(phone._base_url).rstrip("/")}
    assert await status_of(phone, "POST", CHANGE, headers=own) == 200


async def test_no_answer_may_be_read_by_other_origins(phone: aiohttp.ClientSession) -> None:
    headers = {
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-csrf-token",
    }
    async with phone.options(CHANGE, headers=headers) as answer:
        assert answer.status == 405
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("origin", [*FOREIGN, None])
async def test_sockets_from_other_web_pages(
    phone: aiohttp.ClientSession, home: House, origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await phone.ws_connect(TALK, headers=headers)
    assert refused.value.status == 403
    own = {"Origin": home.url.rstrip("/")}
    async with phone.ws_connect(TALK, headers=own) as talk:
        await talk.send_str("hello")
        assert (await talk.receive()).data == "hello"


async def test_csrf_tokens(home: House, phone: aiohttp.ClientSession) -> None:
    async with home.paired() as other:
        foreign = other.headers["X-CSRF-Token"]
    own = phone.headers.pop("X-CSRF-Token")
    for token in (None, "", "x", foreign, own[:-1], own + "x", own.swapcase(), "ü"):
        headers = {} if token is None else {"X-CSRF-Token": token}
        assert await status_of(phone, "POST", CHANGE, headers=headers) == 403
    assert await status_of(phone, "POST", CHANGE, headers={"X-CSRF-Token": own}) == 200


# --- cookies and tokens ---


async def test_cookies_that_were_tampered_with(home: House, phone: aiohttp.ClientSession) -> None:
    good = next(iter(phone.cookie_jar)).value
    payload, _, signature = good.partition(".")
    forged = [
        "",
        payload,
        f"{payload}.",
        f".{signature}",
        good[:-1],
        good[::-1],
        f"{payload[:-2]}AA.{signature}",
        good + good,
        "x" * 5000,
        f"{good}; luna_session=x",
    ]
    async with home.client() as thief:
        for value in forged[:-1]:
            headers = {"Cookie": f"luna_session={value}"}
            assert await status_of(thief, "GET", WHO, headers=headers) == 401
        headers = {"Cookie": f"__Host-luna_session={good}"}
        assert await status_of(thief, "GET", WHO, headers=headers) == 401


async def test_tokens_that_are_made_up(home: House) -> None:
    made = await home.page.keyring.tokens.create("x", "admin")
    token, hashed = (
        made["token"],
        next(iter(home.page.keyring.tokens._store.table("tokens").values())),
    )
    wrong = ["", "luna_", token[:-1], token + "x", token.upper(), hashed["sha256"], "x" * 7000]
    async with home.client() as thief:
        for value in wrong:
            headers = {"Authorization": f"Bearer {value}"}
            assert await status_of(thief, "GET", WHO, headers=headers) == 401
        for scheme in ("Basic", "Token", ""):
            headers = {"Authorization": f"{scheme} {token}"}
            assert await status_of(thief, "GET", WHO, headers=headers) == 401


# --- bodies and paths ---


async def test_bodies(home: House, phone: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    assert await status_of(phone, "POST", CHANGE, data=b"x" * 1000) == 200
    assert await status_of(phone, "POST", CHANGE, data=b"x" * 1001) == 413
    assert await status_of(phone, "POST", CHANGE, data=chunks()) == 411
    packed = {"Content-Encoding": "gzip"}
    assert await status_of(phone, "POST", CHANGE, data=b"x", headers=packed) == 415
    async with home.client() as nobody:  # who may not, is not even read
        assert await status_of(nobody, "POST", CHANGE, data=b"x" * 5000) == 401


@pytest.mark.parametrize("path", ["login", "pair", "password", "tokens", "certificate"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"password": 5, "code": [], "name": {}}', "application/json"),
        (b'{"password": "x", "code": "1", "name": "n", "unknown": 1}', "application/json"),
        (b"password=x&code=1", "application/x-www-form-urlencoded"),
        (b"{}", "text/plain"),
        (b"[" * 4000, "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"code": "' + b"9" * 3000 + b'"}', "application/json"),
    ],
)
async def test_bodies_of_the_wrong_type(home: House, path: str, data: bytes, kind: str) -> None:
    async with home.local() as client:
        headers = {"Content-Type": kind}
        status = await status_of(client, "POST", API + path, data=data, headers=headers)
        assert status in (400, 403, 409, 413, 415, 422)
    assert not home.page.keyring.passwords.is_set


async def test_header_injection(home: House) -> None:
    async with home.client() as client:
        for path in ("/x%0d%0aSet-Cookie:%20a=b", "/health?x=%0d%0aSet-Cookie:%20a=b"):
            async with client.get(URL(home.url + path[1:], encoded=True)) as answer:
                assert "Set-Cookie" not in answer.headers
    code = home.page.pair()
    async with home.client() as client:
        body = {"code": code, "name": "a\r\nSet-Cookie: b=c\x00<script>"}
        async with client.post(API + "pair", json=body) as answer:
            assert len(answer.headers.getall("Set-Cookie")) == 1
            assert answer.content_type == "application/json"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=300))
def test_noise(data: bytes) -> None:
    """Whatever is sent, the parser of requests for log-in refuses it with one of its words."""
    from appliance.web.login import LogIn, NewToken, Pair

    for model in (LogIn, Pair, NewToken):
        try:
            found = model.model_validate_json(data)
        except ValueError:
            continue
        assert found is not None


async def test_strangers_are_slowed_down_and_friends_are_not(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with home.paired() as friend, home.client(LAN) as stranger:
        url = home.url.replace("127.0.0.1", LAN)
        seen = []
        for _ in range(int(security.STRANGER_BURST) + 60):
            async with stranger.get(url + "health") as answer:
                seen.append(answer.status)
        assert 429 in seen
        assert await status_of(friend, "GET", WHO) == 200


# --- time ---


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000\r\n\r\n{",
    ],
)
async def test_who_sends_slowly_is_hung_up_on(
    home: House, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    from appliance.web import connections

    monkeypatch.setattr(connections, "REQUEST_S", 1.0)
    monkeypatch.setattr(security, "BODY_S", 1.0)
    await home.page.keyring.set_password("correct horse")
    reader, writer = await asyncio.open_connection("127.0.0.1", home.port())

    async def trickle() -> None:
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.2)

    writer.write(sent)
    dripping = asyncio.create_task(trickle()) if sent else None
    async with asyncio.timeout(15):
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
    if dripping:
        dripping.cancel()
    writer.close()


async def test_a_thousand_idle_connections_do_not_lock_the_owner_out(home: House) -> None:
    home.page.pair()
    async with home.paired(LAN) as phone, home.paired() as here:
        writers: list[asyncio.StreamWriter] = []

        async def idle(n: int) -> None:
            source = f"127.0.{1 + n // 50}.{1 + n % 50}"
            try:
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", home.port(), local_addr=(source, 0)
                )
            except OSError:
                return
            writers.append(writer)
            writer.write(b"GET / HT")

        for begin in range(0, 1000, 50):
            await asyncio.gather(*(idle(n) for n in range(begin, begin + 50)))
        assert len(writers) == 1000
        counts = home.page.server.doors.count()
        assert counts["lan"] <= 384
        async with asyncio.timeout(10):
            assert await status_of(phone, "GET", WHO) == 200
            assert await status_of(here, "GET", WHO) == 200
            async with home.local() as local:
                assert await status_of(local, "GET", WHO) == 200
            # Somebody new gets in as well, from the network and from this machine.
            async with home.paired("127.0.0.9") as tablet, home.paired() as laptop:
                assert await status_of(tablet, "GET", WHO) == 200
                assert await status_of(laptop, "GET", WHO) == 200
        for writer in writers:
            writer.close()


async def test_one_address_has_a_share(home: House) -> None:
    home.page.pair()
    writers = []
    for _ in range(150):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", home.port(), local_addr=("127.0.0.3", 0)
        )
        writers.append(writer)
    await asyncio.sleep(0.2)
    assert home.page.server.doors.count()["lan"] <= 96
    for writer in writers:
        writer.close()
