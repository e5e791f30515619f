"""Changing the configuration: checked as a whole, kept in one step, with its comments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance import config, config_edit, safe_settings
from appliance.config_edit import get_value, set_values
from appliance.errors import ConfigError
from appliance.settings import ProviderSettings, Settings


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The owner's folder, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "luna"


@pytest.fixture
def page(folder: Path) -> Path:
    """The file of changes."""
    return folder / config_edit.FILE


def test_values_are_kept_and_hold(folder: Path, page: Path) -> None:
    written = set_values({"listen.wake_threshold": 0.6, "listen.wake_words": ["alexa"]})
    assert written.path == page
    assert written.settings.listen.wake_threshold == 0.6
    assert config.load().listen.wake_words == ("alexa",)
    set_values({"routing.policy.chat": "local", "tts.voices.pt": "espeak-ng"})
    assert config.load().routing.policy == {"chat": "local"}
    assert get_value("listen.wake_threshold") == 0.6
    assert get_value("tts.voices.pt") == "espeak-ng"
    set_values({"listen.wake_threshold": None})
    assert get_value("listen.wake_threshold") is None
    assert not list(page.parent.glob(".*"))  # nothing unfinished is left


def test_comments_and_the_owners_files_stay(folder: Path, page: Path) -> None:
    page.parent.mkdir(parents=True)
    (folder / "luna.toml").write_text('[general]\nlanguage = "en"  # mine\n')
    page.write_text("# my note\n[general]\nlanguage = 'pt'  # why\n\n[audio]\nvolume_limit = 70\n")
    page.chmod(0o640)
    set_values({"general.language": "en", "audio.volume_step": 10})
    text = page.read_text()
    assert "# my note" in text
    assert "# why" in text
    assert page.stat().st_mode & 0o777 == 0o640
    assert (folder / "luna.toml").read_text() == '[general]\nlanguage = "en"  # mine\n'
    assert config.load().audio.volume_limit == 70


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"listen.wake_threshold": 7}, "listen.wake_threshold: .*less than or equal to 1"),
        ({"listen.wake_treshold": 0.5}, "did you mean wake_threshold"),
        ({"general.language": "fr"}, "general.language"),
        ({"nothing": 1}, "is no key"),
        ({"a.b\n[x]": 1}, "is no key"),
        ({"reminders.quiet_from": "22:00"}, "both ends"),
        ({"reminders.quiet_from": "25:00", "reminders.quiet_to": "07:00"}, "quiet_from"),
        ({"routing.order": ["nobody"]}, "unknown provider"),
        ({"general.language": "pt", "audio.volume_limit": 0}, "volume_limit"),
    ],
)
def test_what_cannot_be_used_changes_nothing(
    page: Path, values: dict[str, object], said: str
) -> None:
    set_values({"panel.brightness": 40})
    before = page.read_bytes()
    with pytest.raises(ConfigError, match=said) as caught:
        set_values(values)
    assert "\n" not in str(caught.value)
    assert page.read_bytes() == before


def test_quiet_hours_come_and_go_with_both_ends() -> None:
    both = {"reminders.quiet_from": "22:00", "reminders.quiet_to": "07:00"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", os.environ["XDG_CONFIG_HOME"] + "/quiet")
        assert set_values(both).settings.reminders.quiet_from == "22:00"
        with pytest.raises(ConfigError, match="both ends"):
            set_values({"reminders.quiet_to": None})
        assert set_values(dict.fromkeys(both)).settings.reminders.quiet_to == ""


def test_a_mistake_elsewhere_is_named_with_its_place(folder: Path, page: Path) -> None:
    folder.mkdir()
    (folder / "luna.toml").write_text("[audio]\nvolume = 900\n")
    with pytest.raises(ConfigError, match=r"luna\.toml:2: audio\.volume"):
        set_values({"general.language": "pt"})
    assert not page.exists()


def test_what_is_set_elsewhere_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_GENERAL__LANGUAGE", "en")
    with pytest.raises(ConfigError, match="is set elsewhere"):
        set_values({"general.language": "pt"})


@pytest.mark.parametrize("text", ["not toml [", "general = 1\n", "\xff"])
def test_a_file_that_somebody_broke(page: Path, text: str) -> None:
    page.parent.mkdir(parents=True)
    page.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"90-page\.toml"):
        set_values({"general.language": "pt"})
    assert page.read_bytes() == text.encode("latin-1")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(page: Path) -> None:
    page.parent.mkdir(parents=True)
    page.parent.chmod(0o500)
    with pytest.raises(config_edit.NotWritableError, match="cannot be written"):
        set_values({"general.language": "pt"})


def test_a_file_in_the_place_of_the_folder(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(config_edit.NotWritableError, match="cannot be written"):
        set_values({"general.language": "pt"})


@pytest.mark.parametrize("key", ["nothing", "general.nothing", "general", "x.y", "audio.volume.x"])
def test_keys_that_do_not_exist(folder: Path, key: str) -> None:
    with pytest.raises(ConfigError, match="key"):
        get_value(key)


def test_every_safe_setting_can_be_set_to_its_default(folder: Path) -> None:
    settings = Settings(providers={"groq": ProviderSettings()})
    table = safe_settings.table(settings, {"en": ["a"], "pt": ["b"]})
    assert {"general.language", "listen.wake_words", "providers.groq.daily_limit_tokens"} <= {
        *table
    }
    for key, setting in table.items():
        shown = safe_settings.row(setting, settings, settings)
        setting.check(shown["value"])
        assert not shown["pending"]
        if shown["value"] is not None and not key.startswith("providers."):
            set_values({key: shown["value"]}) if not key.startswith("reminders.quiet") else None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("listen.wake_words", ["hal"]),
        ("listen.wake_words", "alexa"),
        ("listen.smart_turn", 1),
        ("audio.volume_limit", True),
        ("audio.volume_limit", 50.5),
        ("audio.volume_limit", "50"),
        ("tts.voices.en", "other"),
        ("general.language", None),
        ("thresholds.stt_s", [1.0]),
    ],
)
def test_values_of_the_wrong_kind(key: str, value: object) -> None:
    table = safe_settings.table(Settings(), {"en": ["a"], "pt": ["b"]})
    with pytest.raises(ConfigError, match=key):
        table[key].check(value)
