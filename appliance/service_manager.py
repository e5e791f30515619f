"""Tells systemd how the service is: ready, what it is loading, alive, stopping (sd_notify(3)).

The protocol is one datagram a message, so no library is needed. Without systemd nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from appliance.events import Event, Logged, StateChanged, WorkerChanged

MICROSECOND = 1e-6
FEEDS = 3
"""The watchdog is fed so often within its time."""
SILENT_S = 20.0
"""A worker that is ready answers a ping each second or so; longer than this it hangs."""
DEAF_S = 20.0
"""An open microphone delivers a block each 20 ms; the audio worker opens it again far sooner."""


class ServiceManager:
    """The line to systemd.

    Args:
        publish: takes an event for the log.
        workers: that will be started; until they are, they count as loading.
        environ: has ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` where systemd started the service.
    """

    def __init__(
        self,
        publish: Callable[[Event], None],
        workers: Iterable[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._publish = publish
        self._address = environ.get("NOTIFY_SOCKET", "")
        limit = environ.get("WATCHDOG_USEC", "")
        self._feed_s = float(limit) * MICROSECOND / FEEDS if limit.isdecimal() else 0.0
        self._ready = False
        self._workers = dict.fromkeys(workers, "starting")

    def handle(self, event: Event) -> None:
        """Take every event: what changes in workers and state is told."""
        if isinstance(event, StateChanged):
            # The wake word and the button work; models may still be loading.
            if not self._ready and event.state not in ("starting", "error"):
                self._ready = True
                self.tell("READY=1")
            self._tell_status(event.state)
        elif isinstance(event, WorkerChanged):
            self._workers[event.worker] = event.status
            self._tell_status("")

    def _tell_status(self, state: str) -> None:
        failed = [name for name, status in self._workers.items() if status == "failed"]
        waiting = [name for name, status in self._workers.items() if status != "ready"]
        loading = [name for name in waiting if name not in failed]
        parts = [state] if state else []
        parts += [f"failed: {', '.join(sorted(failed))}"] if failed else []
        parts += [f"loading: {', '.join(sorted(loading))}"] if loading else []
        parts += [] if waiting else ["everything is loaded"]
        self.tell(f"STATUS={'; '.join(parts)}")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self.tell("STOPPING=1")

    async def feed_watchdog(self, health: Callable[[], Mapping[str, Any]]) -> None:
        """Feed the watchdog for ever, as long as all is well.

        Args:
            health: returns the report of the running service.
        """
        said = ""
        while self._feed_s:
            problem = trouble(health())
            if not problem:
                self.tell("WATCHDOG=1")
            elif problem != said:
                self._publish(Logged(level="error", text=f"the watchdog is not fed: {problem}"))
            said = problem
            await asyncio.sleep(self._feed_s)

    def tell(self, message: str) -> None:
        """Send a message; a manager that does not listen is no reason to fail."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as line, contextlib.suppress(OSError):
            line.sendto(message.encode(), address)


def trouble(report: Mapping[str, Any]) -> str:
    """Return why the service must be started again; empty while it need not be.

    A microphone that is unplugged or muted is none: there is nothing that a restart would mend.
    A worker that is just being started again is the supervisor's to look after.
    """
    for name, worker in report["workers"].items():
        silent = worker["last_pong_s"]
        if worker["status"] == "ready" and silent is not None and silent > SILENT_S:
            return f"the worker {name} has not answered for {silent:.0f} s"
    if report["microphone"].get("status") == "open":
        stats = report["workers"].get("audio", {}).get("stats", {})
        deaf = stats.get("seconds_since_block", 0.0)
        if deaf > DEAF_S:
            return f"the microphone is open, and nothing was captured for {deaf:.0f} s"
    return ""
