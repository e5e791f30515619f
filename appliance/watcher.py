"""Watches the running service: gathers what is measured, judges it, and tells what has changed.

It looks once a second at what the main process knows already (the workers' counters arrive with
their pings) and every ten seconds at the kernel's files. Everybody hears of it by one event,
``Vitals``; the log by ``FindingChanged``.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from appliance import __version__, vitals
from appliance.clock import monotonic
from appliance.errors import ModelError
from appliance.events import (
    CaptureDropped,
    ClockChanged,
    Event,
    FindingChanged,
    Logged,
    MicrophoneChanged,
    NetworkChanged,
    SpeakerChanged,
    TurnEnded,
    WorkerChanged,
)
from appliance.events import Vitals as VitalsEvent
from appliance.missing_models import Missing
from appliance.settings import ThresholdSettings
from appliance.texts import text
from appliance.thresholds import (
    CHECKS,
    LEVELS,
    TURN_CHECKS,
    Level,
    Verdict,
    judge,
    noticeable,
    turn_figures,
    worst,
)

LOOK_S = 1.0
MEASURE_S = 10.0
MEMORY_S = 60.0
"""How often the workers' memory is added up, which takes the kernel longest."""
TELL_S = 10.0
"""A new level is told at once, all else this often at most."""
LOG_S = 600.0
"""So long after a log line on a finding there is no further one on the same, unless it is worse:
a figure that goes up and down must not fill the disk. What was missed is logged then."""
TURNS = 5
"""The latencies that count are the medians of so many turns ..."""
FEWEST_TURNS = 3
"""... of at least these, because the first one after a start is slow ..."""
TURNS_S = 1800.0
"""... and unless they are older than this."""
DROPS_S = 600.0
RESTARTS_S = 3600.0
STALLED_S = 10.0
_MEMORY_STEP_MB = 20.0
SUFFERING = frozenset(TURN_CHECKS.values()) | {"capture_queue", "capture_drops", "playback_gaps"}
_GONE = frozenset({"missing", "lost", "deaf"})
_MOVING = frozenset({"capture_blocks", "capture_queue", "playback_queue"})
"""Of the rings' figures those that change all the time."""


class Health(Protocol):
    """What is needed of :class:`appliance.supervisor.WorkerHealth`."""

    status: str
    pid: int
    restarts: int
    stats: dict[str, float]


class Recent:
    """How much of something there was lately."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._seen: deque[tuple[float, float]] = deque(maxlen=10_000)

    def add(self, now: float, amount: float = 1) -> None:
        """Note *amount* at the time *now*."""
        if amount:
            self._seen.append((now, amount))

    def total(self, now: float) -> float:
        """Return how much came within the window that ends *now*."""
        while self._seen and self._seen[0][0] < now - self._window_s:
            self._seen.popleft()
        return sum(amount for _, amount in self._seen)


class Totals:
    """Counters of workers, which begin again at 0 when a worker is started anew."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._base: dict[str, float] = {}

    def update(self, name: str, value: float) -> float:
        """Take a counter as it is now; return by how much it grew since the last time."""
        last = self._last.get(name, 0.0)
        self._last[name] = value
        if value < last:
            self._base[name] = self._base.get(name, 0.0) + last
            return value
        return value - last

    def all(self) -> dict[str, float]:
        """Return all counters since the service started."""
        return {name: value + self._base.get(name, 0.0) for name, value in self._last.items()}


_RING_COUNTERS = {
    "capture_overruns": ("listen", "overruns"),
    "capture_retries": ("listen", "crc_retries"),
    "device_overflows": ("audio", "device_overflows"),
    "playback_underruns": ("audio", "underruns"),
    "playback_retries": ("audio", "crc_retries"),
    "playback_corrupt": ("audio", "corrupt_blocks"),
}
_RING_DEPTHS = {
    "capture_queue": ("listen", "depth"),
    "playback_queue": ("audio", "playback_depth"),
}


