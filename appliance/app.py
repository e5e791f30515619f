"""The composition root: builds everything, connects it, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from appliance import __version__, control, paths
from appliance.audio.ring_buffer import CaptureRing, PlaybackRing
from appliance.bus import EventBus
from appliance.clock import monotonic
from appliance.engines import Engines
from appliance.errors import ServiceError, error_of
from appliance.events import Event, Logged, SayRequested, Snapshot, TextAsked, WorkerChanged
from appliance.log import log_event
from appliance.settings import Settings
from appliance.supervisor import Supervisor, WorkerSpec

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

        # Those that hear start first; what else the main process needs is imported meanwhile.
        wanted = [name for name in ALL if name in self.plan.workers]
        first = [name for name in wanted if name in HEARING]
        if self.plan.audio_last:
            first = ["listen"]
        for name in first:
            self.supervisor.start(self._hearing(name))
        await asyncio.sleep(0)
        self._coordinate()
        if self.plan.service:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ready(*first), HEAR_FIRST_S)
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
        from appliance.assistant.prompts import system_prompt
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
            system_prompt=system_prompt,
            overruns=self._overruns,
            max_tokens=settings.llm.max_tokens,
            temperature=settings.llm.temperature,
            language=settings.general.language,
        )
        early, self._early = self._early, None
        for event in early or []:
            self.coordinator.handle(event)

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
        return WorkerSpec("llm", llm.main, (engines.chat, limit), oom_score_adj=600)

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
            self.coordinator.handle(event)
        if isinstance(event, WorkerChanged):
            self._changed.set()

    # --- for the control socket, the page and the command line ---

    def request(self, event: Event) -> None:
        """Take what a person asks for.

        Raises:
            ServiceError: it is refused; the sentence says why.
        """
        if self._early is not None:
            raise ServiceError("Luna is still starting; try again in a moment")
        if isinstance(event, TextAsked | SayRequested):
            self.coordinator.request(event)
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
