"""Sets the box up for the board in ``luna.txt``: what `luna board apply` does elsewhere.

The root slot is read-only, so that the files lie where the same programs look as well: overlays in
``board.txt`` of each slot's boot partition, which ``config.txt`` includes; the sound card and the
device rules in memory. They are made once (that imports much) and kept on the data partition.
"""

from __future__ import annotations

import json
from pathlib import Path

from appliance import __version__
from appliance.errors import PanelError
from appliance.first_boot.keep import put
from appliance.first_boot.owner_files import LUNA_TXT
from appliance.first_boot.places import Places
from appliance.first_boot.report import Report
from appliance.whole_file import replace

BOARD_TXT = "board.txt"
HEAD = "# Overlays of the board in luna.txt; written anew when that is another one.\n"
ALSA = "var/lib/alsa/conf.d/50-luna-board.conf"
"""Read by ALSA beside /etc/asound.conf (see ``alsa.conf``); in an image /var is memory."""
RULES = "run/udev/rules.d/95-luna-board.rules"


def set_up_board(name: str | None, places: Places, report: Report) -> None:
    """Set the box up for the board *name*; None: the one of an earlier start.

    Raises:
        OSError: a file cannot be written.
    """
    kept = places.system / "board.json"
    made = _read(kept)
    name = name or made.get("name", "")
    if not name:
        return
    another = (made.get("name"), made.get("version")) != (name, __version__)
    if another:
        try:
            made = _make(places.boards / f"{name}.toml") | {"name": name, "version": __version__}
        except PanelError:
            report.add("first_boot.board", LUNA_TXT)
            return
    for file in (ALSA, RULES):
        if made.get(file):
            put(places.root / file, made[file])
    if _put_overlays(made[BOARD_TXT], places):
        report.add("first_boot.restart", LUNA_TXT)
    if another:
        replace(kept, json.dumps(made))


def _put_overlays(lines: str, places: Places) -> bool:
    """Write them to the boot partition of each slot; return whether they are others than before.

    Only a Raspberry Pi has such files.
    """
    others = False
    for config in sorted(places.boot.glob("[ab]/config.txt")):
        file = config.with_name(BOARD_TXT)
        before = file.read_text("utf-8") if file.is_file() else ""
        put(file, HEAD + lines, 0o600)
        others |= _meant(before) != _meant(lines)
    return others


def _meant(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _read(kept: Path) -> dict[str, str]:
    try:
        found = json.loads(kept.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _make(profile_file: Path) -> dict[str, str]:
    """Return the content of the files, by name.

    Raises:
        PanelError: the profile cannot be used.
    """
    from appliance.panel.boards import apply, profile

    board = profile.load(profile_file)
    return {
        BOARD_TXT: apply.boot_lines(board),
        ALSA: apply.sound_lines(board),
        RULES: apply.device_rules(board),
    }
