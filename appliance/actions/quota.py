"""`luna quota`: what providers used, day by day, and what is left today.

It reads the ledger's files without taking their lock, so it works beside the running service.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from appliance import paths
from appliance.errors import UsageError
from appliance.providers import policy
from appliance.providers.quota_day import MEASURES, MILLION, Day, DayClock, Limits, Totals
from appliance.providers.quota_ledger import KEPT_DAYS, WARN_AT
from appliance.providers.quota_store import LedgerStore, on_flash
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

    report = _report(arguments.days, settings, owner_zone(), datetime.now(UTC))
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        encoding = (sys.stdout.encoding or "").lower()
        for line in _lines(
            report,
            settings.general.language,
            blocks="█░" if encoding.startswith("utf") else "#-",
            colour=_wants_colour(),
        ):
            print(line)
    return 0


def left_today(settings: Settings, language: str) -> list[str]:
    """Return sentences of what is left today of each limit.

    Raises:
        StorageError: the ledger cannot be read.
    """
    from appliance.providers.assembly import owner_zone

    report = _report(1, settings, owner_zone(), datetime.now(UTC))
    comma = str.maketrans(",.", ".,") if language == "pt" else {}
    in_use = policy.in_use(settings)  # one that is configured no longer has no limit to watch
    rows = [row for row in report["days"] if row["provider"] in in_use]
    return [line for row in rows for line in _left(row, language, comma)]


def _wants_colour() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


# --- reading -----------------------------------------------------------------------------------


def _report(count: int, settings: Settings, zone: tzinfo, now: datetime) -> dict[str, Any]:
    store = LedgerStore(on_flash(paths.data_dir(settings.general.data_dir), read_only=True))
    try:
        live, past, clock = store.load()
    finally:
        store.close()
    wall = now.astimezone(zone).date()
    clock = clock or DayClock(wall)
    today = clock.observe(wall)
    days = {day.date: day for day in (*past, *live)}
    # Of a provider that was not used today the limit is only in the configuration.
    configured = {name: provider.limits for name, provider in policy.in_use(settings).items()}
    day = days.setdefault(today, Day(today))
    day.limits = configured | day.limits
    oldest = today - timedelta(days=count - 1)
    rows = [
        _row(days[name], provider)
        for name in sorted(days, reverse=True)
        if name >= oldest
        for provider in _providers(days[name], shown=configured if name == today else {})
    ]
    resets = datetime.combine(clock.next_day(), time(), zone)
    return {
        "today": today.isoformat(),
        "resets_at": resets.isoformat(),
        "time_zone": resets.tzname() or "",
        "days": rows,
    }


def _providers(day: Day, shown: dict[str, Limits]) -> list[str]:
    running = [hold.provider for hold in day.holds.values()]
    return list(dict.fromkeys([*shown, *day.used, *running]))


def _row(day: Day, provider: str) -> dict[str, Any]:
    used, held = day.total(provider), day.held(provider)
    limits = day.limits.get(provider, Limits())
    shares = [
        100.0 * (used + held).of(measure) / allowed if allowed else 100.0
        for measure in MEASURES
        if (allowed := limits.of(measure)) is not None
    ]
    return {
        "day": day.date.isoformat(),
        "provider": provider,
        **_figures(used),
        "reserved": _amounts(held),
        "limits": asdict(limits),
        "taken": _amounts(used + held),
        "percent": round(max(shares), 1) if shares else None,
        "roles": {role: _figures(totals) for role, totals in day.used.get(provider, {}).items()},
    }


def _amounts(totals: Totals) -> dict[str, float]:
    """Return what counts against each limit."""
    return {
        "tokens": totals.of("tokens"),
        "requests": totals.requests,
        "cost": totals.cost_micros / MILLION,
    }


def _figures(totals: Totals) -> dict[str, Any]:
    return {
        "requests": totals.requests,
        "tokens_in": totals.tokens_in,
        "tokens_out": totals.tokens_out,
        "cost": totals.cost_micros / MILLION,
        "estimated_requests": totals.estimated,
    }


# --- showing -----------------------------------------------------------------------------------


def _lines(report: dict[str, Any], language: str, *, blocks: str, colour: bool) -> Iterator[str]:
    """Yield the report as lines of at most 80 columns."""
    rows = report["days"]
    if not rows:
        yield text("quota.none", language)
        return
    comma = str.maketrans(",.", ".,") if language == "pt" else {}
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
        yield from _left(row, language, comma)
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


def _left(row: dict[str, Any], language: str, comma: dict[int, int]) -> Iterator[str]:
    """Yield what is left today of each limit of a provider."""
    for measure, allowed in row["limits"].items():
        if allowed is None:
            continue
        left = max(allowed - row["taken"][measure], 0)
        form = ",.2f" if measure == "cost" else ",d"
        yield text(
            f"quota.left_{measure}",
            language,
            provider=row["provider"][:30],
            left=format(left, form).translate(comma),
            allowed=format(allowed, form).translate(comma),
        )
