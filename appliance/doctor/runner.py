"""Carries out the checks one after the other, each in a process of its own with a time limit.

A driver can hold a call for ever, and a sound library can end the process that asks it. Either
becomes a finding, and the other checks go on.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final

from appliance.clock import monotonic
from appliance.doctor.finding import Box, Finding
from appliance.errors import LunaError

Check = Callable[[Box], Iterator[Finding]]

LIMITS_S: Final = {
    "configuration": 15.0,
    "first_boot": 10.0,
    "versions": 15.0,
    "service": 15.0,
    "workers": 15.0,
    "sound": 40.0,
    "models": 600.0,
    "disk": 60.0,
    "permissions": 15.0,
    "heat": 10.0,
    "clock": 10.0,
    "network": 20.0,
    "providers": 240.0,
    "crashes": 30.0,
}
"""The subjects in the order of the report, and how long each may take. Hashing models from a
slow card takes longest."""
END_S = 2.0
"""A process that is killed is gone within less, unless it hangs in the kernel."""
REPORT = "luna doctor --bundle"


def subjects() -> dict[str, Check]:
    """Return the checks by subject."""
    return {name: importlib.import_module(f"appliance.doctor.{name}").check for name in LIMITS_S}


class Run:
    """One run of the checks.

    Args:
        checks: by subject.
        limits: seconds that each may take, by subject.
    """

    def __init__(self, checks: dict[str, Check], limits: dict[str, float] | None = None) -> None:
        self._checks = checks
        self._limits = {**LIMITS_S, **(limits or {})}
        self.stuck = False
        """A process could not even be killed: it hangs in the kernel."""

    def findings(self, box: Box) -> Iterator[tuple[str, Finding]]:
        """Yield the findings as they come, with their subjects."""
        for subject, check in self._checks.items():
            for finding in self._apart(subject, check, box):
                yield subject, finding

    def _apart(self, subject: str, check: Check, box: Box) -> Iterator[Finding]:
        # A fork, because all is imported already and the box need not be sent.
        context = get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_work, args=(check, box, theirs), name=f"doctor-{subject}", daemon=True
        )
        process.start()
        theirs.close()
        limit = self._limits[subject]
        ends = monotonic() + limit
        try:
            while ours.poll(max(0.0, ends - monotonic())):
                finding = ours.recv()
                if finding is None:
                    return
                yield finding
            yield Finding("check.hangs", "failure", {"seconds": round(limit)}, REPORT)
        except EOFError:
            process.join(END_S)
            values = {"code": process.exitcode}
            yield Finding("check.crashed", "failure", values, REPORT)
        finally:
            ours.close()
            process.kill()
            process.join(END_S)
            self.stuck = self.stuck or process.is_alive()


def _work(check: Check, box: Box, findings: Connection) -> None:
    """Carry out a check in its own process; None says that it has come to its end."""
    try:
        for finding in check(box):
            findings.send(finding)
    except LunaError as error:
        findings.send(Finding("check.failed", "failure", {"detail": str(error)}))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
        values = {"detail": f"{type(error).__name__}: {error}"}
        findings.send(Finding("check.failed", "failure", values, REPORT))
    findings.send(None)
