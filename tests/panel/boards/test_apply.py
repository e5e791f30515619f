"""`luna board apply` writes a tree that a second run leaves untouched, and touches nothing else."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import config
from appliance.errors import PanelError, StorageError
from appliance.panel.boards import apply, blocks, profile
from appliance.panel.boards.apply import (
    ASOUND_CONF,
    BOARD_TOML,
    CONFIG_TXT,
    PREVIOUS,
    RULES,
    SYSUSERS,
)

USABLE = [name for name in profile.files() if not profile.find(name).unsupported]
CONFIG = """\
# For more options see http://rptl.io/configtxt
dtparam=audio=on
[cm4]
otg_mode=1
"""


@pytest.fixture(autouse=True)
def no_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "boot/firmware").mkdir(parents=True)
    (folder / CONFIG_TXT[0]).write_text(CONFIG)
    return folder


def tree(root: Path) -> dict[str, tuple[bytes, int, int]]:
    """Everything below *root*: contents, time of the last change, inode."""
    return {
        str(path.relative_to(root)): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
            path.stat().st_ino,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def run(name: str, root: Path) -> apply.Plan:
    plan = apply.plan(profile.find(name), root)
    apply.write(plan)
    return plan


@pytest.mark.parametrize("name", USABLE)
def test_a_second_run_leaves_the_tree_untouched(name: str, root: Path) -> None:
    run(name, root)
    before = tree(root)
    again = run(name, root)
    assert again.changes == ()
    assert not again.reboot
    assert tree(root) == before
    run("none", root)
    assert (root / CONFIG_TXT[0]).read_text() == CONFIG, "everything was taken back"
    left = [name for name in tree(root) if not name.endswith(PREVIOUS)]
    assert left == [CONFIG_TXT[0]]


def test_the_tree_of_the_codec_zero(root: Path) -> None:
    plan = run("codec-zero", root)
    assert plan.reboot
    assert plan.groups == ("gpio", "i2c")
    assert plan.warnings == ()
    text = (root / CONFIG_TXT[0]).read_text()
    assert text.startswith(CONFIG)
    assert "\n[all]\ndtoverlay=\ndtoverlay=rpi-codeczero\n" in text
    assert (root / (CONFIG_TXT[0] + PREVIOUS)).read_text() == CONFIG
    assert 'pcm "hw:CARD=Zero"' in (root / ASOUND_CONF).read_text()
    rules = (root / RULES).read_text()
    assert 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"' in rules
    assert "cset 'name=Onboard MIC Switch' 'on'\"" in rules
    assert (root / SYSUSERS).read_text().splitlines()[1:] == ["g gpio -", "g i2c -"]
    settings = config.load(root / BOARD_TOML, environ={}, checks=[profile.setting_mistakes])
    assert settings.panel.board == "codec-zero"


def test_one_board_takes_the_place_of_another(root: Path) -> None:
    run("codec-zero", root)
    run("respeaker-2mic-v1", root)
    text = (root / CONFIG_TXT[0]).read_text()
    assert "codeczero" not in text
    assert text.count("[all]") == 1
    assert "dtparam=spi=on\ndtoverlay=respeaker-2mic-v1_0\n" in text
    assert "Zero" not in (root / ASOUND_CONF).read_text() + (root / RULES).read_text()
    assert "codeczero" in (root / (CONFIG_TXT[0] + PREVIOUS)).read_text()


def test_serial_panel_needs_no_boot_configuration(tmp_path: Path) -> None:
    plan = run("serial-panel", tmp_path)
    assert not plan.reboot
    assert not (tmp_path / "boot").exists()
    assert 'ATTRS{idVendor}=="2e8a", ATTRS{idProduct}=="0005"' in (tmp_path / RULES).read_text()


def test_an_image_without_boot_configuration_gets_one(tmp_path: Path) -> None:
    run("pirate-audio", tmp_path)
    assert "gpio=25=op,dh\ndtoverlay=hifiberry-dac" in (tmp_path / CONFIG_TXT[0]).read_text()


def test_the_older_place_of_the_boot_configuration(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / CONFIG_TXT[1]).write_text(CONFIG)
    run("codec-zero", tmp_path)
    assert "rpi-codeczero" in (tmp_path / CONFIG_TXT[1]).read_text()
    assert not (tmp_path / CONFIG_TXT[0]).exists()


def test_the_difference_is_shown_first(root: Path) -> None:
    plan = apply.plan(profile.find("codec-zero"), root)
    diff = "".join(change.diff() for change in plan.changes)
    assert f"--- a/{CONFIG_TXT[0]}\n+++ b/{CONFIG_TXT[0]}\n" in diff
    assert "+dtoverlay=rpi-codeczero\n" in diff
    assert "--- /dev/null\n+++ b/etc/asound.conf\n" in diff
    assert list(tree(root)) == [CONFIG_TXT[0]], "planning writes nothing"


def test_per_cent_signs_are_not_udevs(root: Path) -> None:
    run("digiamp-plus", root)
    assert "cset 'name=Digital Playback Volume' '80%%'\"" in (root / RULES).read_text()


def test_warnings(root: Path) -> None:
    tree = root / "proc/device-tree"
    tree.mkdir(parents=True)
    (tree / "model").write_bytes(b"Radxa ROCK 5B\0")
    with (root / CONFIG_TXT[0]).open("a") as file:
        file.write("dtoverlay=hifiberry-dac\n#dtoverlay=wm8960-soundcard\n")
    warnings = run("respeaker-2mic-v2", root).warnings
    assert "this is a Radxa ROCK 5B" in warnings[0]
    assert "overlays/respeaker-2mic-v2_0.dtbo is missing; build it from https" in warnings[1]
    assert "line 5, loads another sound card (hifiberry-dac): remove it" in warnings[2]
    assert len(warnings) == 3
    overlays = root / "boot/firmware/overlays"
    overlays.mkdir()
    (overlays / "respeaker-2mic-v2_0.dtbo").touch()
    (tree / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (root / CONFIG_TXT[0]).write_text(CONFIG)
    assert run("respeaker-2mic-v2", root).warnings == ()
    assert "has no microphone" in run("digiamp-plus", root).warnings[0]


def test_the_owners_profile_comes_along(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "config/luna/boards"
    own.mkdir(parents=True)
    (own / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\ndescription = { en = "Mine." }\n'
        "[panel]\nbuttons = [{ line = 17 }]\n"
    )
    run("mine", root)
    assert (root / "etc/luna/boards/mine.toml").read_bytes() == (own / "mine.toml").read_bytes()
    assert run("mine", root).changes == ()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("respeaker-4mic", "is not supported: its AC108 converter has no driver"),
        ("aiy-voice-bonnet-v2", "is not supported: its sound card needs a driver"),
    ],
)
def test_unsupported_boards_say_why(name: str, sentence: str, root: Path) -> None:
    with pytest.raises(PanelError, match=sentence):
        apply.plan(profile.find(name), root)


def test_what_cannot_be_used_is_one_sentence(root: Path, tmp_path: Path) -> None:
    board = profile.find("codec-zero")
    with pytest.raises(PanelError, match="there is no folder"):
        apply.plan(board, tmp_path / "nowhere")
    (root / CONFIG_TXT[0]).write_text(f"{blocks.BEGIN}\ndtoverlay=x\n")
    with pytest.raises(PanelError, match="marks of `luna board` that do not belong together"):
        apply.plan(board, root)
    (root / CONFIG_TXT[0]).write_bytes(b"#" * (apply.MAX_BYTES + 1))
    with pytest.raises(PanelError, match="this is no configuration"):
        apply.plan(board, root)
    (root / CONFIG_TXT[0]).unlink()
    (root / CONFIG_TXT[0]).mkdir()
    with pytest.raises(PanelError, match=r"config.txt cannot be read: Is a directory"):
        apply.plan(board, root)


def test_no_link_leads_out_of_the_root(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.conf"
    outside.write_text("mine\n")
    (root / "etc").mkdir()
    (root / ASOUND_CONF).symlink_to(outside)
    with pytest.raises(PanelError, match="leads out of"):
        apply.plan(profile.find("codec-zero"), root)
    (root / ASOUND_CONF).unlink()
    (root / "etc/real.conf").write_text("# mine\n")
    (root / ASOUND_CONF).symlink_to("real.conf")
    run("codec-zero", root)
    assert (root / ASOUND_CONF).is_symlink()
    assert (root / "etc/real.conf").read_text().startswith("# mine\n\n# >>> luna board")


def test_a_file_keeps_its_mode(root: Path) -> None:
    (root / CONFIG_TXT[0]).chmod(0o600)
    run("codec-zero", root)
    assert (root / CONFIG_TXT[0]).stat().st_mode & 0o777 == 0o600
    assert (root / RULES).stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = apply.plan(profile.find("codec-zero"), root)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="cannot be written: No space left on device"):
        apply.write(plan)
    monkeypatch.undo()
    assert (root / CONFIG_TXT[0]).read_text() == CONFIG
    assert not [name for name in tree(root) if "/." in name], "no temporary file is left"


# --- the block in somebody else's file ---------------------------------------------------------

FOREIGN = st.binary(max_size=200).filter(lambda data: b"luna board" not in data)
LINES = st.lists(st.sampled_from(["[all]", "dtoverlay=x", "# x", ""]), min_size=1, max_size=4)


@given(FOREIGN, LINES)
def test_a_block_comes_and_goes_without_a_trace(data: bytes, lines: list[str]) -> None:
    content = "\n".join(["# first", *lines])
    once = blocks.with_block(data, content)
    assert once.startswith(data)
    assert blocks.with_block(once, content) == once
    assert blocks.with_block(blocks.with_block(once, "# other"), content) == once
    taken = blocks.with_block(once, "", keep_empty="[all]")
    assert taken == data or (taken in (data + b"\n", data + b"\r\n") and data[-1:] != b"\n")


def test_what_follows_the_block_keeps_its_meaning() -> None:
    text = f"[pi4]\na=1\n\n{blocks.BEGIN}\n[all]\ndtoverlay=x\n{blocks.END}\nb=2\n".encode()
    assert blocks.with_block(text, "", keep_empty="[all]") == b"[pi4]\na=1\n\n[all]\nb=2\n"
    assert (5, "dtoverlay=x") not in blocks.outside(text)
    assert (8, "b=2") in blocks.outside(text)


def test_line_ends_of_windows_are_kept() -> None:
    new = blocks.with_block(b"a=1\r\nb=2\r\n", "[all]\nc=3")
    assert new.count(b"\n") == new.count(b"\r\n") == 7
    assert blocks.with_block(new, "") == b"a=1\r\nb=2\r\n"


# --- read by those who will read it --------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in USABLE if profile.find(n).sound])
def test_alsa_reads_its_configuration(name: str, tmp_path: Path) -> None:
    run(name, tmp_path)
    card = profile.find(name).sound.card  # type: ignore[union-attr]
    alsa = ctypes.CDLL("libasound.so.2")
    top, source, found = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_char_p()
    assert alsa.snd_config_top(ctypes.byref(top)) == 0
    path = os.fsencode(tmp_path / ASOUND_CONF)
    assert alsa.snd_input_stdio_open(ctypes.byref(source), path, b"r") == 0
    try:
        assert alsa.snd_config_load(top, source) == 0
        node = ctypes.c_void_p()
        assert alsa.snd_config_search(top, b"ctl.default.card", ctypes.byref(node)) == 0
        assert alsa.snd_config_get_string(node, ctypes.byref(found)) == 0
        assert found.value == card.encode()
        slave = b"pcm.default.playback.pcm.slave.pcm.slave.pcm"
        assert alsa.snd_config_search(top, slave, ctypes.byref(node)) == 0
        assert alsa.snd_config_get_string(node, ctypes.byref(found)) == 0
        assert found.value == f"hw:CARD={card}".encode()
    finally:
        alsa.snd_input_close(source)
        alsa.snd_config_delete(top)
