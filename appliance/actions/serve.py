"""`luna run`: the service."""

from __future__ import annotations

import argparse
import asyncio
import signal

from appliance import paths
from appliance.settings import Settings


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna run` until it is told to stop; return the exit code."""
    from appliance import log
    from appliance.storage import restore

    log.configure(settings.general.log_level)
    # A power cut may have interrupted `luna restore` between two of its steps.
    restore.finish(paths.data_dir(settings.general.data_dir))
    return asyncio.run(_serve(settings, fake=arguments.fake))


async def _serve(settings: Settings, *, fake: bool) -> int:
    from appliance import engines
    from appliance.app import App, Plan
    from appliance.keyboard import push_to_talk

    chosen = engines.fake(settings) if fake else engines.real(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with App(settings, chosen, Plan(service=True)) as app:
        watchdog = asyncio.create_task(app.manager.feed_watchdog(app.health))
        try:
            with push_to_talk(app.request, stop.set):
                await stop.wait()
        finally:
            watchdog.cancel()
            app.manager.stopping()
    return 0
