"""A terminal that can do everything, whichever the tests run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.terminal import app
from tests.terminal.harness import FRAME_S


@pytest.fixture(autouse=True)
def _good_terminal(monkeypatch: pytest.MonkeyPatch, short_path: Path) -> None:
    monkeypatch.setattr(app, "FRAME_S", FRAME_S)
    for name in ("TMUX", "STY", "NO_COLOR", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    monkeypatch.setenv("TZ", "UTC")
