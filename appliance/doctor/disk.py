"""The disks: room, whether they can be written, what the file system and the flash say."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from appliance import vitals
from appliance.doctor.finding import VERDICTS, Box, Finding, read_text
from appliance.errors import StorageError
from appliance.storage.backup import stores
from appliance.storage.files import FileLayer
from appliance.storage.recovery import load
from appliance.thresholds import judge

WORN = 0x0B
"""``life_time`` counts from 0x01 (up to 10 % used) to this, beyond what the maker promised
(JEDEC JESD84-B51, DEVICE_LIFE_TIME_EST_TYP)."""
NEARLY_WORN = 0x09
PRE_END = {2: "warning", 3: "urgent"}
"""``pre_eol_info``: so much of the reserve is used (80 and 90 %); 1 is normal, 0 unknown."""


def check(box: Box) -> Iterator[Finding]:
    """Yield what is wrong with the disks that Luna needs."""
    well = True
    for finding in (*_room(box), *_writable(box), *_file_systems(box), *_flash(box), *_stores(box)):
        well = False
        yield finding
    if well:
        free = vitals.disk(box.data_dir)
        yield Finding("disk.ok", values={"free": round(free[1]) if free else 0})


def _room(box: Box) -> Iterator[Finding]:
    """Look at data and models; of one disk under both, only once."""
    seen = set()
    for folder in (box.data_dir, box.models_dir):
        here = _existing(folder)
        sizes, device = vitals.disk(here), here.stat().st_dev
        if sizes is None or device in seen:
            continue
        seen.add(device)
        verdict = judge({"disk_free_mb": sizes[1]}, box.settings.thresholds)["disk_free_mb"]
        values = {"folder": str(folder), "free": round(sizes[1]), "limit": round(verdict.limit)}
        if verdict.level != "ok":
            command = f"du -h --max-depth=2 {folder} | sort -h"
            yield Finding("disk.full", VERDICTS[verdict.level], values, command)
        elif (found := os.statvfs(here)).f_files and not found.f_favail:
            yield Finding("disk.no_files", "failure", values, f"df -i {folder}")


def _writable(box: Box) -> Iterator[Finding]:
    folder = box.data_dir
    if not folder.is_dir():
        return  # `permissions` says so
    point = _mount(box, folder)
    if point is not None and "ro" in point[1]:
        values = {"folder": str(folder), "point": point[0]}
        yield Finding("disk.read_only", "failure", values, f"sudo mount -o remount,rw {point[0]}")
        return
    if not os.access(folder, os.W_OK):
        return  # of another user, or `permissions` says so
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"luna" * 1024)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        values = {"folder": str(folder), "detail": str(error.strerror)}
        if not any(finding.name == "disk.full" for finding in _room(box)):
            yield Finding("disk.not_written", "failure", values, f"df -h {folder}")


def _mount(box: Box, folder: Path) -> tuple[str, list[str]] | None:
    """Return mount point and options of the file system that *folder* is on."""
    rows = [line.split() for line in read_text(box.proc / "mounts").splitlines()]
    # Blanks in names are written as \040 (fstab(5)).
    points = [(row[1].replace("\\040", " "), row[3].split(",")) for row in rows if len(row) > 3]  # noqa: PLR2004
    real = folder.resolve()
    over = [point for point in points if real.is_relative_to(point[0])]
    # Of two on the same place the later one counts.
    return max(reversed(over), key=lambda point: len(point[0]), default=None)


def _file_systems(box: Box) -> Iterator[Finding]:
    for folder in sorted(box.sys.glob("fs/ext4/*")):
        text = read_text(folder / "errors_count")
        if text.isdigit() and int(text):
            values = {"device": folder.name, "count": int(text)}
            command = "sudo touch /forcefsck && sudo reboot"
            yield Finding("disk.errors", "failure", values, command)


def _flash(box: Box) -> Iterator[Finding]:
    """Read what cards and eMMC say of their wear; most SD cards say nothing."""
    for device in sorted(box.sys.glob("block/mmcblk*/device")):
        name = device.parent.name
        used = max((_hex(word) for word in read_text(device / "life_time").split()), default=0)
        end = PRE_END.get(_hex(read_text(device / "pre_eol_info")))
        values = {"device": name, "percent": 10 * min(used, 10)}
        if used >= WORN or end == "urgent":
            yield Finding("disk.worn", "failure", values, "luna backup --to FOLDER")
        elif used >= NEARLY_WORN or end:
            yield Finding("disk.wears", "warning", values, "luna backup --to FOLDER")


def _hex(word: str) -> int:
    try:
        return int(word, 16)
    except ValueError:
        return 0


def _stores(box: Box) -> Iterator[Finding]:
    for folder in stores(box.data_dir):
        values = {"store": folder.relative_to(box.data_dir).as_posix()}
        try:
            loaded = load(FileLayer(), folder)
        except StorageError as error:
            values["detail"] = str(error)
            yield Finding("disk.store_lost", "failure", values, "luna restore FILE")
            continue
        if loaded.damaged:
            values |= {"files": ", ".join(loaded.damaged)}
            yield Finding("disk.store_damaged", "warning", values, "luna storage check")


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
