"""The report for a person: 80 columns, a mark for what is bad, the command that mends it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable

from appliance.doctor.finding import LEVELS, Finding, Level
from appliance.texts import text

COLUMNS = 80
MARKS = {"ok": "  ", "warning": "! ", "failure": "!!"}
"""As in `luna status`."""
_SKIPPED = "- "
_SUBJECT = 14


def lines(subject: str, finding: Finding, language: str, last_subject: str = "") -> list[str]:
    """Return the lines of one finding; the subject is named once."""
    mark = _SKIPPED if finding.skipped else MARKS[finding.level]
    name = text(f"doctor.subject.{subject}", language) if subject != last_subject else ""
    head = f"{name:{_SUBJECT}}{mark} "
    indent = " " * len(head)
    found = _wrapped(finding.sentence(language), head, indent)
    if finding.command and (finding.level != "ok" or finding.skipped):
        found += _wrapped(f"{text('doctor.command', language)} {finding.command}", indent, indent)
    return found


def _wrapped(words: str, head: str, indent: str) -> list[str]:
    return textwrap.wrap(
        words,
        COLUMNS,
        initial_indent=head,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def summary(findings: Iterable[Finding], language: str) -> str:
    """Return one line on all of them."""
    counts = Counter(finding.level for finding in findings if not finding.skipped)
    if not (counts["warning"] or counts["failure"]):
        return text("doctor.well", language)
    parts = [
        text(f"doctor.count.{level}{'' if counts[level] == 1 else 's'}", language, n=counts[level])
        for level in ("failure", "warning")
        if counts[level]
    ]
    return text("doctor.ill", language, parts=", ".join(parts))


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level of all."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")
