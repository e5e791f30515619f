"""The configuration: every mistake at once, with its place and what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import config
from appliance.errors import ConfigError
from appliance.providers import policy
from appliance.settings import Settings


def mistakes(file: Path | None = None, **kwargs: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(file, environ=kwargs.pop("environ", {}), **kwargs)  # type: ignore[arg-type]
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "luna.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_defaults(toml) -> None:
    assert config.load(toml(""), environ={}) == Settings()


def test_file_environment_and_command_line_in_this_order(toml) -> None:
    path = toml('[audio]\nvolume = 10\nearcons = false\n[listen]\nwake_words = ["alexa"]\n')
    environ = {
        "LUNA_AUDIO__VOLUME": "20",
        "LUNA_LISTEN__WAKE_WORDS": "okay_nabu, hey_jarvis",
        "HOME": "/",
        "LUNA_MODELS_DIR": "/x",
    }
    found = config.load(path, environ=environ, overrides=["audio.volume=30"])
    assert found.audio.volume == 30
    assert found.audio.earcons is False
    assert found.listen.wake_words == ("okay_nabu", "hey_jarvis")


def test_voices_by_language(toml) -> None:
    assert config.load(toml('[tts.voices]\npt = "faber"\n'), environ={}).tts.voices == {
        "pt": "faber"
    }


def test_every_mistake_at_once(toml) -> None:
    path = toml(
        "[audio]\n"
        "volum = 5\n"
        "volume = 500\n"
        "[lisen]\n"
        "x = 1\n"
        "[llm]\n"
        'temperature = "hot"\n'
        'api_token = "s3cret"\n'
    )
    found = mistakes(path, environ={"LUNA_WEB__PORT": "99999"}, overrides=["nonsense"])
    text = "\n".join(found)
    assert len(found) == 7
    assert f"{path}:2: audio.volum: unknown key (did you mean volume?)" in found
    assert f"{path}:3: audio.volume" in text
    assert f"{path}:4: lisen: unknown section (did you mean listen?)" in found
    assert f"{path}:7: llm.temperature" in text
    assert "environment: web.port" in text
    assert "--set 'nonsense': write it as section.key=value" in found
    assert "s3cret" not in text


def test_secrets_are_masked(toml) -> None:
    assert config._SECRET.search("llm.api_key")
    assert "hunter2" not in "\n".join(mistakes(toml('[web]\npassword = "hunter2"\n')))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[audio\nvolume = 1", "not TOML"),
        (b"[audio]\nvolume = \xff\xfe", "not UTF-8"),
        (b"[audio]\nvolume = \x00", "not TOML"),
        (b"#" * 2_000_000, "larger than"),
    ],
)
def test_files_that_are_no_configuration(toml, content: bytes, words: str) -> None:
    found = mistakes(toml(content))
    assert len(found) == 1
    assert words in found[0]
    assert "luna.toml" in found[0]


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "No such file" in mistakes(tmp_path / "nothing.toml")[0]
    assert "directory" in mistakes(tmp_path)[0].lower()


# --- providers and routing ---------------------------------------------------------------------


def test_variables_with_names_of_their_own(toml) -> None:
    environ = {
        "LLM_PROVIDERS_ORDER": "groq, openai",
        "CHAT_PROVIDER": "groq",
        "STT_PROVIDER": " openai ",
        "CODE_PROVIDER": "",
        "LLM_GROQ_DAILY_LIMIT_TOKENS": "10000",
        "LLM_LLAMA_SERVER_DAILY_LIMIT_TOKENS": "5",
    }
    path = toml('[providers.groq]\nredact = true\n[routing]\norder = ["nvidia"]\n')
    found = config.load(path, environ=environ)
    assert found.routing.order == ("groq", "openai")
    assert found.routing.provider == {"chat": "groq", "stt": "openai"}
    assert found.providers["groq"].daily_limit_tokens == 10_000
    assert found.providers["groq"].redact is True
    assert found.providers["llama-server"].daily_limit_tokens == 5


def test_everything_wrong_with_providers_at_once(toml) -> None:
    path = toml(
        "[routing]\n"
        'order = ["groq", "grok"]\n'
        "[routing.policy]\n"
        'chatt = "cloud"\n'
        'code = "clod"\n'
        'vision = "cloud"\n'
        'chat = "local"\n'
        "[routing.provider]\n"
        'chat = "openai"\n'
        "[providers.groq]\n"
        "daily_limit_tokens = -1\n"
        "daily_limit_tokns = 5\n"
        "[providers.groq.models]\n"
        'sing = "la"\n'
        "[providers.mine]\n"
        "lan = true\n"
        "[providers.deepseek]\n"
        "enabled = true\n"
    )
    environ = {
        "LLM_OPENAI_DAILY_LIMIT_TOKENS": "10k",
        "VISION_PROVIDER": "deepseek",
        "GROQ_API_KEY": "two words",
        "DEEPSEEK_API_KEY": "s3cret",
    }
    found = mistakes(path, environ=environ, checks=[policy.mistakes])
    text = "\n".join(found)
    for place, words in (
        (f"{path}:4: routing.policy.chatt", "'chat', 'code'"),
        (f"{path}:5: routing.policy.code", "'cloud_first'"),
        (f"{path}:11: providers.groq.daily_limit_tokens", "greater than or equal to 0, not -1"),
        (f"{path}:12: providers.groq.daily_limit_tokns", "did you mean daily_limit_tokens?"),
        (f"{path}:13: providers.groq.models", "'chat', 'code'"),
        ("environment:LLM_OPENAI_DAILY_LIMIT_TOKENS: providers.openai.daily_limit_tokens", "10k"),
        (f"{path}:2: routing.order", "unknown provider 'grok' (did you mean groq?"),
        (f"{path}:9: routing.provider.chat", "openai may not answer"),
        ("environment:VISION_PROVIDER: routing.provider.vision", "no model for vision"),
        (f"{path}:15: providers.mine", "base_url"),
        (f"{path}:10: providers.groq", "GROQ_API_KEY is not a key"),
        ("providers.openai", "set OPENAI_API_KEY"),
    ):
        assert any(line.startswith(place) and words in line for line in found), (place, text)
    assert "two words" not in text
    assert "s3cret" not in text
    assert len(found) == 12, text


def test_a_configuration_that_fits_together(toml) -> None:
    path = toml('[routing.policy]\nchat = "cloud_first"\n[providers.groq]\n')
    environ = {"GROQ_API_KEY": "abc", "LLM_GROQ_DAILY_LIMIT_TOKENS": "10000"}
    found = config.load(path, environ=environ, checks=[policy.mistakes])
    assert list(policy.in_use(found)) == ["groq"]
    [groq] = policy.from_settings(found).others
    assert (groq.place, groq.metered) == ("cloud", True)
    config.load(toml(""), environ={}, checks=[policy.mistakes])


def test_a_limit_in_dollars_needs_prices(toml) -> None:
    limited = '[providers.mine]\nbase_url = "https://mine/v1"\ndaily_limit_usd = 0.5\n'
    limited += 'models = { chat = "large" }\n'
    environ = {"MINE_API_KEY": "abc"}
    [found] = mistakes(toml(limited), environ=environ, checks=[policy.mistakes])
    assert ":3: providers.mine.daily_limit_usd: the price of large (chat) is not known" in found
    priced = limited + "price_input = 1.0\nprice_output = 2.0\n"
    config.load(toml(priced), environ=environ, checks=[policy.mistakes])


def test_a_provider_that_speaks_needs_a_voice(toml) -> None:
    environ = {"TTS_PROVIDER": "elevenlabs", "ELEVENLABS_API_KEY": "abc"}
    [found] = mistakes(toml(""), environ=environ, checks=[policy.mistakes])
    assert "routing.provider.tts: elevenlabs has no voice" in found
    path = toml('[providers.elevenlabs.voices]\nen = "abc"\n')
    config.load(path, environ=environ, checks=[policy.mistakes])


def test_order_is_the_owners_and_the_house_comes_first(toml) -> None:
    path = toml("[providers.ollama]\n[providers.groq]\n[providers.openai]\nenabled = false\n")
    environ = {"LLM_PROVIDERS_ORDER": "gemini", "CODE_PROVIDER": "groq"}
    wishes = policy.from_settings(config.load(path, environ=environ))
    assert [c.name for c in wishes.order("chat")] == ["local", "ollama", "gemini", "groq"]
    assert [c.name for c in wishes.order("code")] == ["groq", "local", "ollama", "gemini"]
