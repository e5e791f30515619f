"""`luna web`, without the service and with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import cli
from tests.web.house import House, house

Luna = Callable[..., tuple[int, str]]


@pytest.fixture
def luna(
    short_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Luna:
    """Run a command on a data folder of its own; return exit code and output."""
    monkeypatch.setenv("DATA_DIR", str(short_path / "data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path / "run"))
    monkeypatch.setenv("LUNA_OWN_SERVICE", "1")
    (short_path / "data").mkdir()

    def run(*words: str, stdin: str = "") -> tuple[int, str]:
        if stdin:
            source = short_path / "stdin"
            source.write_text(stdin)
            monkeypatch.setattr("sys.stdin", source.open())
        code = cli.main(["web", *words])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_without_the_service(luna: Luna, short_path: Path) -> None:
    assert json.loads(luna("--json")[1])["password"] is False
    assert luna("pair") == (6, "luna: Luna is not running; start it with `luna run`\n")
    assert luna("password", stdin="short\n")[0] == 2
    assert luna("password", stdin="password123\n")[0] == 2
    assert luna("password", "on-the-command-line")[0] == 2
    assert luna("password", stdin="a moon of cheese\n")[0] == 0
    assert json.loads(luna("--json")[1])["password"] is True

    code, made = luna("tokens", "create", "home", "--scope", "talk", "--json")
    assert code == 0
    token = json.loads(made)
    assert token["token"].startswith("luna_")
    assert luna("tokens") == (0, f"{token['id']}  talk   home\n")
    assert luna("tokens", "revoke", token["id"])[0] == 0
    assert luna("tokens", "revoke", token["id"])[0] == 1
    assert luna("tokens", "revoke", "../x")[0] == 2
    assert luna("tokens") == (0, "There are no tokens.\n")
    assert luna("sessions") == (0, "Nobody is logged in.\n")
    assert luna("sessions", "revoke", "all") == (0, "0 sessions have ended.\n")
    assert luna("sessions", "nonsense")[0] == 2


def test_certificates(luna: Luna, short_path: Path) -> None:
    assert luna("cert") == (0, "There is no certificate.\n")
    code, made = luna("cert", "make", "--json")
    assert code == 0
    about = json.loads(made)
    assert about["self_signed"]
    assert len(about["fingerprint"]) == 95
    assert json.loads(luna("cert", "show", "--json")[1]) == about

    pem = (short_path / "data/secrets/web.pem").read_text()
    key, certificate = pem.split("-----BEGIN CERTIFICATE")
    (short_path / "key.pem").write_text(key)
    (short_path / "cert.pem").write_text("-----BEGIN CERTIFICATE" + certificate)
    files = str(short_path / "cert.pem"), str(short_path / "key.pem")
    assert luna("cert", "make")[0] == 0
    assert json.loads(luna("cert", "--json")[1]) != about
    assert luna("cert", "use", *files)[0] == 0
    assert json.loads(luna("cert", "--json")[1]) == about
    # What does not fit together is refused, and the former one stays.
    assert luna("cert", "use", files[0], files[0])[0] == 2
    assert luna("cert", "use", str(short_path / "none"), files[1])[0] == 2
    assert json.loads(luna("cert", "--json")[1]) == about


async def test_with_the_service(
    luna: Luna, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(short_path) as built:
        monkeypatch.setattr("appliance.paths.api_socket", lambda: built.socket)

        async def run(*words: str, stdin: str = "") -> tuple[int, str]:
            return await asyncio.to_thread(luna, *words, stdin=stdin)

        await _use(run, built)


async def _use(run: Callable[..., object], built: House) -> None:
    async def luna(*words: str, stdin: str = "") -> str:
        code, text = await run(*words, stdin=stdin)  # type: ignore[misc]
        assert code == 0, text
        return str(text)

    shown = json.loads(await luna("pair", "--json"))
    assert built.page.keyring.pairing.redeem(shown["code"])
    assert all(url.endswith(f":{built.port()}/") for url in shown["addresses"])
    await luna("password", stdin="a moon of cheese\n")
    assert built.page.keyring.passwords.is_set
    token = json.loads(await luna("tokens", "create", "x", "--json"))
    assert built.page.keyring.token(token["token"])
    await luna("tokens", "revoke", token["id"])
    assert not built.page.keyring.token(token["token"])
    await built.page.keyring.begin_session("phone")
    assert "phone" in await luna("sessions")
    assert await luna("sessions", "revoke", "all") == "1 sessions have ended.\n"
    await luna("cert", "make")
    assert built.page.server.https_port
    status = json.loads(await luna("status", "--json"))
    assert status["lan"]
    assert all(url.startswith("https://") for url in status["lan_urls"])
