"""Starts the workers, watches them, and puts a new one in the place of one that dies or hangs.

A worker counts as *hung* when it answers no ping for ``hang_after_s``, or when its present job
has made no progress for ``busy_limit_s``. It is then killed; what follows is the same as after
a crash: the event ``WorkerChanged(status="failed")``, a pause that doubles with each failure in
a row, and a new process on the same rings.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from appliance.clock import monotonic
from appliance.commands import Command, Ping, Shutdown
from appliance.errors import ModelError, ServiceError
from appliance.events import Event, Logged, Pong, Ready, WorkerChanged
from appliance.ipc import MainChannel, channel_pair
from appliance.worker import WorkerContext

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
MODEL_PAUSE_S = 20.0
"""After an end for want of a model: before one comes, another start changes nothing."""
STEADY_AFTER_S = 30.0
"""A worker that ran for so long is healthy again: the next restart is quick."""
PING_EVERY_S = 1.0


@dataclass(frozen=True)
class WorkerSpec:
    """How a worker is started and when it counts as hung."""

    name: str
    target: Callable[..., None]
    """``main(context, *arguments)`` of the worker's ``process.py``."""
    arguments: tuple[Any, ...] = ()
    start_limit_s: float = 180.0
    """Loading a model from a slow card takes its time."""
    hang_after_s: float = 5.0
    busy_limit_s: float = 60.0
    oom_score_adj: int = 0
    network: bool = True


@dataclass
class WorkerHealth:
    """What is known of a worker now; part of ``/health``."""

    status: str = "stopped"
    pid: int = 0
    restarts: int = 0
    detail: str = ""
    exit_code: int = 0
    """Of the last process that ended by itself."""
    since: float = field(default_factory=monotonic)
    last_pong: float = 0.0
    stats: dict[str, float] = field(default_factory=dict)


