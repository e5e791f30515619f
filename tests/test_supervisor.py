"""The supervisor with real processes that die, hang, babble and refuse to start."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from appliance import supervisor
from appliance.commands import Cancel, Command, PlayEarcon
from appliance.errors import ModelError, ServiceError
from appliance.events import Event, Logged, Ready, WorkerChanged
from appliance.ipc import WorkerChannel
from appliance.supervisor import Supervisor, WorkerSpec
from appliance.worker import WorkerContext, serve


class Echo:
    """Answers commands with log lines; misbehaves when told to."""

    def __init__(self, channel: WorkerChannel) -> None:
        self.channel = channel
        self.busy = 0.0
        channel.send(Ready(worker="echo", detail="echo"))

    def handle(self, command: Command) -> None:
        if isinstance(command, PlayEarcon):
            match command.name:
                case "print":
                    print("a library talks", file=sys.stderr, flush=True)
                case "garbage":
                    self.channel._socket.sendall(b"{not json\n")
                case "busy":
                    self.busy = 1000.0
                case "stuck":
                    time.sleep(60)
        self.channel.send(Logged(level="info", text=command.type, worker="echo"))

    def busy_s(self) -> float:
        return self.busy

    def stats(self) -> dict[str, float]:
        return {"answers": 42.0}

    def close(self) -> None:
        pass


def echo(context: WorkerContext) -> None:
    serve(context, Echo)


def breaks(context: WorkerContext) -> None:
    def build(_: WorkerChannel) -> Echo:
        raise ServiceError("it does not work")

    serve(context, build)


def refuses(context: WorkerContext) -> None:
    def build(_: WorkerChannel) -> Echo:
        raise ModelError("the model is missing; fetch it")

    serve(context, build)


class Box:
    """A supervisor and what it reported."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.changed = asyncio.Event()
        self.supervisor = Supervisor(self._take)

    def _take(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, kind: type[Event], count: int = 1, **fields: object) -> Event:
        async with asyncio.timeout(20):
            while True:
                found = [
                    e
                    for e in self.events
                    if isinstance(e, kind) and all(getattr(e, n) == v for n, v in fields.items())
                ]
                if len(found) >= count:
                    return found[count - 1]
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def running(*specs: WorkerSpec) -> AsyncIterator[Box]:
    box = Box()
    for spec in specs:
        box.supervisor.start(spec)
    try:
        yield box
    finally:
        began = time.monotonic()
        await box.supervisor.stop()
        assert time.monotonic() - began < 3.0


async def test_commands_events_and_health() -> None:
    async with running(WorkerSpec("echo", echo)) as box:
        assert not box.supervisor.send("echo", Cancel(turn_id=1))
        await box.until(WorkerChanged, status="ready", detail="echo")
        assert box.supervisor.send("echo", Cancel(turn_id=1))
        await box.until(Logged, text="cancel")
        assert not box.supervisor.send("nobody", Cancel(turn_id=1))
        while not box.supervisor.health()["echo"].stats:
            await asyncio.sleep(0.1)
        assert box.supervisor.health()["echo"].stats == {"answers": 42.0}
        box.supervisor.send("echo", PlayEarcon(name="print"))
        await box.until(Logged, text="a library talks", level="debug")


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSTOP", "garbage", "busy"])
async def test_a_worker_that_fails_is_replaced(fault: str) -> None:
    spec = WorkerSpec("echo", echo, hang_after_s=2.0, busy_limit_s=10.0)
    async with running(spec, WorkerSpec("other", echo)) as box:
        await box.until(WorkerChanged, worker="echo", status="ready")
        await box.until(WorkerChanged, worker="other", status="ready")
        first = box.supervisor.health()["echo"].pid
        other = box.supervisor.health()["other"].pid
        if fault.startswith("SIG"):
            os.kill(first, signal.Signals[fault])
        else:
            box.supervisor.send("echo", PlayEarcon(name=fault))
        failed = await box.until(WorkerChanged, worker="echo", status="failed")
        await box.until(WorkerChanged, 2, worker="echo", status="ready")
        reasons = {
            "SIGKILL": "SIGKILL",
            "SIGSTOP": "did not answer",
            "garbage": "protocol",
            "busy": "no progress",
        }
        assert isinstance(failed, WorkerChanged)
        assert reasons[fault] in failed.detail
        health = box.supervisor.health()
        assert health["echo"].restarts == 1
        assert health["echo"].pid != first
        assert (health["other"].pid, health["other"].restarts) == (other, 0)
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)


async def test_no_worker_is_blamed_while_the_main_process_itself_stands_still() -> None:
    async with running(WorkerSpec("echo", echo, hang_after_s=1.0)) as box:
        await box.until(WorkerChanged, worker="echo", status="ready")
        time.sleep(2.5)
        await asyncio.sleep(2.5)
        health = box.supervisor.health()["echo"]
        assert (health.status, health.restarts) == ("ready", 0)


async def test_without_its_model_it_says_so_and_is_tried_again_much_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "MODEL_PAUSE_S", 0.5)
    async with running(WorkerSpec("sad", refuses)) as box:
        error = await box.until(Logged, level="error")
        assert isinstance(error, Logged)
        assert error.text == "the model is missing; fetch it"
        first = await box.until(WorkerChanged, status="failed")
        assert isinstance(first, WorkerChanged)
        assert first.exit_code == 4
        again = await box.until(WorkerChanged, 2, status="starting")
        assert again.at - first.at >= 0.5


async def test_one_that_cannot_start_is_tried_again_later_and_later() -> None:
    async with running(WorkerSpec("sad", breaks)) as box:
        first = await box.until(WorkerChanged, status="failed")
        third = await box.until(WorkerChanged, 3, status="failed")
        assert isinstance(third, WorkerChanged)
        assert third.restarts == 3
        assert "exited with 6" in third.detail
        # The pause doubles: 0.1 s, 0.2 s, ...
        assert third.at - first.at > 0.3


async def test_stop_ends_one_that_is_stuck_and_restart_is_by_name() -> None:
    async with running(WorkerSpec("echo", echo)) as box:
        await box.until(WorkerChanged, status="ready")
        with pytest.raises(ServiceError, match="no worker 'nobody'; there are echo"):
            box.supervisor.restart("nobody")
        box.supervisor.restart("echo")
        await box.until(WorkerChanged, 2, status="ready")
        pid = box.supervisor.health()["echo"].pid
        box.supervisor.send("echo", PlayEarcon(name="stuck"))
        await asyncio.sleep(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_no_file_descriptor_leaks() -> None:
    async with running(WorkerSpec("echo", echo)) as box:
        await box.until(WorkerChanged, status="ready")
        before = len(os.listdir("/proc/self/fd"))
        for count in range(2, 5):
            box.supervisor.restart("echo")
            await box.until(WorkerChanged, count, status="ready")
        assert len(os.listdir("/proc/self/fd")) <= before + 1
