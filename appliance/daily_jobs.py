"""What happens by itself: the report of the day, the look at the limits, the maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from appliance import paths
from appliance.errors import LunaError
from appliance.providers.quota_report import left_today
from appliance.reminders.book import Book
from appliance.reminders.jobs import Job, daily, every_minutes, maintain
from appliance.reminders.report import daily_report
from appliance.settings import Settings
from appliance.storage.backup import backup, folder_of, stores
from appliance.storage.flash import FlashStorage
from appliance.texts import text

T = TypeVar("T")

NAMES = ("daily-report", "budget-check", "maintenance")


def rules(settings: Settings) -> dict[str, str]:
    """Return when each job is due, as rules (RFC 5545); empty: only by hand."""
    jobs = settings.jobs
    times = (daily(jobs.daily_report), every_minutes(jobs.budget_check_minutes))
    return dict(zip(NAMES, (*times, daily(jobs.maintenance)), strict=True))


def jobs_of(
    book: Book,
    settings: Settings,
    *,
    health: Callable[[], list[str]] = list,
    own_stores: tuple[str, ...] = ("reminders",),
    more_steps: dict[str, Callable[[], Awaitable[str]]] | None = None,
) -> list[Job]:
    """Return the jobs of this box.

    Args:
        book: the reminders.
        settings: the configuration.
        health: returns sentences for the report of the day.
        own_stores: stores that this process holds open: they are not compacted from outside.
        more_steps: of the maintenance, done between compacting and the backup.
    """
    language = settings.general.language

    async def report() -> str:
        usage = await _aside(lambda: left_today(settings, language))
        return daily_report(book, language, [*usage, *health()])

    async def budget() -> str:
        usage = await _aside(lambda: left_today(settings, language))
        return " ".join(usage) or text("quota.none", language)

    async def purge() -> str:
        kept_from = book.time().wall - timedelta(days=settings.reminders.keep_days)
        removed = await book.purge(kept_from.isoformat()) if book.time().trusted else 0
        return f"Old reminders removed: {removed}."

    async def compact() -> str:
        await book.compact()
        others = await _aside(lambda: _compact_others(settings, own_stores))
        return f"Stores compacted: {others + 1}."

    async def save() -> str:
        data_dir = paths.data_dir(settings.general.data_dir)
        folder = folder_of(settings.backup, data_dir)
        made = await _aside(lambda: backup(data_dir, folder, keep=settings.backup.keep))
        return f"{made.files} files are in {made.path}."

    async def maintenance() -> str:
        return await maintain(
            {"purge": purge, "compact": compact, **(more_steps or {}), "backup": save}
        )

    work = dict(zip(NAMES, (report, budget, maintenance), strict=True))
    return [Job(name, rule, work[name]) for name, rule in rules(settings).items()]


async def _aside(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


def _compact_others(settings: Settings, own: tuple[str, ...]) -> int:
    """Compact the stores that nobody holds open; return how many."""
    data_dir = paths.data_dir(settings.general.data_dir)
    count = 0
    for folder in stores(data_dir):
        if folder.relative_to(data_dir).as_posix() in own:
            continue
        try:
            storage = FlashStorage(folder, schema=None)
        except LunaError:
            continue  # its owner compacts it
        try:
            storage.compact()
            count += 1
        finally:
            storage.close()
    return count
