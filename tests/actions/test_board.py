"""`luna board` as it is typed."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.cli import main


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def out(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["board", *words]) == 0
    return capsys.readouterr().out


def test_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "config/luna/boards"
    own.mkdir(parents=True)
    (own / "broken.toml").write_text("x = 1")
    text = out(capsys, "list")
    assert "codec-zero             Raspberry Pi Codec Zero\n" in text
    assert "(not supported: its AC108 converter" in text
    assert "broken.toml: name is missing" in text or "x is not a key" in text
    rows = {row["name"]: row for row in json.loads(out(capsys, "list", "--json"))}
    assert rows["codec-zero"]["state"] == "supported"
    assert rows["respeaker-4mic"]["state"] == "unsupported"
    assert rows["broken"]["state"] == "wrong"


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    text = out(capsys, "show", "codec-zero")
    assert "Zero (capture + playback; 48, 8, 16, 32, 44.1, 96 kHz)" in text
    assert "   27  button talk" in text
    assert "EEPROM: Raspberry Pi Codec Zero" in text
    assert "[ B ]" in out(capsys, "show", "plain")
    text = out(capsys, "show", "plain", "--set", "general.language=pt")
    assert "Um botão e dois LEDs" in text
    assert "Linhas\n" in text
    assert json.loads(out(capsys, "show", "plain", "--json"))["panel"]["buttons"][0]["line"] == 17


def test_apply_shows_writes_and_then_finds_everything_in_order(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    words = ("apply", "codec-zero", "--root", str(home))
    text = out(capsys, *words, "--dry-run")
    assert "+dtoverlay=rpi-codeczero" in text
    assert text.endswith("Nothing was written.\n")
    assert list(home.iterdir()) == []
    text = out(capsys, *words)
    assert "+++ b/boot/firmware/config.txt" in text
    assert "Restart the computer" in text
    assert "usermod" not in text, "not for a tree that is not running"
    assert out(capsys, *words) == "Everything is set up already; nothing was changed.\n"
    board = str(home / "etc/luna/conf.d/board.toml")
    assert main(["config", "check", "--config", board]) == 0
    capsys.readouterr()
    report = json.loads(out(capsys, "apply", "plain", "--root", str(home), "--json"))
    assert report["written"]
    assert report["reboot"], "the overlay of the board before goes"
    assert report["groups"] == ["gpio"]


def test_detect(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert "No known board" in out(capsys, "detect", "--root", str(home))
    hat = home / "proc/device-tree/hat"
    hat.mkdir(parents=True)
    (hat / "product").write_bytes(b"Raspberry Pi Codec Zero\0")
    text = out(capsys, "detect", "--root", str(home))
    assert text.endswith("Next: luna board apply codec-zero\n")
    (hat / "product").unlink()
    chip = home / "sys/bus/i2c/devices/1-001a"
    chip.mkdir(parents=True)
    (chip / "name").write_text("wm8960\n")
    text = out(capsys, "detect", "--root", str(home))
    assert "waveshare-wm8960, perhaps: wm8960 answers at I2C address 0x1a." in text
    assert text.endswith("look what is printed on the board.\n")
    found = json.loads(out(capsys, "detect", "--root", str(home), "--json"))["found"]
    assert {one["sure"] for one in found} == {False}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["show"], 2, "name the board: luna board show NAME"),
        (["list", "x"], 2, "`luna board list` takes no name"),
        (["wizard"], 2, "run it in a terminal"),
        (["show", "codec-zer"], 10, "did you mean codec-zero?"),
        (["apply", "respeaker-4mic"], 10, "is not supported: its AC108"),
        (["apply", "plain", "--root", "/nowhere"], 10, "there is no folder /nowhere"),
    ],
)
def test_mistakes(
    words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["board", *words]) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert len(error.splitlines()) == 1


def at_terminal(answers: str, *words: str) -> str:
    """Run the command at a real terminal (a pty), typing *answers*; return what it shows."""
    controller, terminal = pty.openpty()
    try:
        os.write(controller, answers.encode())
        process = subprocess.run(
            [sys.executable, "-m", "appliance.cli", "board", *words],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_the_wizard_writes_a_profile_that_apply_takes(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance.panel import gpio
    from appliance.panel.boards import wizard

    answers = iter(["desk", "codec-zero", "", "", "5", "g"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    monkeypatch.setattr(gpio, "hardware_pins", gpio.mock_pins)
    monkeypatch.setattr(wizard, "WAIT_S", 0.02)
    text = out(capsys, "wizard", "--root", str(home))
    assert "I noticed no button." in text
    assert f"Written to {home / 'etc/luna/boards/desk.toml'}" in text
    own = Path(os.environ["XDG_CONFIG_HOME"]) / "luna/boards"
    own.parent.mkdir(parents=True)
    own.symlink_to(home / "etc/luna/boards")
    report = json.loads(out(capsys, "apply", "desk", "--root", str(home), "--json"))
    assert "boot/firmware/config.txt" in report["changed"]
    assert "board.toml" in report["changed"][0]


def test_at_a_terminal_the_person_is_asked(home: Path) -> None:
    words = ("apply", "codec-zero", "--root", str(home))
    assert at_terminal("\n", *words).endswith("Nothing was written.\n")
    assert list(home.iterdir()) == []
    assert "5 files were written" in at_terminal("y\n", *words)
    chip = home / "sys/bus/i2c/devices/1-001a"
    chip.mkdir(parents=True)
    (chip / "name").write_text("wm8960\n")
    text = at_terminal("2\n", "detect", "--root", str(home))
    assert "2  Seeed ReSpeaker 2-Mics Pi HAT v1" in text
    assert text.endswith("Next: luna board apply respeaker-2mic-v1\n")
    assert "Next" not in at_terminal("\n", "detect", "--root", str(home))
