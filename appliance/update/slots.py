"""The two slots as a pure core: what the boot files say, and what the boot loader will do.

A boot entry is a file ``luna-SLOT[+LEFT[-DONE]].conf``. The boot loader takes the tries down by
renaming it before it starts what it names; without a counter a slot is good. It takes the entry
with tries left that has the highest version
(https://uapi-group.org/specifications/specs/boot_loader_specification). So that this is always
the one that was chosen last, its version begins with a number that only grows: ``2-0.1.0``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

SLOTS = ("a", "b")
TRIES = 2
"""So often a new version is started before the old one comes back."""
_NAME = re.compile(r"luna-([ab])(?:\+(\d{1,4})(?:-(\d{1,4}))?)?\.conf")
_VERSION = re.compile(r"^version[ \t]+(?:(\d+)-)?(\d+)(\.\S+)?[ \t]*$", re.M)

Status = Literal["good", "trial", "failed", "empty"]


@dataclass(frozen=True)
class Entry:
    """A boot entry."""

    slot: str
    number: int
    """The higher one is taken; see above."""
    version: str
    left: int | None = None
    """Tries; None: it is not on trial."""
    done: int = 0

    @property
    def status(self) -> Status:
        """Return what is known about the slot."""
        if self.left is None:
            return "good"
        return "trial" if self.left else "failed"

    @property
    def name(self) -> str:
        """Return the name of its file."""
        if self.left is None:
            return f"luna-{self.slot}.conf"
        return f"luna-{self.slot}+{self.left}{f'-{self.done}' if self.done else ''}.conf"


def parse_entry(name: str, text: str) -> Entry | None:
    """Return the entry in a file; None where it is none of Luna's, or was torn."""
    found, version = _NAME.fullmatch(name), _VERSION.search(text)
    if found is None or version is None:
        return None
    number, first, rest = version.groups()
    return Entry(
        slot=found[1],
        number=int(number or first),  # an image's own entry has a plain version
        version=first + (rest or ""),
        left=int(found[2]) if found[2] else None,
        done=int(found[3] or 0),
    )


def entry_text(slot: str, number: int, version: str, command_line: str) -> str:
    """Return the content of an entry's file; the kernel and initrd lie in the slot's folder."""
    lines = (
        f"title Luna {version} (slot {slot})",
        "sort-key luna",
        f"version {number}-{version}",
        f"linux /{slot}/linux",
        f"initrd /{slot}/initrd",
        f"options {command_line.replace('{slot}', slot)}",
    )
    return "\n".join(lines) + "\n"


def next_boot(entries: Iterable[Entry]) -> Entry | None:
    """Return the entry that the boot loader takes; None: it has none."""
    return max(entries, key=lambda entry: (entry.left != 0, entry.number), default=None)


def after_start(entry: Entry) -> Entry:
    """Return the entry as the boot loader leaves it when it starts what it names."""
    if not entry.left:
        return entry
    return Entry(entry.slot, entry.number, entry.version, entry.left - 1, entry.done + 1)


def next_number(entries: Iterable[Entry]) -> int:
    """Return a number that is higher than those of all *entries*."""
    return max((entry.number for entry in entries), default=0) + 1


def other(slot: str) -> str:
    """Return the slot that does not run."""
    return SLOTS[1 - SLOTS.index(slot)]


def running_slot(command_line: str) -> str:
    """Return the slot that the kernel's command line names; empty: this machine has none."""
    found = re.search(r"(?:^|\s)luna\.slot=([ab])(?:\s|$)", command_line)
    return found[1] if found else ""


def one_a_slot(entries: Iterable[Entry]) -> Mapping[str, Entry]:
    """Return the entry that counts for each slot.

    A power cut while a slot is taken over leaves its old and its new entry: the boot loader goes
    by the better one.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        best = next_boot([entry, *([found[entry.slot]] if entry.slot in found else [])])
        if best is not None:
            found[entry.slot] = best
    return found
