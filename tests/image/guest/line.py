"""Runs in the box, on the service's control socket; `luna` itself takes an emulated box longer.

python3 line.py ready [PID ...]   wait until every worker is ready and none of them, nor the
                                  service, is one of these processes; print the health report
python3 line.py ask               press the button, have the question said, print the turn
"""

import json
import socket
import sys
import time
from pathlib import Path

CONTROL = "/run/luna/control.sock"
WORKERS = {"audio", "listen", "stt", "tts", "llm"}
ASK = Path("/run/ask")
"""When it is there, the voice beside the microphone says the question."""


class Line:
    """A connection; what it sends and receives are lines of JSON."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(90)  # of the box's own time, without a word from Luna
        self._socket.connect(CONTROL)
        self._received = self._socket.makefile("rb")

    def send(self, kind):
        self._socket.sendall(json.dumps({"type": kind}).encode() + b"\n")

    def events(self):
        for text in self._received:
            yield json.loads(text)
        raise ConnectionError("Luna hung up")


def ready(gone):
    while True:
        try:
            line = Line()
            while True:
                line.send("health_requested")
                report = next(e["report"] for e in line.events() if e["type"] == "health")
                workers = report["workers"]
                good = {name for name, found in workers.items() if found["status"] == "ready"}
                pids = {report["pid"], *(found["pid"] for found in workers.values())}
                if good == WORKERS and not gone & pids:
                    print(json.dumps(report))
                    return
                time.sleep(2)
        except OSError:
            time.sleep(2)  # it is being started again


def ask():
    line, turn = Line(), 0
    line.send("button_pressed")
    for event in line.events():
        if event["type"] == "state_changed" and event["state"] == "listening":
            ASK.touch()
        if event["type"] == "turn_started" and not turn:
            turn = event["turn_id"]
        if turn and event.get("turn_id") == turn:
            print(json.dumps(event), flush=True)
            if event["type"] == "turn_ended":
                return


if sys.argv[1] == "ready":
    ready({int(word) for word in sys.argv[2:]})
else:
    ask()
