"""`luna update`: what there is, and how the box gets from one version to the next."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Callable

from appliance import __version__, paths
from appliance.errors import LunaError, UpdateError, UsageError
from appliance.settings import Settings
from appliance.update import source
from appliance.update.bundle import Manifest, parse_version
from appliance.update.updater import Places, Updater

NEXT_START = "restart the box to try it"


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna update ACTION [FILE|URL]`; return the exit code.

    Raises:
        UsageError: an address is missing.
        UpdateError: this machine has no slots, or the update was refused or failed.
        StorageError: the backup that goes before it failed.
    """
    if arguments.place and arguments.action not in ("check", "apply"):
        raise UsageError(f"`luna update {arguments.action}` takes no file")
    updater = Updater(Places())
    return _ACTIONS[arguments.action](updater, arguments, settings)


def _slots(updater: Updater, arguments: argparse.Namespace, _settings: Settings) -> int:
    rows, state = updater.slots(), updater.state()
    if arguments.json:
        print(json.dumps({"slots": rows, "floor": state.floor, "last_trial": state.trial}))
        return 0
    for row in rows:
        marks = [word for word in ("running", "next") if row[word]]
        tries = f", {row['tries_left']} tries left" if row["status"] == "trial" else ""
        version = row["version"] or "-"
        print(f"slot {row['slot']}: {version:8} {row['status']}{tries}  {', '.join(marks)}")
    if any(row["status"] == "failed" and row["version"] == state.trial for row in rows):
        print(f"Luna {state.trial} did not pass its trial, and {__version__} came back.")
    return 0


def _check(updater: Updater, arguments: argparse.Namespace, settings: Settings) -> int:
    place = _place(arguments, settings)
    with source.opened(place) as bundle:
        manifest = updater.read_head(bundle)
    refused = ""
    try:
        updater.refuse(manifest)
    except UpdateError as error:
        refused = str(error)
    if arguments.json:
        row = {"version": manifest.version, "running": __version__, "refused": refused}
        print(json.dumps({**row, "bytes": manifest.stored_bytes}))
    elif refused:
        print(refused[0].upper() + refused[1:] + ".")
    else:
        megabytes = manifest.stored_bytes / 1e6
        print(f"Luna {manifest.version} is there ({megabytes:.0f} MB): sudo luna update apply")
    return 0


def _apply(updater: Updater, arguments: argparse.Namespace, settings: Settings) -> int:
    place = _place(arguments, settings)
    if arguments.if_newer and not _is_newer(updater, place):
        print(f"Luna {__version__} is the newest.")
        return 0
    told = ""

    def tell(stage: str, percent: int) -> None:
        nonlocal told
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{stage} {percent} % ")
        if told != f"{stage}{percent // 5}":
            told = f"{stage}{percent // 5}"
            _announce(stage, percent)

    try:
        manifest = updater.apply(
            place,
            tell,
            force=arguments.force,
            data_dir=paths.data_dir(settings.general.data_dir),
            backups=settings.backup,
        )
    except LunaError:
        _announce("failed", 0)
        raise
    finally:
        if sys.stderr.isatty():
            sys.stderr.write("\n")
    _report_applied(manifest, arguments)
    if not arguments.no_restart:
        _announce("restarting", 100)
        updater.loader.restart()
    else:
        _announce("done", 100)
    return 0


def _report_applied(manifest: Manifest, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"version": manifest.version, "restarts": not arguments.no_restart}))
    else:
        what = NEXT_START if arguments.no_restart else "the box starts again now and tries it"
        print(f"Luna {manifest.version} is in place: {what}.", flush=True)


def _is_newer(updater: Updater, place: str) -> bool:
    with source.opened(place) as bundle:
        manifest = updater.read_head(bundle)
    if manifest.version == updater.state().trial:
        return False  # it was tried, and did not pass
    return parse_version(manifest.version) > parse_version(__version__)


def _rollback(updater: Updater, arguments: argparse.Namespace, _settings: Settings) -> int:
    version = updater.rollback()
    if arguments.json:
        print(json.dumps({"version": version}))
    else:
        print(f"The next start brings Luna {version}.")
    return 0


def _place(arguments: argparse.Namespace, settings: Settings) -> str:
    place: str = arguments.place or settings.update.url
    if not place:
        raise UsageError(
            f"no address is configured (url in [update]): luna update {arguments.action} FILE|URL"
        )
    return place


def _announce(stage: str, percent: int) -> None:
    """Let the running service show how far it is; one that does not run shows nothing."""
    from appliance.control import ControlClient
    from appliance.events import UpdateProgress

    async def send() -> None:
        client = await ControlClient.connect(paths.control_socket())
        try:
            await client.send(UpdateProgress(stage=stage, percent=percent))
        finally:
            await client.close()

    with contextlib.suppress(LunaError):
        asyncio.run(send())


_ACTIONS: dict[str, Callable[[Updater, argparse.Namespace, Settings], int]] = {
    "check": _check,
    "apply": _apply,
    "rollback": _rollback,
    "slots": _slots,
}
