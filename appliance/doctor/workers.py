"""The workers of the running service, and the figures that only it knows."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.doctor.finding import VERDICTS, Box, Finding
from appliance.thresholds import TURN_CHECKS

UNANSWERED_S = 10.0
"""The supervisor pings every second, and replaces a worker that is silent for half as long."""
FIGURES = frozenset(TURN_CHECKS.values()) | {
    "capture_queue",
    "capture_drops",
    "playback_gaps",
    "cpu_wait_percent",
    "memory_free_percent",
}
"""Findings of the service that no other check here makes for itself."""


def check(box: Box) -> Iterator[Finding]:
    """Yield what is wrong with workers, and with what they measure."""
    if not box.running:
        yield Finding("workers.no_service", skipped=True, command="luna run")
        return
    workers = box.told("workers")
    down = 0
    for name, worker in workers.items():
        values = {"worker": name, "detail": worker["detail"], "restarts": worker["restarts"]}
        silent = worker["last_pong_s"] or 0.0
        if worker["status"] != "ready" and worker["restarts"]:
            down += 1
            look = "luna logs --level warning"
            yield Finding("workers.dead", "failure", _said(values), look)
        elif worker["status"] != "ready":
            down += 1
            yield Finding("workers.starting", "warning", values, "luna status")
        elif silent > UNANSWERED_S:
            down += 1
            values["seconds"] = round(silent)
            yield Finding("workers.silent", "failure", values, f"luna restart {name}")
    for found in box.told("vitals").get("findings", ()):
        if found["name"] in FIGURES:
            name, level = found["name"], VERDICTS[found["level"]]
            key = found["text_key"]
            yield Finding(f"workers.{name}", level, found["values"], "luna diagnose", key=key)
    if not down:
        yield Finding("workers.ok", values={"names": ", ".join(workers)})


def _said(values: dict[str, object]) -> dict[str, object]:
    detail = values["detail"]
    return {**values, "reason": f" ({detail})" if detail else ""}
