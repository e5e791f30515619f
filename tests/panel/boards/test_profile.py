"""Every profile that Luna brings works, and every one that cannot gets one clear sentence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from appliance import config
from appliance.errors import ConfigError, PanelError
from appliance.panel.boards import lint, profile
from appliance.panel.boards.profile import Profile

LUNAS = sorted((profile.data_folder() / "boards").glob("*.toml"))
TABLE = {
    "adafruit-voice-bonnet",
    "aiy-voice-bonnet-v2",
    "aiy-voice-hat-v1",
    "codec-zero",
    "digiamp-plus",
    "none",
    "orange-pi-h616",
    "pirate-audio",
    "plain",
    "respeaker-2mic-v1",
    "respeaker-2mic-v2",
    "respeaker-4mic",
    "rock-rk3588",
    "serial-panel",
    "waveshare-wm8960",
}
GOOD = """
name = "mine"
title = "My board"
description = { en = "Mine." }

[boot]
parameters = ["i2c_arm=on", "spi=on"]
overlays = [{ name = "wm8960-soundcard" }]

[sound]
card = "wm8960soundcard"
controls = [{ name = "Speaker Playback Volume", value = "110" }]

[panel]
buttons = [{ line = 17 }]
leds = [{ line = 23 }, { line = 24 }]
"""


@pytest.fixture(autouse=True)
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The owner's folder of profiles, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config/luna/boards"
    folder.mkdir(parents=True)
    return folder


def test_there_is_a_profile_for_every_board() -> None:
    assert set(profile.files()) == TABLE


@pytest.mark.parametrize("file", LUNAS, ids=lambda file: file.stem)
def test_profile_is_complete(file: Path) -> None:
    board = profile.load(file)
    assert set(board.description) == {"en", "pt"}
    assert board.describe("pt") != board.describe("en")
    assert board.describe("xx") == board.describe("en")
    if board.unsupported:
        assert not board.panel.all_lines()
    elif board.computer == "raspberry-pi":
        assert board.links
        assert board.sound or board.name == "plain"
    if board.sound and board.sound.controls:
        assert board.not_verified or board.sound.card == "DigiAMP", "mixer values were not heard"


def test_plain_wiring_is_drawn() -> None:
    board = profile.find("plain")
    for line in board.panel.lines():
        assert f"GPIO{line}" in board.drawing
    assert max(map(len, board.drawing.splitlines())) <= 100


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("this is no TOML", "is not TOML"),
        ("[" * 5000, "is not TOML"),
        ("", "name is missing"),
        (changed('name = "mine"', 'name = "yours"'), "its name is 'yours', but its file is called"),
        (changed('name = "mine"', 'name = "My Board"'), "name: should have no characters but"),
        (changed('title = "My board"', 'titel = "My board"'), "title is missing"),
        (GOOD + "colour = 1\n", "panel.colour is not a key of a board profile"),
        (changed('{ en = "Mine." }', '{ pt = "Minha." }'), "no English text"),
        (changed('{ en = "Mine." }', '{ xx = "Mine." }'), "description.xx: input should be 'en'"),
        (changed("line = 17", 'line = "x"'), "panel.buttons.0.line: input should be a valid int"),
        (changed("line = 17", "line = 23"), "line 23 is used twice, for button talk and for led 1"),
        (changed("line = 17", "line = 19"), "button talk is on line 19, which belongs to the I2S"),
        (changed("line = 17", "line = 3"), "button talk is on line 3, which belongs to the I2C"),
        (changed("line = 17", "line = 11"), "button talk is on line 11, which belongs to the SPI"),
        (changed("line = 17", "line = 0"), "which belongs to the board's EEPROM"),
        (changed("line = 17", "line = 40"), "button talk is on line 40, but the header has"),
        (changed("line = 17", "line = -1"), "button talk is on line -1, but the header has"),
        (changed("line = 17", 'line = 17, role = "sing"'), "panel.buttons.0.role: input should be"),
        (changed("[sound]", 'gpio = ["17=op,dh"]\n[sound]'), "which the boot section sets already"),
        (changed("[sound]", 'gpio = ["16-25=ip"]\n[sound]'), "which the boot section sets already"),
        (changed("[sound]", 'gpio = ["25"]\n[sound]'), "boot.gpio.0: should have no characters"),
        (
            changed("wm8960-soundcard", "wm8960-sondcard"),
            "the overlay wm8960-sondcard is not known",
        ),
        (
            changed('"wm8960-soundcard" }', '"wm8960-soundcard" }, { name = "hifiberry-dac" }'),
            "it loads two sound cards, wm8960-soundcard and hifiberry-dac",
        ),
        (
            changed('"wm8960-soundcard"', '"wm8960-soundcard\\ninclude evil.txt"'),
            "boot.overlays.0.name: should have no characters",
        ),
        (changed('"spi=on"', '"spi=on\\nkernel=evil"'), "boot.parameters.1: should have no char"),
        (changed('value = "110"', "value = '1\" , RUN+=\"x'"), "sound.controls.0.value: should"),
        (changed('"wm8960soundcard"', '"a card"'), "sound.card: should have no characters"),
        (changed('title = "My board"', 'title = "My\\nboard"'), "title: should have no characters"),
        (
            changed(
                'value = "110" }',
                'value = "1" }, { name = "Speaker Playback Volume", value = "2" }',
            ),
            "the control Speaker Playback Volume is set twice",
        ),
        (changed("[sound]", "[sound]\ncapture = false\nplayback = false"), "neither records nor"),
        (changed("[sound]", "[sound]\nrates = []"), "sound.rates is empty"),
        (changed("[sound]", "[sound]\nrates = [1]"), "sound.rates.0: input should be greater"),
        (GOOD + "strip = { count = 3, data = 10, clock = 12, spi = [0, 0] }\n", "whose data is"),
        (GOOD + "strip = { count = 0, data = 5, clock = 6 }\n", "the strip has 0 LEDs"),
        (
            changed(', "spi=on"', "")
            + "strip = { count = 3, data = 10, clock = 11, spi = [0, 0] }",
            "the strip is on SPI, but boot.parameters has no spi=on",
        ),
        (
            changed("description", 'computer = "other"\ndescription'),
            "only a Raspberry Pi has a boot",
        ),
        (
            'name = "mine"\ntitle = "x"\ndescription = { en = "x" }\ncomputer = "any"\n'
            "[panel]\nleds = [{ line = 3 }]",
            "a panel on lines needs a computer with a header",
        ),
        (
            changed("[panel]", '[lines]\n17 = "a lamp"\n[panel]'),
            "line 17 is used twice, for a lamp",
        ),
        (changed("[panel]", '[lines]\n20 = "a lamp"\n[panel]'), "which is no free line"),
        (changed("[panel]", '[lines]\nx = "a lamp"\n[panel]'), "lines.x: input should be a valid"),
        (GOOD + "#" * profile.MAX_BYTES, "is larger than"),
    ],
)
def test_bad_profile_gets_one_clear_sentence(text: str, sentence: str, owner: Path) -> None:
    file = owner / "mine.toml"
    file.write_text(text)
    with pytest.raises(PanelError) as caught:
        profile.load(file)
    message = str(caught.value)
    assert sentence in message
    assert str(file) in message
    assert len(message.splitlines()) == 1
    assert len(message) < 300 + len(str(file))


def test_all_mistakes_are_counted(owner: Path) -> None:
    file = owner / "mine.toml"
    file.write_text(changed("line = 17", "line = 19").replace("line = 23", "line = 20"))
    with pytest.raises(PanelError, match=re.escape("(and 1 more)")):
        profile.load(file)


def test_the_owners_profile_takes_the_place_of_lunas(owner: Path) -> None:
    (owner / "plain.toml").write_text(GOOD.replace('"mine"', '"plain"'))
    (owner / ".mine.toml").write_text("an editor's")
    assert profile.find("plain").title == "My board"
    assert set(profile.files()) == TABLE


def test_an_unknown_profile_is_named_with_the_nearest() -> None:
    with pytest.raises(PanelError, match="no board profile 'codec_zero'; did you mean codec-zero"):
        profile.find("codec_zero")
    with pytest.raises(PanelError, match="see `luna board list`"):
        profile.find("../../etc/passwd")


def test_configuration_check_names_a_wrong_board(tmp_path: Path) -> None:
    file = tmp_path / "luna.toml"
    file.write_text('[panel]\nboard = "codec-zer"\n')
    checks = [profile.setting_mistakes]
    with pytest.raises(ConfigError, match=r"luna.toml:2: panel.board: there is no board profile"):
        config.load(file, environ={}, checks=checks)
    file.write_text('[panel]\nboard = "codec-zero"\n')
    assert config.load(file, environ={}, checks=checks).panel.board == "codec-zero"


def test_free_lines_are_those_that_nothing_uses() -> None:
    free = lint.free_lines(profile.find("respeaker-2mic-v1"))
    assert free == [4, 5, 6, 14, 15, 16, 22, 23, 24, 25, 26, 27]


def test_the_wheel_takes_the_profiles_along() -> None:
    root = Path(__file__).parents[3]
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["firmware_config"] == "appliance/firmware_config"
    assert profile.data_folder() == root / "firmware_config"


def test_a_profile_is_immutable() -> None:
    assert isinstance(profile.find("none"), Profile)
    with pytest.raises(AttributeError):
        profile.find("none").name = "x"  # type: ignore[misc]


def test_the_page_names_every_board_and_its_example_works() -> None:
    page = (Path(__file__).parents[3] / "docs/boards.md").read_text()
    for name in TABLE:
        assert f"| `{name}` |" in page
    example = page.split("```toml\n")[1].split("```")[0]
    board = profile.parse(tomllib.loads(example), "docs/boards.md")
    assert lint.mistakes(board, "desk") == []
    commented = example.replace("# amplifier", "amplifier").replace('22 = "amplifier mute"', "")
    for part in ("encoder", "rgb", "mute_switch"):
        commented = commented.replace(f"# {part} =", f"{part} =")
    board = profile.parse(tomllib.loads(commented), "docs/boards.md")
    assert board.panel.encoder
    assert board.panel.rgb
    assert board.panel.amplifier
    assert board.panel.mute_switch
