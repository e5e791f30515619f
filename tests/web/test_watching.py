"""Health, turns, log and metrics, as programs see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from appliance import log
from appliance.bus import EventBus
from appliance.events import (
    CaptureDropped,
    MicrophoneChanged,
    ProviderUsed,
    Snapshot,
    StateChanged,
    TurnEnded,
    Vitals,
    WorkerChanged,
)
from appliance.log_buffer import LogBuffer
from appliance.settings import ThresholdSettings
from appliance.turn_log import TurnLog
from appliance.web import health, logs, metrics, turns
from appliance.web.routing import RequestError, Route
from appliance.web.services import Services

Client = TestClient[web.Request, web.Application]


class Ledger:
    async def report(self, days: int) -> dict[str, Any]:
        assert days == 1
        limits = {"tokens": 1000, "requests": None, "cost": 0.5}
        taken = {"tokens": 250, "requests": 2, "cost": 0.1}
        return {"days": [{"provider": "groq", "limits": limits, "taken": taken}]}


class World:
    """What the routes are told of Luna."""

    def __init__(self) -> None:
        self.alive = True
        self.bus = EventBus(Snapshot(state="idle", version="1.2"))
        self.turns = TurnLog(ThresholdSettings())
        self.bus.listen(self.turns.handle)
        self.log = LogBuffer()
        worker = {"status": "ready", "restarts": 2, "stats": {"tokens": 7.0}}
        self.services = cast(
            "Services",
            SimpleNamespace(
                bus=self.bus,
                alive=lambda: self.alive,
                vitals=lambda: self.bus.snapshot.vitals,
                turns=self.turns.newest,
                report=lambda: self.turns.report,
                reminders=lambda: 3,
                health=lambda: {"workers": {"llm": worker}},
                ledger=Ledger(),
                log=self.log,
            ),
        )
        for name in ("audio", "listen"):
            self.bus.publish(WorkerChanged(worker=name, status="ready", pid=1))

    def routes(self) -> list[Route]:
        modules = (health, turns, logs, metrics)
        return [route for module in modules for route in module.routes(self.services)]


@web.middleware
async def _refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except RequestError as error:
        return web.json_response({"error": str(error)}, status=error.status)
    return answer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    made.log.attach()
    level = log.logger.level
    log.logger.setLevel("INFO")
    yield made
    log.logger.setLevel(level)
    made.log.detach()


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    app = web.Application(middlewares=[_refusals])
    for route in world.routes():
        app.router.add_route(route.method, route.path, route.handler)
    async with TestClient(TestServer(app)) as made:
        yield made


async def test_health_says_one_word(client: Client, world: World) -> None:
    answer = await client.get("/health")
    assert (answer.status, await answer.json()) == (200, {"status": "ok"})
    world.alive = False
    answer = await client.get("/health")
    assert (answer.status, await answer.json()) == (503, {"status": "stalled"})


async def test_ready_is_when_wake_word_and_button_work(client: Client, world: World) -> None:
    async def status() -> int:
        return (await client.get("/ready")).status

    assert await status() == 200
    world.bus.publish(WorkerChanged(worker="llm", status="failed"))
    assert await status() == 200  # the box hears all the same
    world.bus.publish(MicrophoneChanged(status="muted"))
    world.bus.publish(StateChanged(state="muted"))
    assert await status() == 200
    world.bus.publish(MicrophoneChanged(status="lost"))
    assert await status() == 503
    world.bus.publish(MicrophoneChanged(status="open"))
    world.bus.publish(WorkerChanged(worker="listen", status="failed"))
    assert await status() == 503
    world.bus.publish(WorkerChanged(worker="listen", status="ready"))
    world.bus.publish(StateChanged(state="starting"))
    answer = await client.get("/ready")
    assert (answer.status, await answer.json()) == (503, {"status": "not ready"})


def test_only_health_and_readiness_are_open() -> None:
    async def scopes() -> dict[str, str]:
        return {route.path: route.scope for route in World().routes()}

    assert asyncio.run(scopes()) == {
        "/health": "open",
        "/ready": "open",
        "/api/v1/turns": "read",
        "/api/v1/report": "read",
        "/api/v1/logs": "read",
        "/api/v1/logs/stream": "read",
        "/metrics": "read",
    }


async def test_turns(client: Client, world: World) -> None:
    for number in (1, 2, 3):
        timings = {"stt_ms": 4000.0}
        ended = TurnEnded(turn_id=number, source="text", outcome="answered", timings=timings)
        world.bus.publish(ended)
    found = (await (await client.get("/api/v1/turns?limit=2")).json())["turns"]
    assert [turn["turn_id"] for turn in found] == [3, 2]
    assert found[0]["verdicts"] == {"stt_s": "critical"}
    assert await (await client.get("/api/v1/report")).json() == {}
    for bad in ("limit=0", "limit=201", "limit=x", "other=1", "limit=1&limit=2"):
        assert (await client.get(f"/api/v1/turns?{bad}")).status == 400


async def test_logs_and_their_stream(client: Client) -> None:
    log.logger.warning("first")
    log.logger.info("second")
    found = (await (await client.get("/api/v1/logs?level=warning")).json())["lines"]
    assert [line["text"] for line in found] == ["first"]
    assert (await client.get("/api/v1/logs?level=loud")).status == 400
    async with client.get("/api/v1/logs/stream?contains=third") as answer:
        assert answer.content_type == "text/event-stream"
        assert (await answer.content.readline()).startswith(b":")
        log.logger.info("not this")
        log.logger.info("the third\nevent: forged")
        lines = [await answer.content.readline() for _ in range(4)]
    assert lines[2] == b"event: line\n"
    assert json.loads(lines[3].removeprefix(b"data: "))["text"] == "the third\nevent: forged"


async def test_too_many_readers_of_the_log_are_refused(client: Client) -> None:
    streams = [await client.get("/api/v1/logs/stream") for _ in range(logs.MAX_READERS)]
    assert (await client.get("/api/v1/logs/stream")).status == 503
    for stream in streams:
        stream.close()


async def test_the_stream_ends_with_the_log(client: Client, world: World) -> None:
    async with client.get("/api/v1/logs/stream") as answer:
        await answer.content.readline()
        world.log.detach()
        assert b"event" not in await answer.content.read()


# --- metrics ---------------------------------------------------------------------------------

VITALS = Vitals(
    level="warning",
    measured={
        "temperature_c": {"value": 77.0, "level": "warning"},
        "capture_queue": {"value": 0.0, "level": "ok"},
    },
    rings={"capture_blocks": 500.0, "capture_queue": 2.0, "playback_underruns": 1.0},
    workers_mb={"llm": 512.5},
    machine={
        "temperature_c": 77.0,
        "throttled": ("under_voltage",),
        "memory_mb": 8000.0,
        "memory_free_mb": 2000.0,
        "load": 0.5,
        "disks_free_mb": {"data": 10_000.0},
        "network": True,
    },
    slot="a",
)


async def samples(client: Client) -> list[Sample]:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(await answer.text())
    return [sample for family in families for sample in family.samples]


def value(found: list[Sample], name: str, /, **labels: str) -> float:
    (one,) = [s.value for s in found if s.name == name and s.labels.items() >= labels.items()]
    return one


async def test_metrics_of_a_quiet_box_can_be_read(client: Client) -> None:
    found = await samples(client)
    assert value(found, "luna_state", state="idle") == 1
    assert value(found, "luna_reminders_waiting") == 3
    assert value(found, "luna_build_info", version="1.2", slot="") == 1


async def test_metrics(client: Client, world: World) -> None:
    bus = world.bus
    bus.publish(VITALS)
    bus.publish(CaptureDropped(blocks=4, where="listen"))
    bus.publish(WorkerChanged(worker="stt", status="failed"))
    used = ProviderUsed(
        turn_id=1,
        role="chat",
        provider='gr"oq\n',
        model="m",
        outcome="finished",
        prompt_tokens=30,
        completion_tokens=12,
        cost=0.25,
        first_token_ms=400,
    )
    bus.publish(used)
    bus.publish(replace(used, outcome="timeout", prompt_tokens=0, completion_tokens=0, cost=0))
    for seconds in (0.4, 2.5):
        timings = {"stt_ms": seconds * 1000, "playback_ms": 0.0}
        bus.publish(
            TurnEnded(turn_id=1, source="wake", outcome="answered", timings=timings, question="s3c")
        )
    found = await samples(client)
    stage = "luna_turn_stage_seconds"
    assert value(found, f"{stage}_count", stage="stt") == 2
    assert value(found, f"{stage}_sum", stage="stt") == pytest.approx(2.9)
    assert value(found, f"{stage}_bucket", stage="stt", le="0.5") == 1
    assert value(found, f"{stage}_bucket", stage="stt", le="3.0") == 2
    assert not [s for s in found if s.labels.get("stage") == "end_to_end"]  # there was none
    assert value(found, "luna_turns_total", source="wake", outcome="answered") == 2
    assert value(found, "luna_tokens_total", direction="in") == 30
    assert value(found, "luna_cost_dollars_total") == 0.25
    assert value(found, "luna_provider_requests_total", outcome="timeout") == 1
    assert value(found, "luna_capture_dropped_blocks_total", where="listen") == 4
    assert value(found, "luna_worker_failures_total", worker="stt") == 1
    assert value(found, "luna_worker_restarts_total", worker="llm") == 2
    assert value(found, "luna_worker_up", worker="llm") == 1
    assert value(found, "luna_worker_stat", worker="llm", name="tokens") == 7
    assert value(found, "luna_worker_memory_bytes", worker="llm") == 512.5e6
    assert value(found, "luna_quota_used", provider="groq", measure="tokens") == 250
    assert value(found, "luna_quota_limit", provider="groq", measure="cost") == 0.5
    assert value(found, "luna_ring_capture_blocks_total") == 500
    assert value(found, "luna_ring_capture_queue") == 2
    assert value(found, "luna_temperature_celsius") == 77
    assert value(found, "luna_throttled") == 1
    assert value(found, "luna_memory_free_bytes") == 2e9
    assert value(found, "luna_disk_free_bytes", folder="data") == 1e10
    assert value(found, "luna_verdict", check="temperature_c") == 1
    assert value(found, "luna_verdict", check="capture_queue") == 0
    assert "s3c" not in await (await client.get("/metrics")).text()


async def test_metrics_come_also_when_the_ledger_does_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appliance.errors import StorageError

    async def broken(_: Ledger, days: int) -> dict[str, Any]:
        raise StorageError("the ledger cannot be read")

    monkeypatch.setattr(Ledger, "report", broken)
    found = await samples(client)
    assert not [s for s in found if s.name == "luna_quota_used"]


async def test_every_metric_is_documented(client: Client, world: World) -> None:
    world.bus.publish(VITALS)
    text = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    answer = await (await client.get("/metrics")).text()
    for family in text_string_to_metric_families(answer):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}" in text, name
