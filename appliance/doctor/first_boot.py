"""The owner's files on an image's boot partition: what could not be used of them."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.doctor.finding import Box, Finding
from appliance.first_boot.report import read

REPORT = "run/luna-first-boot.json"
EDIT = "sudo nano /boot/luna.txt && sudo reboot"
ABOUT_THE_CARD = ("first_boot.no_data", "first_boot.read_only")
KEYS = "authorized_keys"


def check(box: Box) -> Iterator[Finding]:
    """Yield one finding a problem, as it was at this start."""
    report = box.root / REPORT
    if not report.exists():
        yield Finding("first_boot.none", skipped=True)
        return
    problems = read(report)
    for number, problem in enumerate(problems, start=1):
        key = str(problem["sentence"])
        values = {name: value for name, value in problem.items() if name != "sentence"}
        bad = key in ABOUT_THE_CARD
        command = EDIT.replace("luna.txt", KEYS) if values.get("file") == KEYS else EDIT
        yield Finding(
            f"first_boot.problem_{number}",
            "failure" if bad else "warning",
            values,
            "luna doctor --bundle" if bad else command,
            key=key,
        )
    if not problems:
        yield Finding("first_boot.ok")
