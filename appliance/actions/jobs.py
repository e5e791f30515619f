"""`luna jobs`: the scheduled jobs, and each of them by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from appliance import paths
from appliance.actions import quota
from appliance.actions.backup import folder_of
from appliance.actions.reminders import book_of
from appliance.control import ask
from appliance.errors import LunaError, UsageError
from appliance.events import JobFinished, JobRequested
from appliance.settings import Settings
from appliance.storage.backup import backup, stores
from appliance.storage.flash import FlashStorage
from appliance.texts import text

if TYPE_CHECKING:
    from appliance.reminders.book import Book
    from appliance.reminders.jobs import Job

T = TypeVar("T")

LIMIT_S = 600.0
NAMES = ("daily-report", "budget-check", "maintenance")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna jobs list` or `luna jobs run NAME`; return the exit code.

    Raises:
        UsageError: there is no such job.
        LunaError: the job failed.
    """
    if arguments.action == "list":
        return _list(arguments, settings)
    if arguments.name not in NAMES:
        raise UsageError(f"name a job: luna jobs run {'|'.join(NAMES)}")
    finished = asyncio.run(_finished(arguments.name, settings))
    if arguments.json:
        row = asdict(finished)
        print(json.dumps({key: row[key] for key in ("name", "ok", "text", "took_s")}))
    if not finished.ok:
        raise LunaError(finished.text)
    if not arguments.json:
        print(finished.text)
    return 0


def rules(settings: Settings) -> dict[str, str]:
    """Return when each job is due, as rules (RFC 5545); empty: only by hand."""
    from appliance.reminders.jobs import daily, every_minutes

    jobs = settings.jobs
    times = (daily(jobs.daily_report), every_minutes(jobs.budget_check_minutes))
    return dict(zip(NAMES, (*times, daily(jobs.maintenance)), strict=True))


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    named = rules(settings)
    if arguments.json:
        print(json.dumps(named))
    for name, rule in named.items() if not arguments.json else ():
        print(f"{name:14}  {rule or 'only by hand'}")
    return 0


async def _finished(name: str, settings: Settings) -> JobFinished:
    request = JobRequested(name=name, request=uuid.uuid4().hex)
    finished = await ask(request, JobFinished, LIMIT_S, lambda e: e.request == request.request)
    return finished or await _run_here(name, settings)


async def _run_here(name: str, settings: Settings) -> JobFinished:
    async with book_of(settings) as dialogue:
        jobs = {job.name: job for job in jobs_of(dialogue.book, settings)}
        try:
            return JobFinished(name=name, ok=True, text=await jobs[name].run())
        except LunaError as error:
            return JobFinished(name=name, ok=False, text=str(error))


# --- what they do ------------------------------------------------------------------------------


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
    from appliance.reminders.jobs import Job, maintain
    from appliance.reminders.report import daily_report

    language = settings.general.language

    async def report() -> str:
        usage = await _aside(lambda: quota.left_today(settings, language))
        return daily_report(book, language, [*usage, *health()])

    async def budget() -> str:
        usage = await _aside(lambda: quota.left_today(settings, language))
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
        folder = folder_of(settings, data_dir)
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
