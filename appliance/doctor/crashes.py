"""What crashed lately: workers and the service by the log, the kernel by what it left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from appliance import last_errors
from appliance.diagnose.entries import Entry, parse
from appliance.diagnose.sources import of_journal, recent
from appliance.doctor.finding import Box, Finding
from appliance.doctor.systemd import unit
from appliance.errors import ServiceError
from appliance.thresholds import judge

WITHIN = timedelta(hours=24)
LOOK = "luna diagnose --since 24h"


def check(box: Box) -> Iterator[Finding]:
    """Yield what ended without being told to, in the last day."""
    well = True
    for finding in (*_kernel(box), *_service(box)):
        well = False
        yield finding
    yield from _kept(box)
    try:
        entries = recent_entries(box)
    except ServiceError as error:
        yield Finding("crashes.no_log", skipped=True, values={"detail": str(error)})
        return
    for finding in _workers(box, entries or []):
        well = False
        yield finding
    if entries is None:
        yield Finding("crashes.no_service", skipped=True)
    elif well:
        yield Finding("crashes.ok")


def _kept(box: Box) -> Iterator[Finding]:
    """Say where the errors of earlier starts are, which an image's journal forgets."""
    try:
        files = last_errors.kept(box.data_dir / last_errors.FOLDER)
    except OSError:
        return  # not ours to read
    if files:
        yield Finding("crashes.kept", values={"count": len(files)})


def recent_entries(box: Box) -> list[Entry] | None:
    """Return the log of the last day; None where nobody has it.

    The journal also has that of a service that does not come up.

    Raises:
        ServiceError: it cannot be read.
    """
    since = datetime.now(UTC) - WITHIN
    if box.running:
        found = recent(since)
    elif unit() is not None:
        with of_journal(since) as lines:
            found = list(lines)
    else:
        return None
    return [entry for entry in parse(found).entries if entry.time >= since]


def _workers(box: Box, entries: list[Entry]) -> Iterator[Finding]:
    ends = [e for e in entries if e.event == "worker_changed" and e.word("status") == "failed"]
    counts = Counter(entry.worker for entry in ends)
    down = {name for name, w in box.told("workers").items() if w["status"] != "ready"}
    for worker, count in counts.items():
        verdict = judge({"restarts": float(count)}, box.settings.thresholds)["restarts"]
        if worker in down or verdict.level == "ok":
            continue  # of one that is down now, `workers` speaks
        last = next(entry for entry in reversed(ends) if entry.worker == worker)
        values = {"worker": worker, "count": count, "text": last.text}
        yield Finding("crashes.worker", "warning", values, LOOK)


def _service(box: Box) -> Iterator[Finding]:
    found = unit()
    if found is not None and found.restarts and box.running:
        values = {"count": found.restarts, "result": found.result}
        yield Finding("crashes.service", "warning", values, LOOK)


def _kernel(box: Box) -> Iterator[Finding]:
    """A kernel that crashed leaves its last words in /sys/fs/pstore."""
    try:
        left = sorted((box.sys / "fs/pstore").glob("dmesg-*"))
    except OSError:
        return
    if left:
        command = f"sudo less {left[-1]}"
        yield Finding("crashes.kernel", "warning", {"count": len(left)}, command)
