"""The clock: whether it can be believed."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.doctor.finding import Box, Finding
from appliance.reminders.wall_clock import SystemClock, judge, local_zone

SET = "sudo timedatectl set-ntp true"


def check(box: Box) -> Iterator[Finding]:
    """Yield whether the clock shows a plausible time, and whether something keeps it right."""
    reading = SystemClock().read()
    shown = reading.wall.astimezone(local_zone())
    values = {"time": f"{shown:%Y-%m-%d %H:%M %Z}"}
    now = judge(reading, None)
    # The service also knows what time it was when it last looked.
    doubted = box.told("vitals").get("measured", {}).get("clock_doubted", {}).get("value")
    if not now.trusted:
        yield Finding("clock.wrong", "failure", values, SET)
    elif doubted:
        yield Finding("clock.doubted", "warning", values, SET, key="finding.clock_doubted")
    elif not reading.synchronised:
        yield Finding("clock.alone", values=values, command=SET)
    else:
        yield Finding("clock.ok", values=values)
