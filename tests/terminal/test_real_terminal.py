"""The real application in a real terminal (tmux), with the real small model behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service import service

pytestmark = [pytest.mark.slow, pytest.mark.models]

LIMIT_S = 60.0
MODEL = ("--set", "llm.chat_model=smollm2-135m-instruct-q4_1")


class Tmux:
    """A terminal of 80x24 in a tmux server of its own."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._socket = folder / "tmux.sock"
        self._env = {**env, "TERM": "xterm-256color"}
        for name in ("TMUX", "NO_COLOR"):
            self._env.pop(name, None)

    def run(self, *words: str) -> str:
        """Give tmux a command; return what it says."""
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *command: str) -> None:
        """Run a command in a new window."""
        self.run("new-session", "-d", "-x", "80", "-y", "24", *command)

    def keys(self, *keys: str) -> None:
        """Press keys, in tmux's names."""
        self.run("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self.run("send-keys", "-l", text)

    def screen(self) -> str:
        """Return the screen as text."""
        return self.run("capture-pane", "-p")

    def until(self, wanted: Callable[[str], bool], limit_s: float = LIMIT_S) -> str:
        """Wait until the screen is as *wanted*; return it."""
        deadline = time.monotonic() + limit_s
        while not wanted(screen := self.screen()):
            assert time.monotonic() < deadline, screen
            time.sleep(0.1)
        return screen

    def leave(self) -> None:
        """Press Escape, and wait until what is open has closed: any key right behind it would
        be an Alt key."""
        self.keys("Escape")
        self.until(lambda screen: "╭" not in "".join(screen.split("\n")[1:3]))

    def until_gone(self) -> None:
        """Wait until the command has ended, and the server with it."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            listed = subprocess.run(
                ["tmux", "-S", str(self._socket), "list-sessions"], capture_output=True, check=False
            )
            if listed.returncode:
                return
            assert time.monotonic() < deadline, self.screen()
            time.sleep(0.1)

    def close(self) -> None:
        """End the server and what runs in it."""
        subprocess.run(
            ["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False
        )


@pytest.fixture
def tmux_env(short_path: Path) -> dict[str, str]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    return {
        **os.environ,
        "XDG_RUNTIME_DIR": str(short_path),
        "LUNA_OWN_SERVICE": "1",
        "COLORTERM": "truecolor",
    }


@pytest.fixture
def tmux(short_path: Path, tmux_env: dict[str, str]) -> Iterator[Tmux]:
    found = Tmux(short_path, tmux_env)
    try:
        yield found
    finally:
        found.close()


def answered(times: int) -> Callable[[str], bool]:
    """Return a check: so many answers of the model stand in full on the screen."""
    return lambda screen: screen.count("Luna  local") >= times and "Ready" in screen.split("\n")[0]


def test_chat_restart_and_go_on(short_path: Path, tmux: Tmux) -> None:
    tmux.start(sys.executable, "-m", "appliance.cli", "terminal", "--language", "en")
    tmux.until(lambda screen: "Waiting for Luna" in screen)
    tmux.type("How are you")
    with service(short_path, *MODEL) as luna:
        luna.until_ready("llm")
        tmux.until(lambda screen: "Waiting" not in screen)
        assert "How are you" in tmux.screen(), "what was typed before Luna was there stays"
        tmux.type(" today?")
        tmux.keys("Enter")
        first = tmux.until(answered(1))
        assert "You\n How are you today?" in first.replace("\n\n", "\n")
        tmux.type("a draft")
    lost = tmux.until(lambda screen: "Lost contact" in screen)
    assert "a draft" in lost
    assert "Waiting for Luna" in lost
    with service(short_path, *MODEL) as luna:
        luna.until_ready("llm")
        tmux.until(lambda screen: "Luna is back." in screen)
        tmux.keys("C-a", "BSpace")
        tmux.type("Say hello to me")
        tmux.keys("C-j")
        tmux.type("in one word.")
        tmux.keys("Enter")
        again = tmux.until(
            lambda screen: (
                "Ready" in screen.split("\n")[0]
                and "Luna  local" in screen.partition("in one word.")[2]
            )
        )
        assert "You\n Say hello to me\n in one word.\n" in again

        tmux.keys("F2")
        tmux.until(lambda screen: "Conversations" in screen and "How are you today?" in screen)
        tmux.leave()
        tmux.type("/alma")
        tmux.keys("Enter")
        tmux.until(lambda screen: "Persona" in screen.split("\n")[2])
        tmux.leave()
        tmux.keys("C-r")
        tmux.until(lambda screen: "There are no reminders." in screen)
        tmux.type("remind me to call Ana tomorrow at nine")
        tmux.keys("Enter")
        tmux.until(lambda screen: "at nine in the morning" in screen)
        tmux.leave()
        tmux.keys("C-a", "C-c")
        tmux.until(lambda screen: "Lines copied" in screen)
        assert "Say hello to me\nin one word." in tmux.run("show-buffer")
        tmux.keys("C-q")
        tmux.until_gone()


def test_not_a_terminal(tmux_env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "terminal"],
        env=tmux_env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "ssh -t" in done.stderr
