"""What providers used, day by day, and what is left today, read from the ledger's files.

It takes no lock of theirs, so it works beside the running service and inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from appliance import paths
from appliance.providers import policy
from appliance.providers.quota_day import MEASURES, MILLION, Day, DayClock, Limits, Totals
from appliance.providers.quota_store import LedgerStore, on_flash
from appliance.settings import Settings
from appliance.texts import text


def report(count: int, settings: Settings, zone: tzinfo, now: datetime) -> dict[str, Any]:
    """Return the last *count* days of *zone*, *now* included: per day and provider what was used.

    Raises:
        StorageError: the ledger cannot be read.
    """
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


# --- in words ---


def left_today(settings: Settings, language: str) -> list[str]:
    """Return sentences of what is left today of each limit.

    Raises:
        StorageError: the ledger cannot be read.
    """
    from appliance.providers.assembly import owner_zone

    today = report(1, settings, owner_zone(), datetime.now(UTC))
    in_use = policy.in_use(settings)  # one that is configured no longer has no limit to watch
    rows = [row for row in today["days"] if row["provider"] in in_use]
    return [line for row in rows for line in left(row, language)]


def comma_of(language: str) -> dict[int, int]:
    """Return what `str.translate` needs to write an English number in *language*."""
    return str.maketrans(",.", ".,") if language == "pt" else {}


def left(row: dict[str, Any], language: str) -> Iterator[str]:
    """Yield what is left today of each limit of a provider, a row of :func:`report`."""
    comma = comma_of(language)
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
