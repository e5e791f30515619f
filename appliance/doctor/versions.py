"""Versions: of Luna, of the service that runs, of Python and of the libraries."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from appliance import __version__, machine, vitals
from appliance.doctor.finding import Box, Finding

PACKAGE = "luna-appliance"
LEAST_PYTHON = (3, 11)


def check(box: Box) -> Iterator[Finding]:
    """Yield what does not fit together."""
    well = True
    running = (box.report or {}).get("version", __version__)
    if running != __version__:
        well = False
        values = {"running": running, "installed": __version__}
        yield Finding("versions.older", "warning", values, "luna restart")
    if missing := missing_libraries():
        well = False
        values = {"names": ", ".join(missing)}
        yield Finding("versions.missing", "failure", values, f"pip install {' '.join(missing)}")
    if sys.version_info < LEAST_PYTHON:
        well = False
        values = {"version": platform.python_version()}
        yield Finding("versions.python", "failure", values)
    if well:
        yield Finding("versions.ok", values={key: about()[key] for key in ("luna", "python")})


def about() -> dict[str, str]:
    """Return what runs here, for a report."""
    return {
        "luna": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "board": machine.model(),
        "slot": vitals.slot(),
    }


def libraries() -> dict[str, str]:
    """Return the version of each library that Luna asks for; empty where it is not there."""
    found = {}
    for name in _wanted():
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def missing_libraries() -> list[str]:
    """Return the names of libraries that are not installed."""
    return [name for name, version in libraries().items() if not version]


def _wanted() -> list[str]:
    """Return the names of what Luna needs everywhere (no extras, none for other machines)."""
    try:
        lines = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    plain = [line for line in lines if ";" not in line]
    return [found[0] for line in plain if (found := re.match(r"[A-Za-z0-9._-]+", line))]
