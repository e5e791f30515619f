"""The composition root: builds everything, connects it, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from appliance import __version__, control, paths, sound_jobs
from appliance.bus import EventBus
from appliance.clock import monotonic
from appliance.commands import BOX, FILE, PAGE, Command, MeasureSound, PlayTone
from appliance.engines import Engines
from appliance.errors import ModelError, ServiceError, error_of
from appliance.events import (
    ButtonPressed,
    Classified,
    Event,
    GenerationFinished,
    JobRequested,
    Logged,
    LoopbackRequested,
    MeterRequested,
    PairingRequested,
    ProviderTestRequested,
    RemindersRequested,
    RestartRequested,
    SayRequested,
    ServiceStarted,
    Snapshot,
    StateChanged,
    StopRequested,
    TextAsked,
    TokensGenerated,
    ToneRequested,
    WorkerChanged,
)
from appliance.log import log_event
from appliance.loopback_test import LoopbackTest
from appliance.machine import free_memory_percent
from appliance.page_sound import PageSound
from appliance.service_manager import ServiceManager
from appliance.settings import Settings
from appliance.supervisor import Supervisor
from appliance.workers import Rings, worker_spec

if TYPE_CHECKING:
    from appliance.assistant.tools import Facts
    from appliance.brain import Brain
    from appliance.diary import Diary
    from appliance.page import Page
    from appliance.panel.front import Front

HEAR_FIRST_S = 5.0
"""The heavy workers wait this long at most for those that hear, which need the cores first."""

ALL = ("audio", "listen", "stt", "tts", "llm")
"""The workers in the order of their start: consumers before producers, cheap before heavy."""
HEARING = frozenset({"audio", "listen"})


@dataclass(frozen=True)
class Plan:
    """Which parts of Luna run: the whole service, or just what one command needs."""

    workers: tuple[str, ...] = ALL
    service: bool = False
    """Serve the control socket and the page."""
    audio_last: bool = False
    """Start the sound only when all else is ready (for a file that must not run ahead)."""


@dataclass
class App:
    """Luna, whole or in part: ``async with App(...) as app``.

    Raises:
        ServiceError: on entering, when another Luna runs, or a port is taken.
    """

    settings: Settings
    engines: Engines
    plan: Plan = field(default_factory=Plan)
    started: float = field(default_factory=monotonic)
    brain: Brain | None = field(default=None, init=False)
    front: Front | None = field(default=None, init=False)
    diary: Diary | None = field(default=None, init=False)
    page: Page | None = field(default=None, init=False)
    _early: list[Event] | None = field(default_factory=list, init=False)
    """What workers said before there was a coordinator."""
    _last_error: dict[str, str] = field(default_factory=dict, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def __aenter__(self) -> App:
        self._stack = contextlib.AsyncExitStack()
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        stack = self._stack
        self.bus = EventBus(Snapshot(state="starting", version=__version__))
        stack.callback(self.bus.close)
        self.bus.listen(log_event)
        wanted = [name for name in ALL if name in self.plan.workers]
        self.manager = ServiceManager(self.bus.publish, wanted)
        if self.plan.service:
            self.bus.listen(self.manager.handle)
            self._control = control.ControlServer(
                paths.control_socket(), self.request, self.events, self.health
            )
            await self._control.start()
            stack.push_async_callback(self._control.stop)

        self.rings = Rings()
        stack.callback(self.rings.close)
        self.capture, self.playback = self.rings.captures[BOX], self.rings.playbacks[BOX]
        self.supervisor = Supervisor(self._on_event)
        stack.push_async_callback(self.supervisor.stop)
        self._watch()
        # Nothing is captured before it is known where the mute switch stands.
        self.capture.shut = self.plan.service

        # Those that hear start first; what else the main process needs is imported meanwhile.
        first = [name for name in wanted if name in HEARING]
        if self.plan.audio_last:
            first = ["listen"]
        for name in first:
            self._start_worker(name)
        await asyncio.sleep(0)
        if self.plan.service:
            self._build_front()
        self._coordinate()
        if self.front is not None:
            await self.front.start()
        if self.plan.service:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ready(*first), HEAR_FIRST_S)
        if "llm" in wanted:
            await self._think()
        if self.diary is not None:
            await self.diary.start()
        for name in wanted:
            if name not in HEARING:
                self._start_worker(name)
        if self.plan.audio_last:
            await self.ready(*(name for name in wanted if name != "audio"))
            self._start_worker("audio")
        if self.plan.service and self.settings.web.enabled:
            await self._open_page()

    def _build_front(self) -> None:
        """Build buttons and LEDs; they know where the mute switch stands."""
        from appliance.panel.front import Front

        self.front = Front(self.settings, self.engines.panels, self.request, self.bus, self.capture)
        self.bus.snapshot = replace(self.bus.snapshot, volume=self.front.volume.percent)
        self._stack.push_async_callback(self.front.stop)

    async def _open_page(self) -> None:
        """Let browsers, and the commands of this machine, in."""
        from appliance.page import open_page

        self.page = await open_page(self, paths.api_socket())
        self._stack.push_async_callback(self.page.stop)
        self.bus.publish(Logged(level="info", text=f"the page is at {self.page.url}"))

    def _watch(self) -> None:
        """Remember the last turns and log lines, and look how the box is."""
        if not self.plan.service:
            return
        from appliance import machine, vitals
        from appliance.first_boot import report
        from appliance.log_buffer import LogBuffer
        from appliance.turn_log import TurnLog
        from appliance.watcher import Watcher

        general = self.settings.general
        self.log = LogBuffer()
        self.log.attach()
        self._stack.callback(self.log.detach)
        self.turns = TurnLog(self.settings.thresholds)
        self.bus.listen(self.turns.handle)
        self.watcher = Watcher(
            self.settings.thresholds,
            self.bus.publish,
            self.supervisor.health,
            lambda: self.capture.blocks_written,
            {
                "data": paths.data_dir(general.data_dir),
                "models": paths.models_dir(general.models_dir),
            },
            self.engines.missing_models,
            report.read(paths.first_boot_report()),
        )
        self.bus.listen(self.watcher.handle)
        self.watcher.start()
        self.bus.publish(
            ServiceStarted(
                version=__version__,
                board=machine.model(),
                cores=os.cpu_count() or 1,
                memory_mb=vitals.memory().get("MemTotal", 0.0),
            )
        )
        self._stack.push_async_callback(self.watcher.stop)

    def _coordinate(self) -> None:
        """Build the coordinator and give it what the workers have said already."""
        from appliance.assistant.coordinator import Coordinator
        from appliance.assistant.history import History
        from appliance.assistant.turn import Options
        from appliance.texts import text

        settings = self.settings
        listen, assistant = settings.listen, settings.assistant
        self.coordinator = Coordinator(
            workers=self,
            publish=self.bus.publish,
            options=Options(
                wait_for_speech_s=listen.wait_for_speech_s,
                follow_up_s=listen.follow_up_s if self.plan.service else 0.0,
                filler_after_s=assistant.filler_after_s,
                give_up_after_s=assistant.give_up_after_s,
                barge_in_by_speech=listen.barge_in_by_speech,
                required=HEARING & set(self.plan.workers),
            ),
            phrase=text,
            overruns=self._overruns,
            language=settings.general.language,
            history=History(),
            volume=self.front.volume.percent if self.front else settings.audio.volume,
        )
        self._serve_other_sound()
        early, self._early = self._early, None
        for event in early or []:
            self._pass_on(event)

    def _serve_other_sound(self) -> None:
        """Build those who speak through the workers without the box's microphone and speaker."""
        from appliance.texts import text

        language = self.settings.general.language
        self.page_sound = PageSound(
            self.rings.captures[PAGE],
            self.rings.playbacks[PAGE],
            request=self.request,
            report=self.coordinator.handle,
            refusal=lambda: text("speech.cannot_listen", language),
        )
        self.bus.listen(self.page_sound.handle)
        self.page_sound.start()
        self._stack.callback(self.page_sound.stop)
        self.sound_jobs = sound_jobs.SoundJobs(
            self.rings.captures[FILE],
            self.rings.playbacks[FILE],
            send=self.send,
            language=language,
        )
        self.bus.listen(self.sound_jobs.follow)
        self.loopback_test = LoopbackTest(self.capture, self.send, self.bus.publish)
        self._stack.callback(self.loopback_test.stop)

    async def _think(self) -> None:
        """Build what answers, and connect it; much is imported for it."""
        from appliance.brain import Body, Brain

        if self.plan.service:
            self._remember()
        brain = self.brain = Brain(
            self.settings,
            self.engines.model_names,
            Body(
                send=lambda command: self.supervisor.send("llm", command),
                handle=self.coordinator.handle,
                request=self.request,
                publish=self.bus.publish,
                facts=self._facts,
                history=self.coordinator.history,
                reminders=self.diary,
            ),
        )
        self._stack.push_async_callback(brain.close)
        self.coordinator.connect(await brain.start())

    def _remember(self) -> None:
        """Build what keeps reminders; it begins to speak when it is started."""
        from appliance.assistant.announcer import Announcer
        from appliance.diary import Diary
        from appliance.reminders.keeper import Voice

        announcer = Announcer(self.request, lambda chime: self.supervisor.send("audio", chime))
        self.bus.listen(announcer.handle)
        announcer.handle(StateChanged(state=self.bus.snapshot.state))
        voice = Voice(announcer.may_speak, announcer.speak)
        self.diary = Diary(self.settings, voice, self.bus.publish, self._health_sentences)
        self._stack.push_async_callback(self.diary.stop)

    def _health_sentences(self) -> list[str]:
        """Return what the report of the day says of the box itself."""
        from appliance.assistant.tools import tell_status

        facts = self._facts(datetime.now().astimezone())
        language = self.settings.general.language
        return [tell_status(facts, language), *self.watcher.sentences(language)]

    def _facts(self, now: datetime) -> Facts:
        """Return what the built-in commands answer from."""
        from appliance.assistant.tools import Facts

        return Facts(
            now=now,
            volume=self.coordinator.volume,
            volume_step=2 * self.settings.audio.volume_step,  # what can be heard
            volume_limit=self.settings.audio.volume_limit,
            languages=self.settings.general.languages,
            last_answer=self.coordinator.last_answer,
            workers={name: h.status for name, h in self.supervisor.health().items()},
            awake_s=monotonic() - self.started,
            free_memory_percent=free_memory_percent(),
        )

    # --- workers ---

    def _start_worker(self, name: str) -> None:
        self.supervisor.start(worker_spec(name, self.settings, self.engines, self.rings))

    def send(self, worker: str, command: Command) -> bool:
        """Send to a worker, or to the page, where it is about the reply of one of its turns."""
        if worker == PAGE:
            return self.page_sound.send(command)
        return self.supervisor.send(worker, command)

    async def ready(self, *workers: str) -> None:
        """Wait until these workers (none named: all) are ready.

        Raises:
            ServiceError: one of them fails again and again; the sentence says why.
        """
        names = workers or self.plan.workers
        while True:
            health = self.supervisor.health()
            if all(name in health and health[name].status == "ready" for name in names):
                return
            for name in names:
                if name in health and (
                    health[name].restarts >= 3  # noqa: PLR2004
                    or health[name].exit_code == ModelError.exit_code
                ):
                    raise error_of(health[name].exit_code)(
                        self._last_error.get(name)
                        or f"the worker {name} does not start: {health[name].detail}"
                    )
            self._changed.clear()
            await self._changed.wait()

    def _on_event(self, event: Event) -> None:
        if event.type == "logged" and getattr(event, "level", "") == "error":
            self._last_error[getattr(event, "worker", "")] = getattr(event, "text", "")
        if self._early is not None:
            self._early.append(event)
        else:
            self._pass_on(event)
        if isinstance(event, WorkerChanged):
            self._changed.set()

    def _pass_on(self, event: Event) -> None:
        """Give an event to whom it concerns: what the models write is the brain's."""
        if self.sound_jobs.take(event) or self.loopback_test.take(event):
            return
        if self.brain is not None:
            self.brain.local.take(event)
        if not isinstance(event, TokensGenerated | GenerationFinished | Classified):
            self.coordinator.handle(event)

    # --- for the control socket, the page and the command line ---

    def request(self, event: Event) -> None:
        """Take what a person asks for.

        Raises:
            ServiceError: it is refused; the sentence says why.
        """
        if self._early is not None:
            raise _starting()
        if self.front is not None:
            event = self.front.admit(event)
        if isinstance(event, ButtonPressed | StopRequested) and self.diary and self.diary.rings():
            # The button answers what rings; who wants to ask something presses again.
            self.diary.acknowledge()
            event = StopRequested()
        if isinstance(event, TextAsked | SayRequested):
            self.coordinator.request(event)
        elif isinstance(event, RemindersRequested | JobRequested):
            if self.diary is None:
                raise _starting()
            self.diary.request(event)
        elif isinstance(event, ProviderTestRequested):
            if self.brain is None:
                raise _starting()
            self.brain.test(event.provider)
        elif isinstance(event, PairingRequested):
            if self.page is None:
                raise ServiceError("there is no page; see [web] enabled")
            self.page.pair()
        elif isinstance(event, LoopbackRequested):
            self.loopback_test.request(event, self.bus.snapshot)
        elif not self._order(event):
            self.coordinator.handle(event)

    def _order(self, event: Event) -> bool:
        """Pass on what concerns one worker alone; return whether it was such a request.

        Raises:
            ServiceError: a value makes no sense.
        """
        match event:
            case RestartRequested():
                self.supervisor.restart(event.worker)
            case MeterRequested(seconds=int() | float() as seconds) if seconds >= 0:
                command = MeasureSound(seconds=seconds, alone=bool(event.alone))
                self.supervisor.send("listen", command)
            case ToneRequested(side="both" | "left" | "right" as side):
                self.supervisor.send("audio", PlayTone(side=side))
            case MeterRequested() | ToneRequested():
                raise ServiceError(f"{event.type} has a value that makes no sense")
            case _:
                return False
        return True

    def events(self) -> AsyncIterator[Event]:
        """Return a new subscription: a snapshot, then every public event."""
        return self.bus.subscribe()

    def _overruns(self) -> float:
        health = self.supervisor.health()
        return health["listen"].stats.get("overruns", 0.0) if "listen" in health else 0.0

    def health(self) -> dict[str, Any]:
        """Return the whole report on the service: `luna status`, ``/api/v1/status``."""
        now = monotonic()
        workers = {
            name: {
                "status": health.status,
                "pid": health.pid,
                "restarts": health.restarts,
                "detail": health.detail,
                "since_s": round(now - health.since, 1),
                "last_pong_s": round(now - health.last_pong, 1) if health.last_pong else None,
                "stats": health.stats,
            }
            for name, health in self.supervisor.health().items()
        }
        snapshot = self.bus.snapshot
        return {
            "state": snapshot.state,
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(now - self.started, 1),
            "workers": workers,
            "microphone": snapshot.microphone,
            "speaker": snapshot.speaker,
            "volume": self.coordinator.volume if self._early is None else 0,
            "mute_switch": snapshot.mute_switch,
            "vitals": snapshot.vitals,
            "providers": self.brain.report() if self.brain else [],
            "rings": {
                "capture": {
                    "blocks_written": self.capture.blocks_written,
                    "slots": self.capture.slots,
                },
                "playback": {
                    "depth": self.playback.depth,
                    "slots": self.playback.slots,
                    "rate": self.playback.rate,
                },
            },
        }


def _starting() -> ServiceError:
    return ServiceError("Luna is still starting; try again in a moment").worded("refusal.starting")
