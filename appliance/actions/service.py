"""`luna status`, `stop`, `mute` and `devices`."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from appliance import paths
from appliance.errors import ServiceError
from appliance.events import Event, MuteRequested, StopRequested

ANSWER_LIMIT_S = 5.0


def status(arguments: argparse.Namespace) -> int:
    """Carry out `luna status`; return the exit code."""
    report = asyncio.run(health())
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return 0
    from appliance.status_text import describe

    print(describe(report))
    return 0


async def health(*requests: Event) -> dict[str, Any]:
    """Send requests to the running service; return its health report when it has taken them."""
    from appliance.control import ControlClient, Health, HealthRequested

    client = await ControlClient.connect(paths.control_socket())
    try:
        for event in (*requests, HealthRequested()):
            await client.send(event)
        async with asyncio.timeout(ANSWER_LIMIT_S):
            async for event in client.events():
                if isinstance(event, Health):
                    return event.report
    except TimeoutError as error:
        raise ServiceError("Luna does not answer; look at its log") from error
    finally:
        await client.close()
    raise ServiceError("Luna hung up; look at its log")


def devices(arguments: argparse.Namespace) -> int:
    """Carry out `luna devices`; return the exit code."""
    from dataclasses import asdict

    from appliance.audio.device import list_devices

    devices = list_devices()
    if arguments.json:
        print(json.dumps([asdict(device) for device in devices], indent=2))
    elif not devices:
        print("No sound card was found. Luna still answers in writing (`luna ask`).")
    else:
        print(f"{'':2} {'IN':>3} {'OUT':>3} {'RATE':>6}  NAME")
        for device in devices:
            mark = ("i" if device.default_input else " ") + ("o" if device.default_output else " ")
            print(f"{mark} {device.inputs:>3} {device.outputs:>3} {device.rate:>6}  {device.name}")
        print("i: default microphone, o: default speaker. Choose others in [audio] of luna.toml.")
    return 0


def stop(_: argparse.Namespace) -> int:
    """Carry out `luna stop`; return the exit code."""
    asyncio.run(health(StopRequested()))
    return 0


def mute(arguments: argparse.Namespace) -> int:
    """Carry out `luna mute`; return the exit code."""
    asyncio.run(health(MuteRequested(muted=arguments.switch == "on")))
    return 0
