"""The stream of events over a real kill and a new start of the real service."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

from tests.service import Service, service


class Stream:
    """A reader at the Unix socket of a service."""

    def __init__(self, luna: Service, last: str = "") -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(luna.folder / "luna/api.sock"))
        header = f"Last-Event-ID: {last}\r\n" if last else ""
        self._socket.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        self._received = b""

    def next(self) -> tuple[str, dict[str, object]]:
        """Return id and data of the next event."""
        number = ""
        while True:
            while b"\n" not in self._received:
                data = self._socket.recv(65536)
                assert data, "the stream has ended"
                self._received += data
            line, self._received = self._received.split(b"\n", 1)
            if line.startswith(b"id: "):
                number = line[4:].decode()
            elif line.startswith(b"data: "):
                return number, json.loads(line[6:])

    def ends(self) -> bool:
        """Return whether the service hangs up."""
        try:
            while self._socket.recv(65536):
                pass
        except ConnectionError:
            pass
        return True

    def close(self) -> None:
        self._socket.close()


def test_a_new_run_begins_with_a_snapshot(short_path: Path) -> None:
    with service(short_path, "--fake") as luna:
        luna.until_ready()
        stream = Stream(luna)
        first, snapshot = stream.next()
        assert snapshot["type"] == "snapshot"
        luna.send("mute_requested", muted=True)
        last = first
        while True:
            last, event = stream.next()
            if event["type"] == "mute_requested":
                break
        stream.close()
        luna.send("mute_requested", muted=False)
        again = Stream(luna, last)
        kinds = []
        while "mute_requested" not in kinds:
            number, event = again.next()
            kinds.append(event["type"])
        assert "snapshot" not in kinds
        luna.send("restart_requested", worker="tts")
        while event["type"] != "worker_changed":
            number, event = again.next()
        assert (event["worker"], event["status"]) == ("tts", "failed")
        os.kill(luna.process.pid, signal.SIGKILL)
        luna.process.wait(10)
        assert again.ends()
        again.close()
    with service(short_path, "--fake") as luna:
        luna.until_ready()
        stream = Stream(luna, number)
        fresh, snapshot = stream.next()
        assert snapshot["type"] == "snapshot"
        assert fresh.partition("-")[0] != number.partition("-")[0]
        stream.close()
