"""Copying, by each way that there is."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from appliance.errors import StorageError
from appliance.terminal import clipboard
from appliance.terminal.clipboard import MAX_SEQUENCE, keep, way_of
from tests.terminal.harness import terminal


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-256color"}, "terminal"),
        ({"TERM": "xterm-kitty"}, "terminal"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x,1,0"}, "tmux"),
        ({"TERM": "screen.xterm-256color", "STY": "1.x"}, "file"),
        ({"TERM": "linux"}, "file"),
        ({"TERM": "vt220"}, "file"),
        ({"TERM": "dumb"}, "file"),
        ({}, "file"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "file"),
    ],
)
def test_which_way(environment: dict[str, str], way: str) -> None:
    assert way_of("text", environment) == way


def test_too_long_for_the_sequence() -> None:
    environment = {"TERM": "xterm-256color"}
    assert way_of("x" * MAX_SEQUENCE, environment) == "terminal"
    assert way_of("x" * (MAX_SEQUENCE + 1), environment) == "file"


async def test_the_file_is_its_owners_alone() -> None:
    copied = await keep("first", "file")
    copied = await keep("sécret\n", "terminal")
    assert copied.file is not None
    assert copied.file.read_text(encoding="utf-8") == "sécret\n"
    assert stat.S_IMODE(copied.file.stat().st_mode) == 0o600


async def test_no_file_and_no_clipboard(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: str) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(clipboard, "_write", full)
    assert (await keep("x", "terminal")).file is None
    with pytest.raises(StorageError, match="No space left"):
        await keep("x", "file")


async def test_tmux_takes_it(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    socket = short_path / "tmux.sock"
    tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "sleep", "60"], check=True)
    try:
        monkeypatch.setenv("TMUX", f"{socket},1,0")
        assert (await keep("for tmux", "tmux")).way == "tmux"
        shown = subprocess.run([*tmux, "show-buffer"], capture_output=True, text=True, check=True)
        assert shown.stdout == "for tmux"
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)
    assert (await keep("alone", "tmux")).way == "file", "tmux is gone"
    monkeypatch.setenv("PATH", str(short_path))
    assert (await keep("alone", "tmux")).way == "file", "there is no tmux"


async def test_what_the_person_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with terminal(size=(120, 30)) as t:
        monkeypatch.setenv("TERM", "linux")
        await t.press(*"abc", "ctrl+a", "ctrl+c")
        screen = " ".join("".join(t.lines()).split())
        assert "This terminal has no clipboard" in screen
        assert (Path(os.environ["XDG_RUNTIME_DIR"]) / "luna/copied.txt").read_text() == "abc"
