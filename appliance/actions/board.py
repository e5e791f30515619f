"""`luna board`: list board profiles, recognise a board, set the system up for it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance import paths
from appliance.errors import PanelError, UsageError
from appliance.panel.boards import apply, detect, wizard
from appliance.panel.boards import profile as profiles
from appliance.panel.boards.profile import Profile
from appliance.settings import Settings
from appliance.texts import text

YES = ("y", "yes", "s", "sim")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna board ACTION [NAME]`; return the exit code.

    Raises:
        UsageError: the words do not fit.
        PanelError: a profile is wrong or not supported.
        StorageError: a file cannot be written.
    """
    needs_name = arguments.action in ("show", "apply")
    if needs_name and not arguments.name:
        raise UsageError(f"name the board: luna board {arguments.action} NAME")
    if arguments.name and not needs_name:
        raise UsageError(f"`luna board {arguments.action}` takes no name")
    return _ACTIONS[arguments.action](arguments, settings.general.language)


# --- looking -------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace, language: str) -> int:
    rows: list[dict[str, str]] = []
    for name, file in profiles.files().items():
        try:
            profile = profiles.load(file)
        except PanelError as error:
            # One wrong file of the owner's must not hide all others.
            rows.append({"name": name, "title": "", "state": "wrong", "reason": str(error)})
            continue
        state = "unsupported" if profile.unsupported else "supported"
        rows.append(
            {"name": name, "title": profile.title, "state": state, "reason": profile.unsupported}
        )
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        note = {
            "unsupported": text("board.unsupported", language, reason=row["reason"]),
            "wrong": row["reason"],
            "supported": "",
        }[row["state"]]
        print(f"{row['name']:{width}}  {row['title']}{' ' if row['title'] else ''}{note}".rstrip())
    return 0


def _show(arguments: argparse.Namespace, language: str) -> int:
    profile = profiles.find(arguments.name)
    if arguments.json:
        print(json.dumps(asdict(profile), ensure_ascii=False, indent=2))
        return 0
    print(f"{profile.title}\n{profile.describe(language)}")
    if profile.unsupported:
        print(text("board.unsupported", language, reason=profile.unsupported))
    for key, lines in _facts(profile).items():
        if lines:
            print(f"\n{text(f'board.show.{key}', language)}")
            for line in lines:
                print(f"  {line}")
    if profile.drawing:
        print(f"\n{profile.drawing.rstrip()}")
    return 0


def _facts(profile: Profile) -> dict[str, list[str]]:
    """Return what a person wants to know of a board, by the key of its heading."""
    sound, identity = profile.sound, profile.identity
    card = []
    if sound:
        ways = [way for way in ("capture", "playback") if getattr(sound, way)]
        rates = ", ".join(f"{rate / 1000:g}" for rate in sound.rates)
        card = [f"{sound.card} ({' + '.join(ways)}; {rates} kHz)"]
    used = {**profile.panel.lines(), **profile.lines}
    return {
        "overlays": [
            ",".join((overlay.name, *overlay.parameters)) for overlay in profile.boot.overlays
        ],
        "card": card,
        "lines": [f"{line:3}  {part}" for line, part in sorted(used.items())],
        "recognised": [
            *(f"EEPROM: {product}" for product in identity.eeprom),
            *(f"I2C {chip.address:#04x}: {chip.chip}" for chip in identity.i2c),
            *(f"USB {usb}" for usb in identity.usb),
        ],
        "conflicts": list(profile.conflicts),
        "not_verified": list(profile.not_verified),
        "links": list(profile.links),
    }


