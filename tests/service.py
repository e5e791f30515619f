"""Luna as a child process of a test: `luna run`, and what its event stream says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from appliance import paths

LUNA = [sys.executable, "-m", "appliance.cli"]
LIMIT_S = 60.0

Events = list[dict[str, Any]]


class Service:
    """A running `luna run`, followed through its control socket."""

    def __init__(self, folder: Path, env: dict[str, str], *arguments: str) -> None:
        self.folder = folder
        self.env = {
            **env,
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "DATA_DIR": str(folder / "data"),
            "LUNA_MODELS_DIR": str(paths.models_dir()),
            "LUNA_WEB__PORT": "0",
            "LUNA_OWN_SERVICE": "1",
        }
        self._log = (folder / "luna.log").open("wb")
        self.process = subprocess.Popen(
            [*LUNA, "run", *arguments],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
        )
        self._received = b""
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        path = self.folder / "luna/control.sock"
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
            except OSError:
                connection.close()
                time.sleep(0.05)
                continue
            return connection
        raise AssertionError(f"Luna did not start:\n{self.log()}")

    def log(self) -> str:
        """Return the log so far."""
        return (self.folder / "luna.log").read_text(errors="replace")

    def send(self, kind: str, **fields: object) -> None:
        """Send a request."""
        self._socket.sendall(json.dumps({"type": kind, **fields}).encode() + b"\n")

    def next_event(self, limit_s: float = LIMIT_S) -> dict[str, Any]:
        """Return the next event of the stream."""
        self._socket.settimeout(limit_s)
        while b"\n" not in self._received:
            try:
                data = self._socket.recv(65536)
            except TimeoutError as error:
                raise AssertionError(f"no event within {limit_s} s:\n{self.log()}") from error
            assert data, f"Luna hung up:\n{self.log()}"
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        event: dict[str, Any] = json.loads(line)
        return event

    def until(self, wanted: Callable[[dict[str, Any]], bool], limit_s: float = LIMIT_S) -> Events:
        """Return the events up to the first that is *wanted*."""
        events: Events = []
        deadline = time.monotonic() + limit_s
        while not events or not wanted(events[-1]):
            left = deadline - time.monotonic()
            assert left > 0, f"it did not come within {limit_s} s; events: {events}\n{self.log()}"
            events.append(self.next_event(left))
        return events

    def until_type(self, kind: str, limit_s: float = LIMIT_S, **fields: object) -> Events:
        """Return the events up to the first of this type with these fields."""
        return self.until(
            lambda e: e["type"] == kind and all(e.get(k) == v for k, v in fields.items()), limit_s
        )

    def health(self) -> dict[str, Any]:
        """Return the health report."""
        self.send("health_requested")
        report: dict[str, Any] = self.until_type("health")[-1]["report"]
        return report

    def until_ready(self, *workers: str) -> None:
        """Wait until these workers (none: all) are ready."""
        names = workers or ("audio", "listen", "stt", "tts", "llm")
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            found = self.health()["workers"]
            if all(found.get(name, {}).get("status") == "ready" for name in names):
                return
            time.sleep(0.1)
        raise AssertionError(f"not ready: {found}\n{self.log()}")

    def pid(self, worker: str) -> int:
        """Return the process id of a worker."""
        return int(self.health()["workers"][worker]["pid"])

    def stop(self) -> float:
        """Stop with SIGTERM; return how long it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                raise
        return time.monotonic() - began

    def close(self) -> None:
        """Hang up and end the process."""
        self._socket.close()
        try:
            self.stop()
        finally:
            self._log.close()


@contextmanager
def service(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[Service]:
    """Run Luna while the context lasts."""
    luna = Service(folder, dict(os.environ) if env is None else env, *arguments)
    try:
        yield luna
    finally:
        luna.close()


def shared_memory(pid: int = 0) -> set[str]:
    """Return the names of the shared-memory segments that a process (0: this one) made."""
    return {
        name for name in os.listdir("/dev/shm") if name.startswith(f"luna_{pid or os.getpid()}_")
    }
