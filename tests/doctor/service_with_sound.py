"""``python -m tests.doctor.service_with_sound``: the service with a real sound card, the rest fake."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

from appliance import config, engines
from appliance.app import App, Plan


async def serve() -> None:
    settings = config.load()
    real, fake = engines.real(settings), engines.fake(settings)
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with App(settings, replace(fake, sound_card=real.sound_card), Plan(service=True)):
        await over.wait()


if __name__ == "__main__":
    asyncio.run(serve())
