"""The table of providers, the owner's changes to it, and keys."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from appliance import config
from appliance.errors import ConfigError
from appliance.providers.keys import Secret, find_key
from appliance.providers.known import DEFAULT_DAILY_LIMIT_TOKENS, KNOWN, resolve
from appliance.providers.quota_day import Limits
from appliance.settings import ProviderSettings

KEY = "gsk_0123456789abcdefghij"


@pytest.mark.parametrize("name", KNOWN)
def test_each_known_provider_is_whole(name: str) -> None:
    provider = resolve(name, ProviderSettings())
    assert re.fullmatch(r"https?://[^ ]+[^/]", provider.base_url)
    assert provider.lan or provider.base_url.startswith("https://")
    assert re.fullmatch(r"[A-Z_]+_API_KEY", provider.key_name)
    for role, model in provider.models.items():
        if not provider.lan and role in ("chat", "code", "vision"):
            assert model in provider.details, f"{name}: {model}"
    limit = provider.limits.tokens
    assert limit == (None if provider.lan else DEFAULT_DAILY_LIMIT_TOKENS)


def test_the_owner_overrides_what_is_known() -> None:
    provider = resolve(
        "groq",
        ProviderSettings(
            models={"chat": "new/model"},
            price_input=1.0,
            price_output=2.0,
            price_cached=0.5,
            context_tokens=1000,
            first_token_timeout_s=1.5,
            supports=("stream",),
            daily_limit_tokens=10_000,
            daily_limit_requests=50,
            daily_limit_usd=0.5,
            redact=True,
        ),
    )
    assert provider.model("chat") == "new/model"
    assert provider.model("code") == KNOWN["groq"].model("code")
    assert provider.model("vision") == ""  # it can no longer look
    assert provider.about("new/model").context_tokens == 1000
    assert provider.timeouts.first_token_s == 1.5
    assert provider.timeouts.connect_s == KNOWN["groq"].timeouts.connect_s
    assert provider.limits == Limits(tokens=10_000, requests=50, cost=0.5)
    assert provider.redact
    cost = provider.price("new/model").micros(1_000_000, 500_000, 400_000)
    assert cost == 600_000 + 200_000 + 1_000_000


def test_cached_tokens_without_a_price_of_their_own_cost_as_others() -> None:
    provider = resolve("openrouter", ProviderSettings())
    price = provider.price(provider.model("chat"))
    assert price.micros(1_000_000, 0, 1_000_000) == 280_000


def test_a_server_in_the_house() -> None:
    settings = ProviderSettings(base_url="http://10.0.0.7:8080/v1/", lan=True, models={"chat": "x"})
    provider = resolve("attic-box", settings)
    assert provider.base_url == "http://10.0.0.7:8080/v1"
    assert provider.key_name == "ATTIC_BOX_API_KEY"
    assert not provider.limits
    assert provider.price("x").micros(10**6, 10**6) == 0


@pytest.mark.parametrize(
    ("name", "url", "words"),
    [
        ("attic", "", "not a known provider"),
        ("attic", "ftp://host/v1", "https://"),
        ("attic", "https://", "https://"),
        ("attic", "http://example.com/v1", "lan = true"),
        ("groq", "http://api.groq.com/v1", "lan = true"),
        ("attic", "https://me:secret@host/v1", "password"),
        ("attic", "https://host/v1?key=secret", "query"),
        ("attic", "https://[::1", "not an address"),
    ],
)
def test_addresses_that_cannot_be_used(name: str, url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        resolve(name, ProviderSettings(base_url=url))
    assert "secret" not in str(caught.value)


def test_loopback_needs_no_tls() -> None:
    for host in ("127.0.0.1", "[::1]", "localhost"):
        resolve("attic", ProviderSettings(base_url=f"http://{host}:8080/v1"))


# --- from a file -------------------------------------------------------------------------


def test_providers_are_read_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "luna.toml"
    file.write_text(
        '[providers.groq]\nmodels = { chat = "x" }\ndaily_limit_tokens = 10000\n'
        '[providers.attic]\nbase_url = "http://10.0.0.7/v1"\nlan = true\n'
    )
    settings = config.load(file, environ={})
    assert list(settings.providers) == ["groq", "attic"]
    assert settings.providers["groq"].daily_limit_tokens == 10_000
    assert settings.providers["attic"].lan


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("daily_limit_tokens = -1", "groq.daily_limit_tokens"),
        ('models = { poetry = "x" }', "groq.models"),
        ('suports = ["tools"]', "supports"),
        ("connect_timeout_s = 0", "groq.connect_timeout_s"),
        (f'api_key = "{KEY}"', "GROQ_API_KEY"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "luna.toml"
    file.write_text(f"[providers.groq]\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(file, environ={})
    assert words in str(caught.value)
    assert f"{file}:2" in str(caught.value)
    assert KEY not in str(caught.value)


# --- keys --------------------------------------------------------------------------------


def test_a_key_from_the_environment() -> None:
    key = find_key("GROQ_API_KEY", {"GROQ_API_KEY": f" {KEY}\n"})
    assert key is not None
    assert key.reveal() == KEY


@pytest.mark.parametrize("file", ["GROQ_API_KEY", "groq_api_key", "key_GROQ_API_KEY"])
def test_a_credential_of_systemd_comes_first(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text(f"{KEY}\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "GROQ_API_KEY": "other"}
    key = find_key("GROQ_API_KEY", environ)
    assert key is not None
    assert key.reveal() == KEY


def test_no_key_is_none(tmp_path: Path) -> None:
    assert find_key("GROQ_API_KEY", {}) is None
    assert find_key("GROQ_API_KEY", {"GROQ_API_KEY": " "}) is None
    assert find_key("GROQ_API_KEY", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


@pytest.mark.parametrize("text", ["two words", "línea", "a\r\nHost: b", "x" * 5000])
def test_what_cannot_be_a_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_key("GROQ_API_KEY", {"GROQ_API_KEY": text})
    assert text not in str(caught.value)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(KEY)
    assert KEY not in f"{secret} {secret!r} {[secret]} {secret.masked()}"
    assert secret.masked() == "***ghij"
    assert Secret("short").masked() == "***"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
