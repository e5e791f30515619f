"""Scheduled jobs: each at its times by the same rules as reminders, and by hand.

A job whose time came while the box was off runs once when it is on again. When it ran is stored
before it runs: one that brings the box down is not tried again until its next time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from appliance.errors import LunaError, StorageError, UsageError
from appliance.events import Event, JobFinished
from appliance.reminders.book import Book, Disk
from appliance.reminders.schedule import following
from appliance.reminders.spoken_time.local_time import instant
from appliance.reminders.store import ReminderStore

logger = logging.getLogger("luna.reminders")

LOOK_S = 30.0
"""How often it is looked whether a job is due: none needs more precision."""
CATCH_UP = timedelta(hours=23)
"""A job that missed its time by more than this waits for the next."""


@dataclass(frozen=True)
class Job:
    """Something that is done by itself."""

    name: str
    rule: str
    """An RRULE; its times are local. Empty: only by hand."""
    run: Callable[[], Awaitable[str]]
    """Does it, and returns one text for the owner; raises LunaError when it failed."""


def daily(at: str) -> str:
    """Return the rule for a time of the day such as ``08:00``; empty for an empty one."""
    if not at:
        return ""
    hour, minute = at.split(":")
    return f"FREQ=DAILY;BYHOUR={int(hour)};BYMINUTE={int(minute)};BYSECOND=0"


def every_minutes(minutes: int) -> str:
    """Return the rule for each so many minutes; empty for none."""
    return f"FREQ=MINUTELY;INTERVAL={minutes}" if minutes else ""


class Jobs:
    """Runs *jobs* when they are due, one at a time.

    Args:
        jobs: all of them, by hand or by rule.
        store: remembers when each ran, through *disk*.
        book: whose clock and zone count; jobs with a rule wait until the clock is believed.
        publish: takes a ``JobFinished`` for each.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        store: ReminderStore,
        disk: Disk,
        book: Book,
        publish: Callable[[Event], None],
    ) -> None:
        self.jobs = {job.name: job for job in jobs}
        self._store = store
        self._disk = disk
        self._book = book
        self._publish = publish
        self._lock = asyncio.Lock()
        self._runs: dict[str, datetime] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look whether a job is due.

        Raises:
            StorageError: it cannot be read when they ran.
        """
        runs = await self._disk.call(self._store.job_runs)
        self._runs = {name: datetime.fromisoformat(at) for name, at in runs.items()}
        for name in self.jobs.keys() - runs.keys():
            # One that never ran has its first time from now on, also after the next start.
            await self._note(name, self._book.time().wall)
        self._task = asyncio.create_task(self._look())

    async def stop(self) -> None:
        """Stop looking; a job that runs is cancelled."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def next_run(self, name: str) -> datetime | None:
        """Return when a job is due (UTC, maybe over already); None for one without a rule."""
        job, book = self.jobs[name], self._book
        if not job.rule:
            return None
        now = book.time().wall
        ran = self._runs.get(name)
        # Of a clock that ran ahead, nothing is believed.
        after = ran if ran and ran <= now else now - timedelta(seconds=2 * LOOK_S)
        after = max(after, now - CATCH_UP)
        start = after.astimezone(book.zone).replace(tzinfo=None, second=0, microsecond=0)
        for local in following(job.rule, start):
            if (due := instant(local, book.zone)) > after:
                return due
        return None

    async def run(self, name: str, request: str = "") -> JobFinished:
        """Run a job now; return how it went (it is published as well).

        Raises:
            UsageError: there is no such job.
        """
        if name not in self.jobs:
            raise UsageError(f"there is no job {name[:40]}; there are: {', '.join(self.jobs)}")
        async with self._lock:
            began = time.monotonic()
            ok, text = await self._try(self.jobs[name])
            took = round(time.monotonic() - began, 3)
        finished = JobFinished(name=name, ok=ok, text=text, took_s=took, request=request)
        self._publish(finished)
        return finished

    async def _try(self, job: Job) -> tuple[bool, str]:
        await self._note(job.name, self._book.time().wall)
        try:
            return True, await job.run()
        except LunaError as error:
            return False, str(error)
        except Exception as error:  # whatever it is, the other jobs must not suffer
            logger.exception("the job %s stumbled", job.name)
            return False, f"{job.name} failed: {type(error).__name__}"

    async def _note(self, name: str, now: datetime) -> None:
        self._runs[name] = now
        with suppress(StorageError):  # it may run twice then, after a restart
            await self._disk.call(self._store.note_job, name, now.isoformat())

    async def _look(self) -> None:
        while True:
            if self._book.time().trusted:
                for name in self.jobs:
                    due = self.next_run(name)
                    if due is not None and due <= self._book.time().wall:
                        await self.run(name)
            await asyncio.sleep(LOOK_S)


Step = Callable[[], Awaitable[str]]


async def maintain(steps: dict[str, Step]) -> str:
    """Carry out all *steps* (compact, purge, back up), each though another failed.

    Raises:
        LunaError: what failed, in one sentence; the others are done.
    """
    done, failed = [], []
    for name, step in steps.items():
        try:
            done.append(await step())
        except LunaError as error:
            failed.append(f"{name}: {error}")
    if failed:
        raise LunaError("; ".join(failed))
    return " ".join(done)