class Watcher:
    """Measures, judges and tells.

    Args:
        settings: the limits.
        publish: takes ``Vitals`` and ``FindingChanged``.
        workers: returns what is known of each worker.
        blocks_captured: returns how many blocks the microphone has given.
        folders: whose disks are looked at, by name; ``data`` must be writable.
        missing_models: says which models are used and not installed.
        setup: what could not be used of an image's files at this start.
        clock: seconds.
    """

    def __init__(
        self,
        settings: ThresholdSettings,
        publish: Callable[[Event], None],
        workers: Callable[[], Mapping[str, Health]],
        blocks_captured: Callable[[], int],
        folders: dict[str, Path],
        missing_models: Callable[[], Missing] = Missing,
        setup: Sequence[Mapping[str, Any]] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._publish = publish
        self._workers = workers
        self._blocks_captured = blocks_captured
        self._folders = folders
        self._missing_models = missing_models
        self._missing = Missing()
        self._setup = setup
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._soon: asyncio.Handle | None = None
        self._slot = vitals.slot()
        self._machine = vitals.Machine()
        self._measured_at = self._told_at = float("-inf")
        self._looked_at = clock()
        # Only when the workers have loaded their models there is something to add up.
        self._memory_at = clock() - MEMORY_S + MEASURE_S
        self._workers_mb: dict[str, float] = {}
        self._drops, self._gaps = Recent(DROPS_S), Recent(DROPS_S)
        self._restarts = Recent(RESTARTS_S)
        self._totals = Totals()
        self._turns: deque[tuple[float, dict[str, float]]] = deque(maxlen=TURNS)
        self._flags: dict[str, float] = {}
        self._levels: dict[str, Level] = {}
        self._logged: dict[str, tuple[float, Level]] = {}
        self._told = self._news = VitalsEvent(level="ok")
        self.verdicts: dict[str, Verdict] = {}

    def start(self) -> None:
        """Begin to watch."""
        self._task = self._loop.create_task(self._run(), name="watcher")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Stop watching."""
        if self._soon:
            self._soon.cancel()
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> bool:
        """Return whether the main process gets to its work."""
        return self._clock() - self._looked_at < STALLED_S

    def current(self) -> dict[str, Any]:
        """Return how things are now, in the form of ``Vitals``, told or not."""
        return asdict(self._news)

    def sentences(self, language: str) -> list[str]:
        """Return what is not well, the worst first, for a person."""
        return [text(f["text_key"], language, **f["values"]) for f in self._findings()]

    def handle(self, event: Event) -> None:
        """Take an event of the stream; never waits."""
        now = self._clock()
        match event:
            case WorkerChanged():
                self._restarts.add(now, event.status == "failed")
            case CaptureDropped():
                self._drops.add(now, event.blocks)
            case TurnEnded():
                self._turns.append((now, turn_figures(event.timings)))
            case MicrophoneChanged():
                self._flags["microphone_down"] = float(event.status in _GONE)
            case SpeakerChanged():
                self._flags["speaker_down"] = float(event.status in _GONE)
            case ClockChanged():
                self._flags["clock_doubted"] = float(not event.trusted)
            case NetworkChanged():
                self._flags["network_down"] = float(not event.online)
            case _:
                return
        # Not now: whoever hears of this event shall hear of it before what follows from it.
        if self._soon is None and self._task is not None:
            self._soon = self._loop.call_soon(self._look)

    async def _run(self) -> None:
        while True:
            now = self._clock()
            if now - self._measured_at >= MEASURE_S:
                self._measured_at = now
                self._machine = vitals.measure(self._folders)
                self._look_for_models()
            if now - self._memory_at >= MEMORY_S:
                self._memory_at = now
                await self._add_up_memory()
            self._look()
            await asyncio.sleep(LOOK_S)

    def _look_for_models(self) -> None:
        try:
            self._missing = self._missing_models()
        except ModelError:  # the configuration is wrong, which others say
            self._missing = Missing()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._publish(Logged(level="error", text=f"nobody watches any more: {error!r}"))

    async def _add_up_memory(self) -> None:
        pids = [(name, health.pid) for name, health in self._workers().items() if health.pid]
        self._workers_mb = await self._loop.run_in_executor(
            None, vitals.processes_memory, [*pids, ("main", os.getpid())]
        )

    def _look(self) -> None:
        """Judge what is known now, and tell what has changed."""
        self._soon = None
        now = self._looked_at = self._clock()
        rings = self._rings(now)
        self.verdicts = judge(self._figures(now, rings), self._settings, self._levels)
        levels = {name: verdict.level for name, verdict in self.verdicts.items()}
        changed, self._levels = levels != self._levels, levels
        news = VitalsEvent(
            level=worst(self.verdicts),
            findings=tuple(self._findings()),
            measured={
                name: {"value": round(v.value, 2), "level": v.level}
                for name, v in self.verdicts.items()
            },
            rings=rings,
            workers_mb=self._workers_mb,
            machine=asdict(self._machine),
            version=__version__,
            slot=self._slot,
        )
        self._news = news
        if changed or (now - self._told_at >= TELL_S and self._is_news(news)):
            self._told_at, self._told = now, news
            self._publish(news)
        self._log(now)

    def _rings(self, now: float) -> dict[str, float]:
        workers = self._workers()

        def stat(worker: str, name: str) -> float:
            return workers[worker].stats.get(name, 0.0) if worker in workers else 0.0

        for name, place in _RING_COUNTERS.items():
            grown = self._totals.update(name, stat(*place))
            if name == "playback_underruns":
                self._gaps.add(now, grown)
        depths = {name: stat(*place) for name, place in _RING_DEPTHS.items()}
        blocks = {"capture_blocks": float(self._blocks_captured())}
        return blocks | depths | self._totals.all()

    def _figures(self, now: float, rings: Mapping[str, float]) -> dict[str, float]:
        """Return all figures that can be judged now."""
        figures = dict(self._flags)
        figures["capture_queue"] = rings["capture_queue"]
        figures["capture_drops"] = self._drops.total(now)
        figures["playback_gaps"] = self._gaps.total(now)
        figures["restarts"] = self._restarts.total(now)
        figures["workers_down"] = float(len(self._down()))
        figures["models_missing"] = float(len(self._missing.names))
        figures["setup_problems"] = float(len(self._setup))
        turns = [figures_of for at, figures_of in self._turns if now - at < TURNS_S]
        for name in {name for turn in turns for name in turn}:
            values = [turn[name] for turn in turns if name in turn]
            if len(values) >= FEWEST_TURNS:
                figures[name] = median(values)
        machine = self._machine
        if machine.temperature_c is not None:
            figures["temperature_c"] = machine.temperature_c
        if machine.throttled is not None:
            figures["throttled"] = float(len(machine.throttled))
        if machine.memory_mb and machine.memory_free_mb is not None:
            figures["memory_free_percent"] = 100 * machine.memory_free_mb / machine.memory_mb
        if machine.disks_free_mb:
            figures["disk_free_mb"] = min(machine.disks_free_mb.values())
            figures["data_unwritable"] = float("data" in machine.unwritable)
        if machine.cpu_wait_percent is not None and self._suffers():
            figures["cpu_wait_percent"] = machine.cpu_wait_percent
        return figures

    def _suffers(self) -> bool:
        """Return whether anything is late. Only then it matters that the processor is busy."""
        return any(self._levels.get(name, "ok") != "ok" for name in SUFFERING)

    def _down(self) -> list[str]:
        """Return the workers that have failed and are not back; the first start is none."""
        return [
            name
            for name, health in self._workers().items()
            if health.status == "failed" or (health.status == "starting" and health.restarts)
        ]

    def _findings(self) -> list[dict[str, Any]]:
        bad = [verdict for verdict in self.verdicts.values() if verdict.level != "ok"]
        bad.sort(key=lambda verdict: -LEVELS.index(verdict.level))
        return [row for verdict in bad for row in self._rows(verdict)]

    def _rows(self, verdict: Verdict) -> list[dict[str, Any]]:
        """Return a finding; of the owner's files one for each line, which says what is wrong."""
        row = {
            "name": verdict.name,
            "level": verdict.level,
            "value": round(verdict.value, 2),
            "limit": verdict.limit,
            "text_key": f"finding.{verdict.name}",
            "values": self._values(verdict),
        }
        if verdict.name != "setup_problems":
            return [row]
        return [
            {
                **row,
                "name": f"setup_problems.{number}",
                "text_key": problem["sentence"],
                "values": {name: value for name, value in problem.items() if name != "sentence"},
            }
            for number, problem in enumerate(self._setup, start=1)
        ]

    def _values(self, verdict: Verdict) -> dict[str, Any]:
        places = CHECKS[verdict.name].places or None
        values: dict[str, Any] = {
            "value": round(verdict.value, places),
            "limit": round(verdict.limit, places),
        }
        if verdict.name == "workers_down":
            values["parts"] = ", ".join(self._down())
        elif verdict.name == "models_missing":
            values |= {"parts": ", ".join(self._missing.names), "percent": self._missing.percent}
        elif verdict.name == "throttled":
            values["parts"] = ", ".join(self._machine.throttled or ()).replace("_", " ")
        return values

    def _is_news(self, news: VitalsEvent) -> bool:
        """Return whether anything has changed that a person would notice."""
        told = self._told
        if news.measured.keys() != told.measured.keys():
            return True
        if any(
            noticeable(name, figure["value"], told.measured[name]["value"])
            for name, figure in news.measured.items()
        ):
            return True
        if any(told.rings.get(n) != v for n, v in news.rings.items() if n not in _MOVING):
            return True
        names = news.workers_mb.keys() | told.workers_mb.keys()
        memory = (abs(news.workers_mb.get(n, 0) - told.workers_mb.get(n, 0)) for n in names)
        return max(memory, default=0.0) >= _MEMORY_STEP_MB

    def _log(self, now: float) -> None:
        for name, verdict in self.verdicts.items():
            at, level = self._logged.get(name, (float("-inf"), "ok"))
            worse = LEVELS.index(verdict.level) > LEVELS.index(level)
            if verdict.level == level or (now - at < LOG_S and not worse):
                continue
            self._logged[name] = now, verdict.level
            values = self._values(verdict)
            said = text(f"finding.{name}", "en", **values) if verdict.level != "ok" else ""
            self._publish(
                FindingChanged(
                    name=name,
                    level=verdict.level,
                    value=round(verdict.value, 2),
                    limit=verdict.limit,
                    text=said or text("finding.well", "en", what=text(f"check.{name}", "en")),
                )
            )