class Supervisor:
    """Runs a set of workers and delivers their events to one asynchronous handler."""

    def __init__(self, on_event: Callable[[Event], Awaitable[None] | None]) -> None:
        self._on_event = on_event
        self._links: dict[str, _Link] = {}

    def start(self, spec: WorkerSpec) -> None:
        """Start a worker and keep it running until :meth:`stop`."""
        link = _Link(spec, self._on_event)
        self._links[spec.name] = link
        link.task = asyncio.create_task(link.run(), name=f"supervise-{spec.name}")

    def send(self, worker: str, command: Command) -> bool:
        """Send *command* if *worker* is ready; return whether it went out.

        A command for a worker that is not there is not kept: whoever needs it done sends it
        again when ``WorkerChanged(status="ready")`` comes.
        """
        link = self._links.get(worker)
        return link is not None and link.send(command)

    def health(self) -> dict[str, WorkerHealth]:
        """Return what is known of each worker, by name."""
        return {name: link.health for name, link in self._links.items()}

    def restart(self, worker: str) -> None:
        """Kill a worker, so that a new one takes its place.

        Raises:
            ServiceError: there is no such worker.
        """
        link = self._links.get(worker)
        if link is None:
            raise ServiceError(f"no worker {worker!r}; there are {', '.join(self._links)}")
        link.kill()

    async def stop(self, grace_s: float = 1.5) -> None:
        """Ask all workers to stop, then make them, within about *grace_s* plus half a second."""
        for link in self._links.values():
            link.stopping = True
            link.send_anyway(Shutdown())
        tasks = [link.task for link in self._links.values() if link.task]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace_s)
        if late:
            for link in self._links.values():
                link.kill()
            _, late = await asyncio.wait(late, timeout=0.5)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Link:
    """One worker: its process, its channel, and what is known of it."""

    def __init__(
        self, spec: WorkerSpec, on_event: Callable[[Event], Awaitable[None] | None]
    ) -> None:
        self.spec = spec
        self.health = WorkerHealth()
        self.stopping = False
        self.task: asyncio.Task[None] | None = None
        self._on_event = on_event
        self._process: SpawnProcess | None = None
        self._channel: MainChannel | None = None
        self._ready = False
        self._last_words: deque[str] = deque(maxlen=20)

    def send(self, command: Command) -> bool:
        return self._ready and self.send_anyway(command)

    def send_anyway(self, command: Command) -> bool:
        if self._channel is None:
            return False
        try:
            self._channel.send(command)
        except ServiceError:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None and self._process.pid and self._process.is_alive():
            os.kill(self._process.pid, signal.SIGKILL)

    async def run(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._told_to_stop():
            started = monotonic()
            reason = await self._run_once()
            self._ready = False
            if self._told_to_stop():
                break
            if monotonic() - started > STEADY_AFTER_S:
                pause = FIRST_PAUSE_S
            self.health.restarts += 1
            await self._change("failed", reason)
            lacking = self.health.exit_code == ModelError.exit_code
            await asyncio.sleep(MODEL_PAUSE_S if lacking else pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        await self._change("stopped")

    def _told_to_stop(self) -> bool:
        return self.stopping

    async def _run_once(self) -> str:
        """Run one process from start to end; return why it ended."""
        own_end, worker_end = channel_pair()
        context = get_context("spawn")
        output, worker_output = context.Pipe(duplex=False)
        process = context.Process(
            target=self.spec.target,
            args=(
                WorkerContext(
                    name=self.spec.name,
                    socket=worker_end,
                    output=worker_output,
                    oom_score_adj=self.spec.oom_score_adj,
                    network=self.spec.network,
                ),
                *self.spec.arguments,
            ),
            name=f"luna-{self.spec.name}",
            daemon=True,
        )
        # In the main thread: the kernel ties the child's life to the thread that started it.
        process.start()
        worker_end.close()
        worker_output.close()
        self._process = process
        self.health.pid = process.pid or 0
        self.health.last_pong = monotonic()
        self.health.exit_code = 0
        await self._change("starting")
        self._channel = await MainChannel.open(own_end)
        tasks = [
            asyncio.create_task(self._receive(self._channel)),
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._gather_output(output)),
        ]
        try:
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
            reason = next((t.result() for t in tasks[:2] if t.done()), "")
            if not self.stopping and not reason:
                await self._exited(process, 0.5)
            return reason or self._describe_exit(process)
        finally:
            self._ready = False
            self.kill()
            await self._exited(process, 1.0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._channel.close()
            self._channel = None
            output.close()
            if not process.is_alive():
                process.join()
                process.close()
            self._process = None

    async def _receive(self, channel: MainChannel) -> str:
        """Deliver the worker's events until it closes the channel; return what was wrong."""
        try:
            async for message in channel.messages():
                if isinstance(message, Pong):
                    self.health.last_pong = monotonic()
                    self.health.stats = message.stats
                    if message.busy_s > self.spec.busy_limit_s:
                        return f"its job made no progress for {message.busy_s:.0f} s"
                elif isinstance(message, Ready):
                    self._ready = True
                    self.health.last_pong = monotonic()
                    await self._change("ready", message.detail)
                elif isinstance(message, Event):
                    await self._deliver(message)
        except ServiceError as error:
            return f"it broke the protocol: {error}"
        return ""

    async def _watch(self) -> str:
        """Ping; return when the worker answers no more."""
        n = 0
        while True:
            began = monotonic()
            await asyncio.sleep(PING_EVERY_S)
            now = monotonic()
            # While this process itself stood still, nobody could have answered it.
            self.health.last_pong = min(now, self.health.last_pong + now - began - PING_EVERY_S)
            n += 1
            silent = now - self.health.last_pong
            if self._ready:
                if not self.send_anyway(Ping(n=n)):
                    return "it takes no more messages"
                if silent > self.spec.hang_after_s:
                    return f"it did not answer for {silent:.0f} s"
            elif silent > self.spec.start_limit_s:
                return f"it was not ready after {silent:.0f} s"

    async def _gather_output(self, output: Connection) -> None:
        """Turn what libraries print into log events, and keep the last lines."""
        reader = asyncio.StreamReader(limit=65536)
        pipe = os.fdopen(os.dup(output.fileno()), "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            while True:
                try:
                    line = await reader.readline()
                except ValueError:
                    continue  # longer than the limit: thrown away, as the reader has done already
                if not line:
                    return
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._last_words.append(text)
                    await self._deliver(Logged(level="debug", text=text, worker=self.spec.name))
        finally:
            # Not the file itself: the loop would go on watching its number, which is soon
            # that of another file.
            transport.close()

    async def _exited(self, process: SpawnProcess, limit_s: float) -> None:
        """Wait for the end of a process, which the kernel cannot announce to asyncio here."""
        deadline = monotonic() + limit_s
        while process.is_alive() and monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)

    def _describe_exit(self, process: SpawnProcess) -> str:
        code = process.exitcode
        if code is None:
            return "it closed its channel"
        self.health.exit_code = code
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"it was ended by {signal.Signals(-code).name}"
        last = f": {self._last_words[-1]}" if self._last_words and code else ""
        return f"it exited with {code}{last}"

    async def _change(self, status: str, detail: str = "") -> None:
        self.health.status = status
        self.health.detail = detail
        self.health.since = monotonic()
        if status in ("failed", "stopped"):
            self.health.pid = 0
        await self._deliver(
            WorkerChanged(
                worker=self.spec.name,
                status=status,
                detail=detail,
                pid=self.health.pid,
                restarts=self.health.restarts,
                exit_code=self.health.exit_code if status == "failed" else 0,
            )
        )

    async def _deliver(self, event: Event) -> None:
        result = self._on_event(event)
        if result is not None:
            await result
