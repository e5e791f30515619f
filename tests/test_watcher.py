"""The watcher: what it tells, when, and that it says nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from appliance import engines, thresholds, vitals, watcher
from appliance.app import App, Plan
from appliance.events import (
    CaptureDropped,
    ClockChanged,
    Event,
    FindingChanged,
    MicrophoneChanged,
    NetworkChanged,
    TurnEnded,
    Vitals,
)
from appliance.first_boot.report import Report
from appliance.missing_models import Missing
from appliance.settings import Settings, ThresholdSettings
from appliance.watcher import LOG_S, TELL_S, TURNS_S, Recent, Totals, Watcher


@dataclass
class Health:
    status: str = "ready"
    pid: int = 0
    restarts: int = 0
    stats: dict[str, float] = field(default_factory=dict)


LAX = replace(
    ThresholdSettings(),
    cpu_wait_percent=(100, 100),
    memory_free_percent=(0, 0),
    disk_free_mb=(0, 0),
    temperature_c=(500, 500),
)
"""What the machine that runs the tests is like is none of their business."""


class Box:
    """A watcher whose world the test makes."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.now = 1000.0
        self.told: list[Event] = []
        self.workers = {name: Health() for name in ("audio", "listen", "stt")}
        self.watcher = Watcher(
            LAX,
            self.hear,
            lambda: self.workers,
            lambda: 5,
            {"data": folder},
            clock=lambda: self.now,
            **more,
        )
        self.watcher._look()
        self.news()

    def hear(self, event: Event) -> None:
        self.told.append(event)

    def news(self) -> list[Vitals]:
        """Return what was told since the last time."""
        found = [event for event in self.told if isinstance(event, Vitals)]
        self.told = [event for event in self.told if not isinstance(event, Vitals)]
        return found

    def logged(self) -> list[tuple[str, str]]:
        found = [(e.name, e.level) for e in self.told if isinstance(e, FindingChanged)]
        self.told = [event for event in self.told if not isinstance(event, FindingChanged)]
        return found

    def later(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.watcher._look()

    def turn(self, **timings: float) -> None:
        self.watcher.handle(
            TurnEnded(turn_id=1, source="wake", outcome="answered", timings=timings)
        )


@pytest.fixture
async def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


async def test_a_new_level_is_told_at_once_and_all_else_rarely(box: Box) -> None:
    box.workers["listen"].stats["depth"] = 30.0
    box.later()
    assert not box.news()
    box.later(TELL_S)
    assert [v.measured["capture_queue"]["value"] for v in box.news()] == [30.0]
    box.later(TELL_S)
    assert not box.news()  # nothing has changed
    box.workers["listen"].stats["depth"] = 51.0
    box.later()
    (news,) = box.news()
    assert news.level == "warning"
    (finding,) = news.findings
    assert finding["name"] == "capture_queue"
    assert finding["values"] == {"value": 51, "limit": 50}
    box.workers["listen"].stats["depth"] = 101.0
    box.later(0.1)
    assert [v.level for v in box.news()] == ["critical"]
    assert box.watcher.sentences("pt")[0].startswith("101 blocos")


async def test_a_figure_that_trembles_fills_neither_log_nor_stream(box: Box) -> None:
    for second in range(600):
        box.workers["listen"].stats["depth"] = 51.0 if second % 2 else 49.0
        box.later()
    assert len(box.news()) == 1
    assert box.logged() == [("capture_queue", "warning")]


async def test_a_finding_that_comes_and_goes_is_logged_now_and_then(box: Box) -> None:
    for second in range(int(3 * LOG_S)):
        box.workers["stt"].status = "failed" if second % 10 == 0 else "ready"
        box.later()
    assert len(box.logged()) <= 6
    assert len(box.news()) > 100  # the page and the light follow


async def test_what_is_logged_is_a_sentence_and_the_end_is_logged_too(box: Box) -> None:
    box.workers["stt"].status = "failed"
    box.later()
    box.workers["stt"].status = "ready"
    box.later(LOG_S + 1)
    texts = [event.text for event in box.told if isinstance(event, FindingChanged)]
    assert texts[0].startswith("Not working: stt.")
    assert texts[1] == "Well again: Parts of Luna."


async def test_latencies_are_the_medians_of_the_last_turns(box: Box) -> None:
    box.turn(stt_ms=9000)
    box.later()
    assert "stt_s" not in box.watcher.verdicts  # one may be chance
    for milliseconds in (200, 300):
        box.turn(stt_ms=milliseconds, first_token_ms=0.0)
    box.later()
    assert box.watcher.verdicts["stt_s"].value == 0.3
    assert "first_token_s" not in box.watcher.verdicts
    for _ in range(3):
        box.turn(stt_ms=2000)
    box.later()
    assert box.watcher.verdicts["stt_s"].level == "warning"
    box.later(TURNS_S)
    assert "stt_s" not in box.watcher.verdicts  # long ago


async def test_drops_restarts_and_devices(box: Box) -> None:
    box.watcher.handle(CaptureDropped(blocks=3, where="listen"))
    box.watcher.handle(MicrophoneChanged(status="lost"))
    box.watcher.handle(ClockChanged(trusted=False))
    box.watcher.handle(NetworkChanged(online=False))
    box.later()
    levels = {name: v.level for name, v in box.watcher.verdicts.items() if v.level != "ok"}
    assert levels == {
        "capture_drops": "warning",
        "microphone_down": "critical",
        "clock_doubted": "warning",
        "network_down": "warning",
    }
    box.watcher.handle(MicrophoneChanged(status="muted"))
    box.watcher.handle(ClockChanged(trusted=True))
    box.watcher.handle(NetworkChanged(online=True))
    box.later(watcher.DROPS_S + 1)
    assert thresholds.worst(box.watcher.verdicts) == "ok"


async def test_a_first_start_is_no_fault_but_a_second_is(box: Box) -> None:
    box.workers["stt"].status = "starting"
    box.later()
    assert box.watcher.verdicts["workers_down"].level == "ok"
    box.workers["stt"].restarts = 1
    box.later()
    assert box.watcher.verdicts["workers_down"].level == "critical"


async def test_a_card_that_cannot_be_written_is_critical(box: Box, tmp_path: Path) -> None:
    box.watcher._machine = replace(vitals.measure({"data": tmp_path}), unwritable=("models",))
    box.later()
    assert box.watcher.verdicts["data_unwritable"].level == "ok"
    box.watcher._machine = replace(box.watcher._machine, unwritable=("data",))
    box.later()
    assert box.watcher.verdicts["data_unwritable"].level == "critical"
    assert box.watcher.sentences("pt")[0].startswith("O cartão não aceita escrita")


async def test_each_line_of_the_owners_files_is_a_finding_of_its_own(tmp_path: Path) -> None:
    box = Box(
        tmp_path,
        setup=[
            {"sentence": "first_boot.no_value", "file": "luna.txt", "line": 3},
            {"sentence": "first_boot.ssh_key", "file": "authorized_keys", "line": 1},
        ],
    )
    box.later()
    found = box.watcher.current()["findings"]
    assert [(one["name"], one["level"], one["text_key"]) for one in found] == [
        ("setup_problems.1", "warning", "first_boot.no_value"),
        ("setup_problems.2", "warning", "first_boot.ssh_key"),
    ]
    assert box.watcher.sentences("en")[0].startswith("luna.txt, line 3: ")
    assert box.watcher.verdicts["setup_problems"].value == 2
    assert box.logged() == [("setup_problems", "warning")]


async def test_missing_models_are_named_until_they_are_there(tmp_path: Path) -> None:
    there = [Missing(("hears", "speaks"), 0), Missing(("speaks",), 40), Missing()]
    box = Box(tmp_path, missing_models=lambda: there.pop(0))
    for sentence in (
        "Models are missing: hears, speaks. 0 ",
        "Models are missing: speaks. 40 ",
        "",
    ):
        box.watcher._look_for_models()
        box.later()
        assert "".join(box.watcher.sentences("en")).startswith(sentence)
    assert box.watcher.sentences("en") == []


def test_counters_go_on_where_a_new_worker_begins_again() -> None:
    totals = Totals()
    assert [totals.update("gaps", value) for value in (0, 4, 6, 1, 1, 3)] == [0, 4, 2, 1, 0, 2]
    assert totals.all() == {"gaps": 9.0}
    recent = Recent(10)
    recent.add(0, 3)
    recent.add(5)
    assert [recent.total(now) for now in (5, 10, 11, 16)] == [4, 4, 1, 0]


# --- the real service ------------------------------------------------------------------------


@pytest.fixture
async def app(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    monkeypatch.setenv("LUNA_OWN_SERVICE", "1")
    settings = Settings()
    settings = replace(settings, web=replace(settings.web, enabled=False))
    async with App(settings, engines.fake(settings), Plan(service=True)) as running:
        await running.ready()
        yield running


@pytest.mark.parametrize("wrong", [True, False])
async def test_a_wrong_line_of_luna_txt_lights_the_box_amber(
    short_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: bool
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    monkeypatch.setenv("LUNA_OWN_SERVICE", "1")
    report = Report()
    if wrong:
        report.add("first_boot.no_value", "luna.txt", 3)
    report.write(short_path / "luna-first-boot.json")
    settings = Settings()
    lax = replace(LAX, capture_queue=(1e6, 1e6), capture_drops=(1e6, 1e6), playback_gaps=(1e6, 1e6))
    settings = replace(settings, web=replace(settings.web, enabled=False), thresholds=lax)
    async with App(settings, engines.fake(settings), Plan(service=True)) as running:
        await running.ready()
        assert running.front is not None
        assert running.health()["vitals"]["level"] == ("warning" if wrong else "ok")
        assert ("warning" in running.front.panel.layers.conditions) is wrong
        assert "critical" not in running.front.panel.layers.conditions


async def test_a_killed_worker_makes_it_red_and_its_return_well(app: App) -> None:
    seen: list[Vitals] = []
    async with asyncio.timeout(60), aclosing(app.events()) as events:  # type: ignore[type-var]
        os.kill(app.supervisor.health()["stt"].pid, signal.SIGKILL)
        async for event in events:
            if not isinstance(event, Vitals):
                continue
            seen.append(event)
            found = {f["name"]: f for f in event.findings}
            if "workers_down" not in found:
                if len(seen) > 1:
                    break
                seen.clear()
                continue
            assert event.level == "critical"
            assert found["workers_down"]["values"]["parts"] == "stt"
            assert app.front is not None
            assert "critical" in app.front.panel.layers.conditions
    assert app.front is not None
    assert "critical" not in app.front.panel.layers.conditions
    assert app.health()["vitals"]["measured"]["restarts"]["value"] == 1
    assert any(line["event"] == "worker_changed" for line in app.log.last(100, "warning"))


async def test_it_lives_as_long_as_the_main_process_works(app: App) -> None:
    assert app.watcher.alive()
    await app.watcher.stop()
    app.watcher._looked_at -= watcher.STALLED_S
    assert not app.watcher.alive()
