"""The whole appliance with a panel of mock pins: real processes, and once with real models."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from appliance import engines, fakes
from appliance.app import App, Plan
from appliance.errors import ServiceError
from appliance.events import MuteRequested, TurnEnded, VolumeRequested
from appliance.panel.device import Frame
from appliance.panel.gpio import GpioPanel, Pins, mock_pins
from appliance.panel.wiring import Wiring
from appliance.settings import (
    AudioSettings,
    GeneralSettings,
    ListenSettings,
    PanelSettings,
    Settings,
    ThresholdSettings,
    WebSettings,
)
from appliance.thresholds import CHECKS
from tests.panel.mock_panel import PLAIN
from tests.sound_card import VirtualSoundCard, read_wav
from tests.speech import say_to, understood

LIMIT_S = 60.0


class Box:
    """An appliance in this process, with its pins and what its LEDs showed."""

    def __init__(self, settings: Settings, built: engines.Engines) -> None:
        self.pins = mock_pins()
        self.shown: list[str] = []
        self.ended: list[TurnEnded] = []
        self.device = GpioPanel(PLAIN, self._pins)
        show = self.device.show

        def showing(frame: Frame) -> None:
            if self.shown[-1:] != [frame.state]:
                self.shown.append(frame.state)
            show(frame)

        self.device.show = showing  # type: ignore[method-assign]
        self.app = App(
            settings,
            replace(built, panels=lambda _settings: {"gpio": self.device}),
            Plan(service=True),
        )

    def _pins(self, _wiring: Wiring) -> Pins:
        return self.pins

    def pin(self, line: int) -> Any:
        return self.pins.factory.pin(line)

    async def until(self, holds: Callable[[], object], limit_s: float = LIMIT_S) -> None:
        deadline = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < deadline, (self.shown, self.app.bus.snapshot)
            await asyncio.sleep(0.01)

    async def press(self) -> None:
        self.pin(17).drive_low()
        await asyncio.sleep(0.1)
        self.pin(17).drive_high()


LENIENT = ThresholdSettings(
    **{name: (0.0, 0.0) if check.falls else (1e9, 1e9) for name, check in CHECKS.items()}
)
"""A busy machine is not what the light shall tell here."""


def settings(folder: Path, **listen: Any) -> Settings:
    return Settings(
        general=GeneralSettings(data_dir=str(folder / "data")),
        audio=AudioSettings(earcons=False),
        listen=ListenSettings(follow_up_s=0.0, **listen),
        web=WebSettings(enabled=False),
        panel=PanelSettings(night_from="00:00", night_to="00:00"),
        thresholds=LENIENT,
    )


@contextlib.asynccontextmanager
async def running(box: Box) -> AsyncIterator[Box]:
    async with box.app as app:
        app.bus.listen(
            lambda event: box.ended.append(event) if isinstance(event, TurnEnded) else None
        )
        await app.ready()
        yield box


@pytest.fixture
def home(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(short_path / "cache"))
    monkeypatch.setenv("LUNA_OWN_SERVICE", "1")
    return short_path


async def test_mute_switch_and_volume_in_the_whole_appliance(home: Path) -> None:
    chosen = settings(home)
    box = Box(chosen, engines.fake(chosen))
    # The switch is on when the box starts: it pulls its line down as soon as there is a resistor.
    switch = box.pin(5)
    pull = switch._set_pull
    switch._set_pull = lambda value: (pull(value), switch.drive_low())
    async with running(box):
        app = box.app
        await box.until(lambda: app.bus.snapshot.state == "muted")
        await asyncio.sleep(0.5)
        assert app.capture.blocks_written == 0, "not one frame was captured"
        assert app.bus.snapshot.mute_switch
        with pytest.raises(ServiceError, match="mute switch"):
            app.request(MuteRequested(muted=False))
        app.supervisor.restart("audio")
        await box.until(lambda: app.supervisor.health()["audio"].restarts)
        await box.until(lambda: app.supervisor.health()["audio"].status == "ready")
        await asyncio.sleep(0.5)
        assert app.capture.blocks_written == 0, "nor by a worker that was started again"
        switch._set_pull = pull
        switch.drive_high()
        await box.until(lambda: app.bus.snapshot.state == "idle")
        await box.until(lambda: app.capture.blocks_written > 10)
        app.request(VolumeRequested(step=-2))
        app.request(VolumeRequested(step=-2))
        assert app.bus.snapshot.volume == 60
        switch.drive_low()
        await box.until(lambda: app.bus.snapshot.microphone.get("status") == "muted")
        before = app.capture.blocks_written
        await asyncio.sleep(0.3)
        assert app.capture.blocks_written == before
    again = Box(chosen, engines.fake(chosen))
    async with running(again):
        assert again.app.coordinator.volume == 60


async def test_a_question_by_button_with_fakes(home: Path) -> None:
    """Somebody speaks some seconds after the start; the button was pressed before."""
    chosen = settings(home, wake_words=())
    built = replace(engines.fake(chosen), sound_card=partial(fakes.FakeSoundCard, say_after_s=6.0))
    async with running(Box(chosen, built)) as box:
        await box.until(lambda: box.shown[-1:] == ["idle"])
        box.shown[:] = ["idle"]
        await box.press()
        await box.until(lambda: box.ended)
        await box.until(lambda: box.shown[-1] == "idle")
        assert box.ended[0].source == "button"
        assert box.shown == ["idle", "listening", "thinking", "speaking", "idle"]
        # Pressed twice, Luna says it again; the microphone that the first press opened is closed.
        await box.press()
        await asyncio.sleep(0.1)
        await box.press()
        await box.until(lambda: len(box.ended) == 3 and box.shown[-1] == "idle")
        assert [e.outcome for e in box.ended] == ["answered", "interrupted", "answered"]
        assert box.ended[2].source == "say"
        assert box.shown[-3:] == ["thinking", "speaking", "idle"]


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.sound
async def test_the_button_and_a_spoken_question_give_a_spoken_answer(
    sound_card: VirtualSoundCard, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real models, and the real sound path on a virtual card."""
    for name, value in sound_card.env.items():
        if name != "XDG_RUNTIME_DIR":
            monkeypatch.setenv(name, value)
    question = say_to(home / "q.wav", "What is the capital of France?", 0.9)
    heard = home / "heard.wav"
    sound_card.noise()
    chosen = settings(home, wake_words=())
    async with running(Box(chosen, engines.real(chosen))) as box:
        await box.until(lambda: box.shown[-1:] == ["idle"])
        box.shown[:] = ["idle"]
        with sound_card.recording(heard):
            await box.press()
            await box.until(lambda: box.shown[-1] == "listening")
            sound_card.play(question, wait=False)
            await box.until(lambda: box.ended, 90.0)
            await box.until(lambda: box.shown[-1] == "idle")
        assert box.ended[0].outcome == "answered"
        assert box.shown == ["idle", "listening", "thinking", "speaking", "idle"]
    assert "paris" in understood(read_wav(heard))
