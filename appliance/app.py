"""The composition root: builds everything, connects it, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from appliance import __version__, control, paths
from appliance.audio.ring_buffer import CaptureRing, PlaybackRing
from appliance.bus import EventBus
from appliance.clock import monotonic
from appliance.engines import Engines
from appliance.errors import ServiceError, error_of
from appliance.events import (
    ButtonPressed,
    Classified,
    Event,
    GenerationFinished,
    JobRequested,
    Logged,
    ProviderTestRequested,
    RemindersRequested,
    SayRequested,
    Snapshot,
    StateChanged,
    StopRequested,
    TextAsked,
    TokensGenerated,
    WorkerChanged,
)
from appliance.log import log_event
from appliance.machine import free_memory_percent
from appliance.settings import Settings
from appliance.supervisor import Supervisor, WorkerSpec

if TYPE_CHECKING:
    from appliance.assistant.tools import Facts
    from appliance.brain import Brain
    from appliance.diary import Diary
    from appliance.panel.front import Front

CAPTURE_SECONDS = 60.0
"""Longest utterance (28 s), and as much again for the workers to come back after a crash."""
PLAYBACK_SECONDS = 8.0
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
        if self.plan.service:
            self._control = control.ControlServer(
                paths.control_socket(), self.request, self.events, self.health
            )
            await self._control.start()
            stack.push_async_callback(self._control.stop)

        self.capture = CaptureRing(CAPTURE_SECONDS)
        stack.callback(self.capture.close)
        self.playback = PlaybackRing(PLAYBACK_SECONDS)
        stack.callback(self.playback.close)
        self.supervisor = Supervisor(self._on_event)
        stack.push_async_callback(self.supervisor.stop)
        # Nothing is captured before it is known where the mute switch stands.
        self.capture.shut = self.plan.service

        # Those that hear start first; what else the main process needs is imported meanwhile.
        wanted = [name for name in ALL if name in self.plan.workers]
        first = [name for name in wanted if name in HEARING]
        if self.plan.audio_last:
            first = ["listen"]
        for name in first:
            self.supervisor.start(self._hearing(name))
        await asyncio.sleep(0)
        if self.plan.service:
            from appliance.panel.front import Front

            self.front = Front(
                self.settings, self.engines.panels, self.request, self.bus, self.capture
            )
            self.bus.snapshot = replace(self.bus.snapshot, volume=self.front.volume.percent)
            stack.push_async_callback(self.front.stop)
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
                self.supervisor.start(self._thinking(name))
        if self.plan.audio_last:
            await self.ready(*(name for name in wanted if name != "audio"))
            self.supervisor.start(self._hearing("audio"))
        if self.plan.service and self.settings.web.enabled:
            from appliance.web import server

            self.web = await server.start(self.bus, self.settings.web, self.health)
            stack.push_async_callback(self.web.stop)
            self.bus.publish(Logged(level="info", text=f"the page is at {self.web.url}"))

    def _coordinate(self) -> None:
        """Build the coordinator and give it what the workers have said already."""
        from appliance.assistant.coordinator import Coordinator
        from appliance.assistant.history import History
        from appliance.assistant.turn import Options
        from appliance.texts import text

        settings = self.settings
        listen, assistant = settings.listen, settings.assistant
        self.coordinator = Coordinator(
            workers=self.supervisor,
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
        early, self._early = self._early, None
        for event in early or []:
            self._pass_on(event)

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
        return [tell_status(facts, self.settings.general.language)]

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

    def _hearing(self, name: str) -> WorkerSpec:
        """Return how the sound card's worker or the listening one is started."""
        settings, engines = self.settings, self.engines
        if name == "audio":
            from appliance.audio import process as audio

            arguments = self.capture, self.playback, settings.audio, engines.sound_card
            # A sound server that died can hold a call for ever; nothing it does takes this long.
            return WorkerSpec("audio", audio.main, arguments, busy_limit_s=8.0)
        from appliance.listen import process as listen

        parts = engines.wake_word, engines.voice_activity, engines.turn_model
        return WorkerSpec(
            "listen", listen.main, (self.capture, settings.listen, *parts), oom_score_adj=100
        )

    def _thinking(self, name: str) -> WorkerSpec:
        """Return how a worker with a model is started.

        The larger the model, the sooner it goes when memory runs out.
        """
        settings, engines = self.settings, self.engines
        if name == "stt":
            from appliance.stt import process as stt

            return WorkerSpec(
                "stt", stt.main, (self.capture, engines.transcriber), oom_score_adj=300
            )
        if name == "tts":
            from appliance.tts import process as tts

            arguments = self.playback, settings.tts, engines.voices
            return WorkerSpec("tts", tts.main, arguments, oom_score_adj=300)
        from appliance.llm import process as llm

        limit = settings.assistant.history_tokens
        return WorkerSpec("llm", llm.main, (engines.language_models, limit), oom_score_adj=600)

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
                if name in health and health[name].restarts >= 3:  # noqa: PLR2004
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
            raise ServiceError("Luna is still starting; try again in a moment")
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
                raise ServiceError("Luna is still starting; try again in a moment")
            self.diary.request(event)
        elif isinstance(event, ProviderTestRequested):
            if self.brain is None:
                raise ServiceError("Luna is still starting; try again in a moment")
            self.brain.test(event.provider)
        else:
            self.coordinator.handle(event)

    def events(self) -> AsyncIterator[Event]:
        """Return a new subscription: a snapshot, then every public event."""
        return self.bus.subscribe()

    def _overruns(self) -> float:
        health = self.supervisor.health()
        return health["listen"].stats.get("overruns", 0.0) if "listen" in health else 0.0

    def health(self) -> dict[str, Any]:
        """Return the report of ``/health``."""
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
