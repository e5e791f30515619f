"""The service: whether it runs, answers, and is started with the machine."""

from __future__ import annotations

from collections.abc import Iterator

from appliance import paths
from appliance.doctor.finding import Box, Finding
from appliance.doctor.systemd import Unit, unit


def check(box: Box) -> Iterator[Finding]:
    """Yield the state of the service."""
    found = unit()
    if box.silence:
        yield Finding("service.silent", "failure", {"detail": box.silence}, "luna restart")
    elif box.running:
        report = box.report or {}
        values = {"pid": report["pid"], "minutes": round(report["uptime_s"] / 60)}
        yield Finding("service.ok", values=values)
    elif found is not None:
        yield from _stopped(found)
    else:
        values = {"socket": str(paths.control_socket())}
        yield Finding("service.none", values=values, skipped=True, command="luna run")
    if found is not None and not found.enabled:
        yield Finding("service.not_enabled", "warning", command="sudo systemctl enable luna")


def _stopped(found: Unit) -> Iterator[Finding]:
    values = {"state": found.active, "result": found.result}
    start = "sudo systemctl restart luna"
    if found.active == "failed":
        yield Finding("service.failed", "failure", values, "journalctl -u luna -n 50")
    elif found.active == "activating":
        yield Finding("service.restarting", "failure", values, "journalctl -u luna -n 50")
    elif found.enabled:
        yield Finding("service.stopped", "failure", values, start)
    else:
        yield Finding("service.off", "warning", values, start)
