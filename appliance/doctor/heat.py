"""Temperature, and whether the processor is slowed down."""

from __future__ import annotations

from collections.abc import Iterator

from appliance import vitals
from appliance.doctor.finding import VERDICTS, Box, Finding
from appliance.thresholds import judge

LOOK = "luna diagnose"


def check(box: Box) -> Iterator[Finding]:
    """Yield what the kernel's thermometers and the board's firmware say."""
    degrees, reasons = vitals.temperature(box.sys), vitals.throttled(box.sys)
    measured = {}
    if degrees is not None:
        measured["temperature_c"] = degrees
    if reasons is not None:
        measured["throttled"] = float(len(reasons))
    bad = False
    for name, verdict in judge(measured, box.settings.thresholds).items():
        if verdict.level == "ok":
            continue
        bad = True
        values = {
            "value": round(verdict.value),
            "limit": round(verdict.limit),
            "parts": _words(reasons or ()),
        }
        level = VERDICTS[verdict.level]
        yield Finding(f"heat.{name}", level, values, LOOK, key=f"finding.{name}")
    before = vitals.throttled(box.sys, since_start=True) or ()
    if before and not reasons:
        yield Finding("heat.was_throttled", "warning", {"parts": _words(before)}, LOOK)
    elif not bad and degrees is None:
        yield Finding("heat.unknown", skipped=True)
    elif not bad:
        yield Finding("heat.ok", values={"value": round(degrees or 0.0)})


def _words(reasons: tuple[str, ...]) -> str:
    return ", ".join(reasons).replace("_", " ")
