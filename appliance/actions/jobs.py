"""`luna jobs`: the scheduled jobs, and each of them by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from dataclasses import asdict

from appliance.actions.reminders import book_of
from appliance.control import ask
from appliance.daily_jobs import NAMES, jobs_of, rules
from appliance.errors import LunaError, UsageError
from appliance.events import JobFinished, JobRequested
from appliance.settings import Settings

LIMIT_S = 600.0


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
