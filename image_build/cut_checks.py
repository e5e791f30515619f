"""Looks at the disk of a box whose power was cut, from outside, before anything starts from it."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance import __version__
from appliance.errors import LunaError
from appliance.reminders.store import FOLDER, ReminderStore
from appliance.update.bundle import CHUNK, Chunk
from appliance.update.slots import Entry, next_boot, parse_entry
from image_build import boot_partition, disk
from image_build.cut_box import Version

ENTRIES = "loader/entries"
_FRAME = re.compile(r"fsck\.fat |Leaving |Auto-|/")
"""Lines of fsck.vfat that tell nothing."""
FAT_STATE = 65
"""Where the boot sector of FAT32 has its dirty bit (BS_Reserved1)."""


@dataclass
class Findings:
    """What the disk has."""

    reminders: set[int] = field(default_factory=set)
    slots: str = ""
    """In words."""
    repaired: str = ""
    """What the check of FAT at the next start will put right; empty: nothing."""
    failures: list[str] = field(default_factory=list)


def version_on(image: Path, slot: str) -> Version:
    """Return the version that an untouched *image* was made with."""
    offset, size = disk.partitions(image)[f"root_{slot}"]
    chunks = []
    with image.open("rb") as file:
        file.seek(offset)
        for at in range(0, size, CHUNK):
            data = file.read(min(CHUNK, size - at))
            chunks.append(Chunk(len(data), hashlib.sha256(data).hexdigest(), 0))
    names = boot_partition.list_files(image, slot)
    boot = {Path(name).name: boot_partition.read_file(image, name) for name in names}
    return Version(__version__, chunks, boot, None)


def examine(image: Path, folder: Path, versions: Mapping[str, Version]) -> Findings:
    """Return what *image* has; it is not changed.

    Args:
        image: the disk.
        folder: for copies of its partitions.
        versions: by name, what a slot may hold.
    """
    found = Findings()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        _boot_partition(image, work, found)
        _data_partition(image, work, found)
        _slots(image, work, versions, found)
    return found


def _boot_partition(image: Path, work: Path, found: Findings) -> None:
    """Check FAT as the next start does (`fsck -a`), then once more."""
    part = _copy(image, work, "esp")
    with part.open("r+b") as file:  # that it was mounted is no damage
        file.seek(FAT_STATE)
        file.write(b"\0")
    first = _run("fsck.vfat", "-n", part)
    if first.returncode:
        rows = [row for row in first.stdout.splitlines() if not _FRAME.match(row)]
        found.repaired = " ".join(" ".join(rows).split())[:300]
        _run("fsck.vfat", "-a", part)
        again = _run("fsck.vfat", "-n", part)
        if again.returncode:
            found.failures.append(f"esp: {again.stdout[-400:]}")
    part.unlink()


def _data_partition(image: Path, work: Path, found: Findings) -> None:
    """Let the journal be played back, as the kernel does; check the rest; read the reminders."""
    part = _copy(image, work, "data")
    _run("e2fsck", "-p", "-E", "journal_only", part)
    checked = _run("e2fsck", "-fn", part)
    if checked.returncode:
        found.failures.append(f"data: {checked.stdout[-400:]}")
    _run("debugfs", "-R", f"rdump /luna/{FOLDER} {work}", part)
    part.unlink()
    if not (work / FOLDER).is_dir():
        return
    try:
        store = ReminderStore.on_flash(work, read_only=True)
        texts = [reminder.text for reminder in store.load().values()]
        store.close()
    except LunaError as error:
        found.failures.append(f"the reminders cannot be read: {error}")
        return
    found.reminders = {int(number) for text in texts for number in re.findall(r"\d+", text)}
    shutil.rmtree(work / FOLDER)


def _slots(image: Path, work: Path, versions: Mapping[str, Version], found: Findings) -> None:
    """Check each slot that the boot loader may start, against the version that its entry names."""
    entries = _entries(image)
    words = [
        f"{entry.slot} {entry.version} {entry.status}{'' if entry.left is None else entry.left}"
        for entry in entries
    ]
    chosen = next_boot(entries)
    found.slots = ", ".join(words) + (f"; next {chosen.slot}" if chosen else "")
    if chosen is None or chosen.status == "failed":
        found.failures.append("there is nothing to start")
    for entry in entries:
        if entry.status == "failed":
            continue
        version = versions[entry.version]
        if wrong := version.differs(image, disk.partitions(image)[f"root_{entry.slot}"][0]):
            found.failures.append(f"slot {entry.slot} is not {entry.version}: {wrong}")
        for name, content in version.boot.items():
            if _boot_file(image, f"{entry.slot}/{name}") != content:
                found.failures.append(f"{name} of slot {entry.slot} is not of {entry.version}")
        part = _copy(image, work, f"root_{entry.slot}")
        checked = _run("e2fsck", "-fn", part)
        if checked.returncode:
            found.failures.append(f"root_{entry.slot}: {checked.stdout[-400:]}")
        part.unlink()


def _entries(image: Path) -> list[Entry]:
    found = []
    for name in boot_partition.list_files(image, ENTRIES):
        text = (_boot_file(image, name) or b"").decode(errors="replace")
        entry = parse_entry(Path(name).name, text)
        if entry is not None:
            found.append(entry)
    return found


def _boot_file(image: Path, name: str) -> bytes | None:
    try:
        return boot_partition.read_file(image, name)
    except subprocess.CalledProcessError:
        return None


def _copy(image: Path, work: Path, label: str) -> Path:
    offset, size = disk.partitions(image)[label]
    part = work / label
    # The last partition grows at the first start, and not by whole mebibytes.
    copying = ["dd", f"if={image}", f"of={part}", "bs=1M", "conv=sparse", "status=none"]
    copying += ["iflag=skip_bytes,count_bytes", f"skip={offset}", f"count={size}"]
    subprocess.run(copying, check=True)
    os.truncate(part, size)
    return part


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
