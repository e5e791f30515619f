"""The steps of a start, each of which holds without the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from appliance.first_boot.board import set_up_board
from appliance.first_boot.keep import keep, link, offer_hotspot
from appliance.first_boot.owner_files import (
    AUTHORIZED_KEYS,
    LUNA_TXT,
    read,
    read_keys,
    read_settings,
    take_secrets,
)
from appliance.first_boot.places import Places
from appliance.first_boot.report import Report
from appliance.whole_file import replace


def set_up(places: Places, report: Report) -> None:
    """Read both files and keep what they say."""
    with _noted(report):
        for folder in (places.system / "ssh", places.configuration.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if not (places.system / "localtime").is_symlink():
            link(places.system / "localtime", Path("/usr/share/zoneinfo/UTC"))
    text = read(places.boot / LUNA_TXT, report)
    values = {} if text is None else read_settings(text, places, report)
    with _noted(report):
        keep(values, places)
        if text is not None and (cleaned := take_secrets(text, values)) != text:
            _clean(places.boot / LUNA_TXT, cleaned, report)
    with _noted(report):
        set_up_board(values.get("board"), places, report)
    with _noted(report):
        offer_hotspot(values, places, report)
    keys = read(places.boot / AUTHORIZED_KEYS, report)
    if keys is not None and (found := read_keys(keys, report)):
        with _noted(report):
            replace(places.system / AUTHORIZED_KEYS, "\n".join(found) + "\n")


@contextlib.contextmanager
def _noted(report: Report) -> Iterator[None]:
    """Note that a card cannot be written: Luna still starts, and says so."""
    try:
        yield
    except OSError as error:
        report.add("first_boot.read_only", str(error.filename or ""), detail=str(error.strerror))


def _clean(file: Path, text: str, report: Report) -> None:
    try:
        replace(file, text, 0o600)
    except OSError:
        report.add("first_boot.secret_stays", file.name)
