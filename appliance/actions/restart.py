"""`luna restart`: one worker, or the whole service."""

from __future__ import annotations

import argparse
import asyncio
import json

from appliance import paths
from appliance.control import ControlClient, Health, HealthRequested, ask
from appliance.doctor.systemd import restart as restart_unit
from appliance.doctor.systemd import unit
from appliance.errors import ServiceError
from appliance.events import RestartRequested, WorkerChanged

ANSWER_LIMIT_S = 5.0
READY_LIMIT_S = 180.0
"""Loading a model from a slow card takes its time."""
MAX_FAILURES = 3
"""The first is the one that was asked for."""


def run(arguments: argparse.Namespace) -> int:
    """Carry out `luna restart [WORKER]`; return the exit code.

    Raises:
        ServiceError: Luna is not running, may not be restarted, or does not come back.
    """
    if arguments.worker:
        asyncio.run(_restart(arguments.worker))
    else:
        _restart_all()
    what = arguments.worker or "Luna"
    print(json.dumps({"restarted": what}) if arguments.json else f"{what} was restarted.")
    return 0


async def _restart(worker: str) -> None:
    """Have the service replace a worker; return when the new one is ready."""
    client = await ControlClient.connect(paths.control_socket())
    failed, count = "", 0
    try:
        async with asyncio.timeout(READY_LIMIT_S):
            events = client.events()
            await anext(events)  # the snapshot: what follows has happened since
            await client.send(RestartRequested(worker=worker))
            ended = False
            async for event in events:
                if not isinstance(event, WorkerChanged) or event.worker != worker:
                    continue
                ended = ended or event.status in ("failed", "starting")
                if event.status == "failed":
                    failed, count = event.detail, count + 1
                if count > MAX_FAILURES:
                    raise ServiceError(f"{worker} does not start ({failed}); see `luna doctor`")
                if ended and event.status == "ready":
                    return
    except TimeoutError as error:
        raise ServiceError(
            f"{worker} is not ready after {READY_LIMIT_S:.0f} s ({failed or 'still loading'}); "
            "see `luna logs`"
        ) from error
    finally:
        await client.close()
    raise ServiceError("Luna hung up; look at its log")


def _restart_all() -> None:
    found = unit()
    health = asyncio.run(ask(HealthRequested(), Health, ANSWER_LIMIT_S))
    pid = health.report["pid"] if health else 0
    if found is not None and pid in (0, found.pid):
        restart_unit()
        return
    if health is None:
        raise ServiceError("Luna is not running; start it with `luna run`")
    raise ServiceError(
        f"Luna (process {pid}) was not started by systemd: end it where it runs, with Ctrl+C or "
        f"`kill {pid}`, and start `luna run` again"
    )