def _detect(arguments: argparse.Namespace, language: str) -> int:
    root = Path(arguments.root)
    # A tree that is not running has no I2C bus of its own.
    answers = detect.header_i2c if root.resolve() == Path("/") else None
    found = detect.detect(_usable(), root, answers)
    if arguments.json:
        print(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return 0
    if found.computer:
        print(found.computer)
    for note in found.notes:
        print(text("board.note", language, note=note))
    for candidate in found.found:
        key = "board.sure" if candidate.sure else "board.maybe"
        print(text(key, language, name=candidate.name, reason=candidate.reason))
    chosen = _chosen(found, language)
    if chosen:
        print(text("board.next", language, name=chosen))
    elif not found.found:
        print(text("board.nothing", language))
    return 0


def _usable() -> list[Profile]:
    """Return all profiles that can be read; `luna board list` shows what is wrong with others."""
    usable = []
    for file in profiles.files().values():
        try:
            usable.append(profiles.load(file))
        except PanelError:
            continue
    return usable


def _chosen(found: detect.Detection, language: str) -> str:
    """Return the board that is there; a person decides where the bus cannot."""
    sure = [candidate.name for candidate in found.found if candidate.sure]
    if sure or not found.found:
        return sure[0] if sure else ""
    if not sys.stdin.isatty():
        print(text("board.look", language))
        return ""
    for number, candidate in enumerate(found.found, 1):
        print(f"{number}  {profiles.find(candidate.name).title}")
    answer = _ask(text("board.which", language)).strip()
    numbers = {str(number): one.name for number, one in enumerate(found.found, 1)}
    return numbers.get(answer, answer if answer in numbers.values() else "")


# --- writing -------------------------------------------------------------------------------------


def _apply(arguments: argparse.Namespace, language: str) -> int:
    root = Path(arguments.root)
    profile = profiles.find(arguments.name)
    plan = apply.plan(profile, root)
    report: dict[str, Any] = {
        "changed": [change.name for change in plan.changes],
        "warnings": plan.warnings,
        "reboot": plan.reboot,
        "groups": plan.groups,
        "written": False,
    }
    if not arguments.json:
        for change in plan.changes:
            sys.stdout.write(change.diff())
        for warning in plan.warnings:
            print(text("board.note", language, note=warning))
    if plan.changes and not arguments.dry_run and _agreed(arguments, language):
        apply.write(plan)
        report["written"] = True
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _tell_outcome(report, root, language)
    return 0


def _agreed(arguments: argparse.Namespace, language: str) -> bool:
    if arguments.yes or arguments.json or not sys.stdin.isatty():
        return True
    return _ask(text("board.write", language)).strip().lower() in YES


def _tell_outcome(report: dict[str, Any], root: Path, language: str) -> None:
    if not report["changed"]:
        print(text("board.in_order", language))
        return
    if not report["written"]:
        print(text("board.not_written", language))
        return
    print(text("board.written", language, count=len(report["changed"])))
    running = root.resolve() == Path("/")
    if report["groups"] and running:
        groups = ",".join(report["groups"])
        print(text("board.groups", language, groups=groups, user=paths.SERVICE_USER))
    if report["reboot"]:
        print(text("board.reboot", language))
    elif running:
        print(text("board.restart", language))


# --- asking --------------------------------------------------------------------------------------


def _ask(question: str) -> str:
    try:
        return input(question)
    except EOFError as error:
        raise UsageError("there was no answer; nothing was written") from error


def _wizard(arguments: argparse.Namespace, language: str) -> int:
    if not sys.stdin.isatty():
        raise UsageError("the wizard asks questions: run it in a terminal")
    from appliance.panel.gpio import hardware_pins
    from appliance.panel.wiring import Wiring

    name = _ask(text("board.wizard.name", language)).strip() or "my-board"
    if name in profiles.files():
        raise UsageError(f"there is a profile {name} already; choose another name")
    base = profiles.find(_ask(text("board.wizard.base", language)).strip() or "plain")
    chip = _ask(text("board.wizard.chip", language)).strip()
    dialogue = wizard.Wizard(hardware_pins(Wiring(chip=chip)).factory, _ask, print, language)
    made = dialogue.run(base, name, chip)
    file = wizard.save(made, _owner_folder(arguments))
    print(text("board.wizard.saved", language, file=file))
    print(text("board.next", language, name=name))
    return 0


def _owner_folder(arguments: argparse.Namespace) -> Path:
    """Return where the service reads the owner's profiles, or the user where she runs Luna."""
    root = Path(arguments.root)
    if os.geteuid() == 0 or root.resolve() != Path("/"):
        return root / apply.OWNER_PROFILES
    return paths.config_dir() / profiles.OWNER_FOLDER


_ACTIONS = {
    "list": _list,
    "show": _show,
    "detect": _detect,
    "apply": _apply,
    "wizard": _wizard,
}
