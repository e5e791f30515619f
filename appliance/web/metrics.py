"""`/metrics` for Prometheus; ``docs/metrics.md`` lists the names.

What happens (turns, tokens, faults) is counted as the events come. What is (rings, memory,
quotas, verdicts) is read at the moment of the scrape. No label ever holds what a person said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from appliance.clock import monotonic
from appliance.errors import LunaError
from appliance.events import CaptureDropped, Event, ProviderUsed, TurnEnded, WorkerChanged
from appliance.web.routing import Doc, Route
from appliance.web.services import Services

STAGES = {
    "listen_ms": "listen",
    "endpoint_ms": "endpoint",
    "stt_ms": "stt",
    "first_token_ms": "first_token",
    "synthesis_ms": "synthesis",
    "first_audio_ms": "first_audio",
    "playback_ms": "end_to_end",
    "total_ms": "total",
}
"""Stage by timing of a turn; see ``docs/events.md`` for where each begins and ends."""
BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 10.0, 20.0, 60.0)
"""Seconds. The limits of ``[thresholds]`` as they are set at first are among them."""
LEVELS = {"ok": 0, "warning": 1, "critical": 2}
QUOTA_S = 30.0
"""The ledger is read from the disk this often at most."""
MEGABYTE = 1_000_000


class Metrics:
    """Counts events, and answers a scrape."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ledger: list[dict[str, Any]] = []
        self._ledger_at = float("-inf")
        registry = self.registry = CollectorRegistry()
        self._stages = Histogram(
            "luna_turn_stage_seconds",
            "Latency of a stage of a turn",
            ["stage"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._turns = Counter(
            "luna_turns", "Turns that are over", ["source", "outcome"], registry=registry
        )
        self._requests = Counter(
            "luna_provider_requests",
            "Requests to providers and to the box's own models (local)",
            ["provider", "role", "outcome"],
            registry=registry,
        )
        self._tokens = Counter(
            "luna_tokens", "Tokens read and written", ["provider", "direction"], registry=registry
        )
        self._cost = Counter(
            "luna_cost_dollars", "What requests cost by the owner's prices", ["provider"],
            registry=registry,
        )  # fmt: skip
        self._first = Histogram(
            "luna_provider_first_token_seconds",
            "From the request to the first token",
            ["provider"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._drops = Counter(
            "luna_capture_dropped_blocks", "Captured blocks that were lost", ["where"],
            registry=registry,
        )  # fmt: skip
        self._failures = Counter(
            "luna_worker_failures", "Workers that died or hung", ["worker"], registry=registry
        )
        registry.register(_Present(services, lambda: self._ledger))
        services.bus.listen(self.handle)

    def handle(self, event: Event) -> None:
        """Take an event of the stream."""
        match event:
            case TurnEnded():
                self._turns.labels(event.source, event.outcome).inc()
                for key, stage in STAGES.items():
                    if milliseconds := event.timings.get(key, 0.0):
                        self._stages.labels(stage).observe(milliseconds / 1000)
            case ProviderUsed():
                self._requests.labels(event.provider, event.role, event.outcome).inc()
                self._tokens.labels(event.provider, "in").inc(event.prompt_tokens)
                self._tokens.labels(event.provider, "out").inc(event.completion_tokens)
                self._cost.labels(event.provider).inc(event.cost)
                if event.first_token_ms:
                    self._first.labels(event.provider).observe(event.first_token_ms / 1000)
            case CaptureDropped():
                self._drops.labels(event.where).inc(event.blocks)
            case WorkerChanged(status="failed"):
                self._failures.labels(event.worker).inc()

    async def scrape(self, _: web.Request) -> web.Response:
        """Answer Prometheus."""
        if monotonic() - self._ledger_at > QUOTA_S:
            try:
                report = await self._services.ledger.report(1)
            except LunaError:
                report = {}  # the log and `luna quota` say why; the other figures matter too
            self._ledger_at, self._ledger = monotonic(), report.get("days", [])
        return web.Response(
            body=generate_latest(self.registry),
            headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4},
        )


class _Present:
    """How things are now, in Prometheus's form."""

    def __init__(self, services: Services, ledger: Any) -> None:
        self._services = services
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of this moment."""
        snapshot = self._services.bus.current()
        vitals = self._services.vitals()
        yield InfoMetricFamily(
            "luna_build",
            "Which Luna this is",
            {"version": snapshot.version, "slot": vitals.get("slot", "")},
        )
        yield _one("luna_uptime_seconds", "Since the service started", snapshot.uptime_s)
        yield _one("luna_muted", "The microphone is switched off", float(snapshot.muted))
        yield _by("luna_state", "1 for the present state", "state", [(snapshot.state, 1.0)])
        yield _one("luna_reminders_waiting", "Reminders to come", self._services.reminders())
        yield from self._workers()
        yield from _rings(vitals.get("rings", {}))
        yield from _machine(vitals.get("machine", {}))
        memory = [(name, mb * MEGABYTE) for name, mb in vitals.get("workers_mb", {}).items()]
        yield _by("luna_worker_memory_bytes", "Proportional set size", "worker", memory)
        measured = vitals.get("measured", {})
        yield _by(
            "luna_verdict",
            "0 well, 1 warning, 2 critical, by the limits of [thresholds]",
            "check",
            [(name, float(LEVELS[found["level"]])) for name, found in measured.items()],
        )
        yield _by(
            "luna_verdict_value",
            "The figure that is judged",
            "check",
            [(name, found["value"]) for name, found in measured.items()],
        )
        yield from self._quota()

    def _workers(self) -> Iterator[Metric]:
        workers = self._services.health()["workers"]
        up = [(name, float(w["status"] == "ready")) for name, w in workers.items()]
        yield _by("luna_worker_up", "The worker is ready", "worker", up)
        restarts = CounterMetricFamily(
            "luna_worker_restarts", "Restarts since the service started", labels=["worker"]
        )
        for name, worker in workers.items():
            restarts.add_metric([name], worker["restarts"])
        yield restarts
        stats = GaugeMetricFamily(
            "luna_worker_stat", "Counters of the workers themselves", labels=["worker", "name"]
        )
        for name, worker in workers.items():
            for stat, value in worker["stats"].items():
                stats.add_metric([name, stat], value)
        yield stats

    def _quota(self) -> Iterator[Metric]:
        used = GaugeMetricFamily(
            "luna_quota_used", "Used today, with what is reserved", labels=["provider", "measure"]
        )
        limit = GaugeMetricFamily(
            "luna_quota_limit", "Today's limit", labels=["provider", "measure"]
        )
        for row in self._ledger():
            for measure, value in row["taken"].items():
                used.add_metric([row["provider"], measure], value)
            for measure, allowed in row["limits"].items():
                if allowed is not None:
                    limit.add_metric([row["provider"], measure], allowed)
        yield used
        yield limit


def _rings(rings: dict[str, float]) -> Iterator[Metric]:
    for name, value in rings.items():
        kind = GaugeMetricFamily if name.endswith("_queue") else CounterMetricFamily
        yield kind(f"luna_ring_{name}", "See docs/metrics.md", value=value)


def _machine(machine: dict[str, Any]) -> Iterator[Metric]:
    if (degrees := machine.get("temperature_c")) is not None:
        yield _one("luna_temperature_celsius", "Of the processor", degrees)
    if (reasons := machine.get("throttled")) is not None:
        yield _one("luna_throttled", "Reasons for which the processor is slow", len(reasons))
    if machine.get("memory_mb"):
        yield _one("luna_memory_bytes", "Memory of the machine", machine["memory_mb"] * MEGABYTE)
        free = machine["memory_free_mb"] * MEGABYTE
        yield _one("luna_memory_free_bytes", "What programs can still get", free)
    yield _one("luna_load", "Mean load of a core over a minute", machine.get("load", 0.0))
    yield _one("luna_network", "There is a way out", float(machine.get("network", False)))
    disks = machine.get("disks_free_mb", {})
    free_bytes = [(name, mb * MEGABYTE) for name, mb in disks.items()]
    yield _by("luna_disk_free_bytes", "Free on the disk of a folder", "folder", free_bytes)


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _by(name: str, meaning: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


def routes(services: Services) -> list[Route]:
    """Return the route of the metrics; counting begins with this call."""
    metrics = Metrics(services)
    return [
        Route(
            "GET",
            "/metrics",
            metrics.scrape,
            "read",
            doc=Doc("Figures for Prometheus.", answer_types=(CONTENT_TYPE_PLAIN_0_0_4,)),
        )
    ]
