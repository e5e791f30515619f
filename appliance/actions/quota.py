"""`luna quota`: what providers used, day by day, and what is left today."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from appliance.errors import UsageError
from appliance.providers.quota_ledger import KEPT_DAYS, WARN_AT
from appliance.providers.quota_report import comma_of, left, report
from appliance.settings import Settings
from appliance.texts import text

BAR = 12
"""Characters of a bar."""
YELLOW, RED, PLAIN = "\x1b[33m", "\x1b[31m", "\x1b[0m"
NEARLY, SPENT = WARN_AT
"""Percent from which a bar is yellow, and red."""
MAX_PERCENT = 999
WIDEST = 9_999_999
"""The largest number that fits into its column."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna quota`; return the exit code.

    Raises:
        UsageError: the number of days cannot be used.
        StorageError: the ledger cannot be read.
    """
    if not 1 <= arguments.days <= KEPT_DAYS:
        raise UsageError(f"--days: between 1 and {KEPT_DAYS}, not {arguments.days}")
    from appliance.providers.assembly import owner_zone

    found = report(arguments.days, settings, owner_zone(), datetime.now(UTC))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        encoding = (sys.stdout.encoding or "").lower()
        for line in _lines(
            found,
            settings.general.language,
            blocks="█░" if encoding.startswith("utf") else "#-",
            colour=_wants_colour(),
        ):
            print(line)
    return 0


def _wants_colour() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


# --- showing -----------------------------------------------------------------------------------


def _lines(report: dict[str, Any], language: str, *, blocks: str, colour: bool) -> Iterator[str]:
    """Yield the report as lines of at most 80 columns."""
    rows = report["days"]
    if not rows:
        yield text("quota.none", language)
        return
    comma = comma_of(language)
    names = ("day", "provider", "requests", "in", "out", "cost", "limit")
    yield _columns(*(text(f"quota.{name}", language) for name in names))
    before = ""
    for row in rows:
        bar = "" if row["percent"] is None else _bar(row["percent"], blocks, colour=colour)
        day = row["day"] if row["day"] != before else ""
        yield _columns(day, row["provider"], *_cells(row, comma), bar)
        if row["day"] == report["today"] and len(row["roles"]) > 1:
            for role, figures in row["roles"].items():
                yield _columns("", f"  {role}", *_cells(figures, comma), "")
        before = row["day"]
    if any(row["estimated_requests"] for row in rows):
        yield text("quota.estimated", language)
    yield ""
    today = [row for row in rows if row["day"] == report["today"]]
    for row in today:
        yield from left(row, language)
    if any(row["percent"] is not None for row in today):
        yield text(
            "quota.resets",
            language,
            time=report["resets_at"][11:16],
            day=report["resets_at"][:10],
            zone=report["time_zone"],
        )


def _columns(day: str, provider: str, *rest: str) -> str:
    requests, tokens_in, tokens_out, cost, last = rest
    line = f"{day:10} {provider:12.12} {requests:>5} {tokens_in:>9} {tokens_out:>10} {cost:>8}"
    return f"{line}  {last}".rstrip()


def _cells(figures: dict[str, Any], comma: dict[int, int]) -> tuple[str, str, str, str]:
    """Return requests, tokens in and out, and cost, with the language's comma and point."""
    mark = "~" if figures["estimated_requests"] else ""
    return (
        _short(figures["requests"]).translate(comma),
        _short(figures["tokens_in"]).translate(comma),
        mark + _short(figures["tokens_out"]).translate(comma),
        f"{figures['cost']:.4f}"[:8].translate(comma),
    )


def _short(number: int) -> str:
    for unit in ("", "k", "M"):
        if number <= WIDEST:
            return f"{number:,}{unit}"
        number //= 1000
    return "huge"


def _bar(percent: float, blocks: str, *, colour: bool) -> str:
    full = min(int(percent * BAR / 100), BAR)
    bar = blocks[0] * full + blocks[1] * (BAR - full)
    if colour and percent >= NEARLY:
        bar = f"{RED if percent >= SPENT else YELLOW}{bar}{PLAIN}"
    return f"{bar} {percent:.0f} %" if percent <= MAX_PERCENT else f"{bar} >{MAX_PERCENT} %"
