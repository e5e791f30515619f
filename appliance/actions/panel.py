"""`luna panel` and `luna volume`: what the light means, and how loud Luna speaks."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from functools import partial
from pathlib import Path

from appliance import paths
from appliance.control import ControlClient
from appliance.errors import UsageError
from appliance.events import Snapshot, VolumeRequested
from appliance.panel import sheet
from appliance.settings import Settings
from appliance.texts import text

FPS = 25


def panel(arguments: argparse.Namespace, settings: Settings) -> int:
    """Show the LED language: moving, as a picture, or as the page of the documents."""
    language = settings.general.language
    meaning = partial(_meaning, language=language)
    if arguments.png:
        sheet.picture(Path(arguments.png))
    elif arguments.markdown:
        sys.stdout.write(sheet.document(partial(_meaning, language="en")))
    elif sys.stdout.isatty():
        _move(meaning, arguments.seconds)
    else:
        sys.stdout.write("\n".join(sheet.terminal(0.0, meaning)) + "\n")
    return 0


def _meaning(name: str, language: str) -> str:
    return text(f"led.{name}", language)


def _move(meaning: partial[str], seconds: float) -> None:
    """Draw the sheet again and again over itself."""
    began = time.monotonic()
    sys.stdout.write("\x1b[?25l")
    try:
        while (now := time.monotonic() - began) < seconds:
            lines = list(sheet.terminal(now, meaning))
            sys.stdout.write("\n".join(lines) + f"\x1b[{len(lines) - 1}A\r")
            sys.stdout.flush()
            time.sleep(1 / FPS)
        sys.stdout.write("\n" * len(lines))
    finally:
        sys.stdout.write("\x1b[0m\x1b[?25h\n")


def volume(arguments: argparse.Namespace, _settings: Settings) -> int:
    """Set the volume of the running assistant, and print what it is then."""
    percent = asyncio.run(_change(_wanted(arguments.level)))
    print(f"{percent} %")
    return 0


def _wanted(level: str) -> VolumeRequested | None:
    if not level:
        return None
    if level in ("up", "down"):
        return VolumeRequested(step=1 if level == "up" else -1)
    digits = level.removesuffix("%").strip()
    if not digits.isdecimal() or int(digits) > 100:  # noqa: PLR2004
        raise UsageError(f"the volume is a number from 0 to 100, up or down, not {level!r}")
    return VolumeRequested(percent=int(digits))


async def _change(wanted: VolumeRequested | None) -> int:
    client = await ControlClient.connect(paths.control_socket())
    try:
        async for event in client.events():
            if isinstance(event, Snapshot):
                if wanted is None:
                    return event.volume
                await client.send(wanted)
            elif isinstance(event, VolumeRequested):
                return event.percent
    finally:
        await client.close()
    return 0
