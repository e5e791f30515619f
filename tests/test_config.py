"""The configuration: every mistake at once, with its place and what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import config
from appliance.errors import ConfigError
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
