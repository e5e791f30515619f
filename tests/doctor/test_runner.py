"""The runner: whatever a check does, it becomes a finding, and the others go on."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import appliance.doctor
from appliance.doctor.finding import Box, Finding
from appliance.doctor.runner import LIMITS_S, Run, subjects
from appliance.errors import StorageError
from appliance.settings import Settings
from appliance.texts import catalogue

BOX = Box(Settings())


def well(_: Box) -> Iterator[Finding]:
    yield Finding("configuration.ok", values={"count": 1})


def hangs(_: Box) -> Iterator[Finding]:
    yield Finding("configuration.ok", values={"count": 2})
    time.sleep(3600)


def crashes(_: Box) -> Iterator[Finding]:
    yield Finding("configuration.ok", values={"count": 3})
    os.abort()


def fails(_: Box) -> Iterator[Finding]:
    yield Finding("configuration.ok", values={"count": 4})
    raise StorageError("the disk is gone")


def is_wrong(_: Box) -> Iterator[Finding]:
    yield from ()
    raise ZeroDivisionError("by zero")


def test_whatever_a_check_does_the_others_go_on() -> None:
    checks = {f.__name__: f for f in (hangs, crashes, fails, is_wrong, well)}
    run = Run(checks, {"hangs": 0.5} | dict.fromkeys(("crashes", "fails", "is_wrong", "well"), 20))
    found = [
        (subject, finding.name, finding.level, finding.sentence("en"))
        for subject, finding in run.findings(BOX)
    ]
    assert [row for row in found if row[1] != "configuration.ok"] == [
        (
            "hangs",
            "check.hangs",
            "failure",
            "This check did not come to an end within 0 s; what it looks at hangs.",
        ),
        (
            "crashes",
            "check.crashed",
            "failure",
            "What this check asks has crashed (code -6); the other checks went on.",
        ),
        ("fails", "check.failed", "failure", "This check failed: the disk is gone"),
        (
            "is_wrong",
            "check.failed",
            "failure",
            "This check failed: ZeroDivisionError: by zero",
        ),
    ]
    # What was found before is kept.
    assert [row[0] for row in found if row[1] == "configuration.ok"] == [
        "hangs",
        "crashes",
        "fails",
        "well",
    ]
    assert not run.stuck


def test_every_subject_has_a_check_a_limit_and_a_name() -> None:
    assert subjects().keys() == LIMITS_S.keys()
    for subject in LIMITS_S:
        for language in ("en", "pt"):
            assert f"doctor.subject.{subject}" in catalogue(language)


def test_every_finding_has_a_sentence() -> None:
    folder = Path(appliance.doctor.__file__).parent
    code = "".join(file.read_text() for file in folder.glob("*.py"))
    named = set(re.findall(r'"((?:check|{})\.[a-z_]+)"'.format("|".join(LIMITS_S)), code))
    texts = {key.removeprefix("doctor.") for key in catalogue("en")}
    named = {name for name in named if not name.endswith(".json")}
    # Those that are the service's own words carry a key.
    assert named - texts <= {"clock.doubted"}
