"""`luna status` on one screen."""

from __future__ import annotations

from typing import Any

from appliance.status_text import describe


def report(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "version": "1",
        "state": "muted",
        "uptime_s": 3700,
        "pid": 4,
        "workers": {
            "listen": {"status": "ready", "restarts": 2, "detail": "x" * 90, "stats": {}},
        },
        "microphone": {"status": "muted", "device": "USB"},
        "speaker": {},
        "volume": 45,
        "mute_switch": False,
        "rings": {"capture": {"blocks_written": 7}},
    }
    return found | changes


def test_one_screen() -> None:
    shown = describe(report())
    assert max(map(len, shown.splitlines())) <= 80
    assert "running for 1 h 1 min" in shown
    assert "2 restarts" in shown
    assert "45 %" in shown
    assert "switch" not in shown


def test_the_mute_switch_is_named() -> None:
    assert "mute switch on the box is on" in describe(report(mute_switch=True))
    assert "chave de mudo" in describe(report(mute_switch=True), "pt")
