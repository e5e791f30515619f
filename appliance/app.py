"""The composition root: builds everything, connects it, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from appliance import __version__, paths
from appliance.assistant.coordinator import Coordinator
from appliance.assistant.prompts import system_prompt
from appliance.assistant.state_machine import Options
from appliance.audio import process as audio_process
from appliance.audio.ring_buffer import CaptureRing, PlaybackRing
from appliance.bus import EventBus
from appliance.clock import monotonic
from appliance.control import ControlServer
from appliance.engines import Engines
from appliance.errors import ServiceError
from appliance.events import Event, SayRequested, Snapshot, TextAsked, WorkerChanged
from appliance.listen import process as listen_process
from appliance.llm import process as llm_process
from appliance.log import log_event
from appliance.settings import Settings
from appliance.stt import process as stt_process
from appliance.supervisor import Supervisor, WorkerSpec
from appliance.texts import text
from appliance.tts import process as tts_process

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
        settings, stack = self.settings, self._stack
        self.bus = EventBus(Snapshot(state="starting", version=__version__))
        stack.callback(self.bus.close)
        self.bus.listen(log_event)

        self.capture = CaptureRing(CAPTURE_SECONDS)
        stack.callback(self.capture.close)
        self.playback = PlaybackRing(PLAYBACK_SECONDS)
        stack.callback(self.playback.close)

        self.supervisor = Supervisor(self._on_event)
        stack.push_async_callback(self.supervisor.stop)
        self.coordinator = Coordinator(
            workers=self.supervisor,
            publish=self.bus.publish,
            options=self._options(),
            phrase=text,
            system_prompt=system_prompt,
            overruns=self._overruns,
            max_tokens=settings.llm.max_tokens,
            temperature=settings.llm.temperature,
            language=settings.general.language,
        )
        self._changed = asyncio.Event()
        if self.plan.service:
            control = ControlServer(
                paths.control_socket(), self.request, self.bus.subscribe, self.health
            )
            await control.start()
            stack.push_async_callback(control.stop)
        await self._start_workers()
        if self.plan.service and settings.web.enabled:
            from appliance.web import server  # noqa: PLC0415 - aiohttp may wait, hearing may not

            self.web = await server.start(self.bus, settings.web, self.health)
            stack.push_async_callback(self.web.stop)

    def _options(self) -> Options:
        listen, assistant = self.settings.listen, self.settings.assistant
        return Options(
            wait_for_speech_s=listen.wait_for_speech_s,
            follow_up_s=listen.follow_up_s if self.plan.service else 0.0,
            filler_after_s=assistant.filler_after_s,
            give_up_after_s=assistant.give_up_after_s,
            barge_in_by_speech=listen.barge_in_by_speech,
            required=HEARING & set(self.plan.workers),
        )

    # --- workers ---

    async def _start_workers(self) -> None:
        wanted = [name for name in ALL if name in self.plan.workers]
        first = [name for name in wanted if name in HEARING]
        if self.plan.audio_last:
            wanted.remove("audio")
            first = ["listen"]
        specs = self._specs()
        for name in first:
            self.supervisor.start(specs[name])
        if self.plan.service:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ready(*first), HEAR_FIRST_S)
        for name in wanted:
            if name not in first:
                self.supervisor.start(specs[name])
        if self.plan.audio_last:
            await self.ready(*wanted)
            self.supervisor.start(specs["audio"])

    def _specs(self) -> dict[str, WorkerSpec]:
        """Return how each worker is started; the heavier, the sooner it goes when memory is out."""
        settings, engines = self.settings, self.engines
        return {
            "audio": WorkerSpec(
                "audio",
                audio_process.main,
                (self.capture, self.playback, settings.audio, engines.sound_card),
                oom_score_adj=0,
            ),
            "listen": WorkerSpec(
                "listen",
                listen_process.main,
                (
                    self.capture,
                    settings.listen,
                    engines.wake_word,
                    engines.voice_activity,
                    engines.turn_model,
                ),
                oom_score_adj=100,
            ),
            "stt": WorkerSpec(
                "stt", stt_process.main, (self.capture, engines.transcriber), oom_score_adj=300
            ),
            "tts": WorkerSpec(
                "tts",
                tts_process.main,
                (self.playback, settings.tts, engines.voices),
                oom_score_adj=300,
            ),
            "llm": WorkerSpec("llm", llm_process.main, (engines.chat,), oom_score_adj=600),
        }

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
                    raise ServiceError(
                        self._last_error.get(name)
                        or f"the worker {name} does not start: {health[name].detail}"
                    )
            self._changed.clear()
            await self._changed.wait()

    _last_error: dict[str, str] = field(default_factory=dict, init=False)

    def _on_event(self, event: Event) -> None:
        if event.type == "logged" and getattr(event, "level", "") == "error":
            self._last_error[getattr(event, "worker", "")] = getattr(event, "text", "")
        self.coordinator.handle(event)
        if isinstance(event, WorkerChanged):
            self._changed.set()

    # --- for the control socket, the page and the command line ---

    def request(self, event: Event) -> None:
        """Take what a person asks for.

        Raises:
            ServiceError: it is refused; the sentence says why.
        """
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
