"""The panel as a part of Luna: fingers become requests, events become light.

Any number of devices share one controller: a HAT and a panel on USB may be used side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import time
from functools import partial

from appliance.clock import monotonic
from appliance.errors import LunaError, PanelError
from appliance.events import (
    ButtonPressed,
    ButtonReleased,
    Event,
    MuteRequested,
    MuteSwitched,
    PanelChanged,
    RepeatRequested,
    ShutdownRequested,
    Snapshot,
    SpeakerChanged,
    SpeechStarted,
    StateChanged,
    StopRequested,
    VolumeRequested,
)
from appliance.panel import device as devices
from appliance.panel.device import Amplified, Connected, Edge, Lost, PanelDevice, Report, Turned
from appliance.panel.gestures import Cue, Gesture, GestureTimes, Seen, StepButton, TalkButton
from appliance.panel.renderer import Layers, Look, Renderer
from appliance.panel.wiring import Role
from appliance.settings import PanelSettings


class Panel:
    """Buttons, LEDs and mute switch of all devices.

    Args:
        panels: by name, for reports.
        settings: of the panel.
        request: takes what a person asks for (:class:`appliance.app.App.request`).
        publish: takes ``PanelChanged`` and ``MuteSwitched``.
        shut: called with True when nothing may be captured, and with False when it may again.
    """

    def __init__(
        self,
        panels: Mapping[str, PanelDevice],
        settings: PanelSettings,
        request: Callable[[Event], None],
        publish: Callable[[Event], None],
        shut: Callable[[bool], None],
    ) -> None:
        self._panels = panels
        self._request = request
        self._publish = publish
        self._shut = shut
        self._muted = False
        """By command."""
        self._looking = bool(panels)
        """Where a mute switch stands is not known yet: until then nothing is captured."""
        self._hold = settings.talk == "hold"
        self._times = GestureTimes(
            bounce_s=settings.bounce_ms / 1000,
            short_s=settings.short_press_s,
            double_s=settings.double_press_s,
            mute_s=settings.mute_press_s,
            shutdown_s=settings.shutdown_press_s,
        )
        self._state = "starting"
        self._talking = False
        """The present press has opened the microphone."""
        self._interrupted = False
        """It came while Luna was busy."""
        self._amplified = False
        self._switches: dict[str, bool] = {}
        self._talk: dict[str, TalkButton] = {}
        self._steps: dict[tuple[str, Role], StepButton] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.layers = Layers()
        self.layers.cue = self._cue
        shut(self._looking)
        look = _look(settings)
        self._renderers = {
            name: Renderer(device, self.layers, look) for name, device in panels.items()
        }

    @property
    def muted_by_switch(self) -> bool:
        """A hardware mute switch is on: nothing else may open the microphone."""
        return any(self._switches.values())

    async def start(self) -> None:
        """Start all devices. One that fails is reported, and Luna runs without it."""
        await asyncio.gather(*(self._start(name, panel) for name, panel in self._panels.items()))
        self._looking = False
        self._shut_or_open()

    def _shut_or_open(self) -> None:
        self._shut(self._looking or self._muted or self.muted_by_switch)

    async def _start(self, name: str, panel: PanelDevice) -> None:
        try:
            await panel.start(partial(self._reported, name))
        except PanelError as error:
            self._publish(PanelChanged(name=name, status="failed", detail=str(error)))

    async def stop(self) -> None:
        """Switch the LEDs off and release everything."""
        if self._timer:
            self._timer.cancel()
        for renderer in self._renderers.values():
            renderer.stop()
        for panel in self._panels.values():
            await panel.close()

    def look_like(self, settings: PanelSettings) -> None:
        """Shine as *settings* say from now on."""
        look = _look(settings)
        for renderer in self._renderers.values():
            renderer.look_like(look)

    def stay(self) -> None:
        """Take the goodbye back: the box could not be shut down."""
        self.layers.closing = False
        self._wake()

    # --- events become light -------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Take an event of the stream. Never waits."""
        match event:
            case StateChanged() | Snapshot():
                self._state = event.state
            case MuteRequested():
                self._muted = event.muted
                self._shut_or_open()
            case SpeechStarted():
                for button in self._talk.values():
                    button.somebody_speaks()
            case SpeakerChanged():
                self._amplify(event.status == "open")
        if self.layers.apply(event, monotonic()):
            self._wake()

    def _wake(self) -> None:
        for renderer in self._renderers.values():
            renderer.wake()

    def _amplify(self, on: bool) -> None:
        self._amplified = on
        for panel in self._panels.values():
            if isinstance(panel, Amplified):
                panel.amplify(on)

    # --- fingers become requests ---------------------------------------------------------------

    def _reported(self, name: str, report: Report) -> None:
        match report:
            case Edge():
                self._edge(name, report)
            case Turned():
                self._ask(VolumeRequested(step=report.steps))
            case devices.MuteSwitched():
                self._switched(name, report.muted)
            case Connected():
                self._publish(PanelChanged(name=name, status="connected", detail=report.name))
                self._renderers[name].wake(again=True)
                self._amplify(self._amplified)
            case Lost():
                self._publish(PanelChanged(name=name, status="lost", detail=report.reason))
                self._let_go(name)

    def _let_go(self, name: str) -> None:
        """Forget what was pressed on a panel that is gone. Its mute switch stays as it was."""
        if self._talk.pop(name, None):
            self._end_talk(StopRequested())
        self._steps = {key: step for key, step in self._steps.items() if key[0] != name}

    def _edge(self, name: str, edge: Edge) -> None:
        if edge.button == "talk":
            talk = self._talk.setdefault(name, TalkButton(self._times))
            self._act(talk.feed(edge.at, edge.pressed))
        else:
            louder = edge.button in ("volume_up", "volume_down")
            step = self._steps.setdefault(
                (name, edge.button), StepButton(self._times.bounce_s, repeats=louder)
            )
            self._step(edge.button, step.feed(edge.at, edge.pressed))
        self._plan()

    def _plan(self) -> None:
        """Look at the buttons again when their time has come."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        buttons: list[TalkButton | StepButton] = [*self._talk.values(), *self._steps.values()]
        times = [at for button in buttons if (at := button.deadline()) is not None]
        if times:
            wait = max(0.0, min(times) - monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._advance)

    def _advance(self) -> None:
        now = monotonic()
        for talk in self._talk.values():
            self._act(talk.advance(now))
        for (_, role), step in self._steps.items():
            self._step(role, step.advance(now))
        self._plan()

    def _step(self, role: Role, count: int) -> None:
        for _ in range(count):
            match role:
                case "volume_up":
                    self._ask(VolumeRequested(step=1))
                case "volume_down":
                    self._ask(VolumeRequested(step=-1))
                case "stop":
                    self._ask(StopRequested())
                case "mute":
                    self._toggle_mute()

    def _act(self, seen: Iterable[Seen]) -> None:
        for one in seen:
            self._do(one)
            self._wake()

    def _do(self, seen: Seen) -> None:
        match seen.gesture:
            case Gesture.PRESS:
                self.layers.cue_from = seen.at + self._times.cue_s
                self._pressed()
            case Gesture.SHORT if self._interrupted and self._talking:
                self._end_talk(StopRequested())
            case Gesture.SINGLE if self._state == "muted":
                self._ask(ButtonPressed())  # answered by a signal: the microphone is off
            case Gesture.SINGLE | Gesture.RELEASE:
                self._end_talk(ButtonReleased() if self._hold else None)
            case Gesture.DOUBLE:
                self._end_talk(None)
                self._ask(RepeatRequested())
            case Gesture.MUTE:
                self._end_talk(StopRequested())
                self._toggle_mute()
            case Gesture.ABANDON:
                self._end_talk(StopRequested())
            case Gesture.SHUTDOWN:
                self._end_talk(StopRequested())
                self._ask(ShutdownRequested())

    def _pressed(self) -> None:
        """A press opens the microphone at once, or ends what Luna is doing."""
        self._interrupted = self._state in ("speaking", "thinking")
        if self._hold and self._state != "muted":
            self._talking = True
            self._ask(ButtonPressed(held=True))
        elif self._interrupted or self._state == "listening":
            self._ask(StopRequested())
        elif self._state != "muted":
            self._talking = True
            self._ask(ButtonPressed())

    def _end_talk(self, event: Event | None) -> None:
        """The press that opened the microphone is over; say so with *event*."""
        if self._talking and event is not None:
            self._ask(event)
        self._talking = False

    def _toggle_mute(self) -> None:
        self._ask(MuteRequested(muted=self._state != "muted"))

    def _switched(self, name: str, muted: bool) -> None:
        before = self.muted_by_switch
        self._switches[name] = muted
        self._shut_or_open()
        if self.muted_by_switch != before:
            self._publish(MuteSwitched(muted=not before))
            self._ask(MuteRequested(muted=not before))

    def _ask(self, event: Event) -> None:
        try:
            self._request(event)
        except LunaError:
            # Nobody can read a sentence on a button: the LEDs go on showing the state.
            self._wake()

    def _cue(self, now: float) -> Cue | None:
        for talk in self._talk.values():
            if cue := talk.cue(now):
                return cue
        return None


def _look(settings: PanelSettings) -> Look:
    return Look(
        settings.brightness,
        settings.night_brightness,
        time.fromisoformat(settings.night_from),
        time.fromisoformat(settings.night_to),
        settings.idle_light,
    )
