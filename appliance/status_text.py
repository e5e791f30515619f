"""`luna status` for a person: what Luna is doing and whether it is well, on one screen."""

from __future__ import annotations

import textwrap
from typing import Any

from appliance.texts import text


def describe(report: dict[str, Any], language: str = "en") -> str:
    """Return the health report (see ``App.health``) as lines of at most 80 columns."""
    lines = [
        f"Luna {report['version']}: {text('state.' + report['state'], language)}",
        f"running for {_duration(report['uptime_s'])}, process {report['pid']}",
        "",
    ]
    for name, worker in report["workers"].items():
        status = text(f"status.{worker['status']}", language)
        restarts = f", {worker['restarts']} restarts" if worker["restarts"] else ""
        lines.append(f"  {name:7} {status}{restarts}  {worker['detail']}"[:80])
    for part in ("microphone", "speaker"):
        values = report[part]
        status = values.get("status")
        word = text(f"status.{status}", language) if status else "not in use"
        lines.append(f"  {part:11} {word}  {values.get('device') or values.get('detail', '')}"[:80])
    lines.append(f"  volume      {report.get('volume', 0)} %")
    if report.get("mute_switch"):
        lines.append(f"  mute switch {text('panel.mute_switch', language)}"[:80])
    rings = report["rings"]
    lost = report["workers"].get("listen", {}).get("stats", {}).get("overruns", 0)
    gaps = report["workers"].get("audio", {}).get("stats", {}).get("underruns", 0)
    lines.append(
        f"  rings       {rings['capture']['blocks_written']} blocks captured, "
        f"{lost:.0f} lost, {gaps:.0f} gaps in speech"
    )
    for finding in report.get("vitals", {}).get("findings", ()):
        mark = "!!" if finding["level"] == "critical" else "!"
        sentence = text(finding["text_key"], language, **finding["values"])
        lines += ["", *textwrap.wrap(f"{mark} {sentence}", 80)]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
