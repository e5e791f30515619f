"""Puts a backup in place of the data folder's content. What was there is kept beside it.

The steps, of which a power cut may interrupt any: unpack into `restore-unpacking` and verify,
rename that to `restore-ready` (from here on the restore counts), move every present entry into
`before-restore-TIME`, move the new ones into place. `finish` goes on with the last two.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import zlib
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from appliance.errors import StorageError
from appliance.storage.backup import MANIFEST, MANIFEST_FORMAT, OWN_NAMES, SECRETS, stores
from appliance.storage.files import FileLayer
from appliance.storage.recovery import load
from appliance.storage.writer import LOCK

UNPACKING = "restore-unpacking"
READY = "restore-ready"
_UNREADABLE = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)
_PLAN = "plan.json"
_CONTENT = "content"
MAX_FILES = 100_000
MAX_NAME = 1000
"""Characters of a name in a backup."""
MAX_MANIFEST = 64 * 1024 * 1024
MAX_TRAILER = 1024 * 1024
"""Bytes after the archive's own end; tar fills up its last block with less than 10 kB."""
SPARE_BYTES = 64 * 1024 * 1024
"""Room that a restore leaves on the disk."""


@dataclass(frozen=True)
class Restored:
    """What was done."""

    files: int
    created: str
    """When the backup was made (ISO 8601)."""
    aside: Path
    """The folder with what was there before."""


def restore(file: Path, data_dir: Path, *, now: datetime | None = None) -> Restored:
    """Verify the backup *file*, then make its content that of *data_dir*.

    Luna must not be running: the locks of all stores are taken.

    Raises:
        StorageError: the backup is damaged or no backup, Luna is running, or there is no room;
            the data folder is as it was.
    """
    now = now or datetime.now(UTC)
    unpacking = data_dir / UNPACKING
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as locks:
            for store in stores(data_dir):
                locks.callback(os.close, _lock(store))
            finish(data_dir)
            shutil.rmtree(unpacking, ignore_errors=True)
            try:
                content = unpacking / _CONTENT
                content.mkdir(mode=0o700, parents=True)
                manifest = _unpack(file, content)
                for store in stores(content):
                    load(FileLayer(), store)  # a newer program's store must be refused now
                aside = f"before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
                names = sorted(entry.name for entry in content.iterdir())
                plan = {"aside": aside, "names": names, "secrets": bool(manifest["secrets"])}
                (unpacking / _PLAN).write_text(json.dumps(plan), encoding="utf-8")
                _own_and_sync(unpacking, data_dir)
                unpacking.rename(data_dir / READY)
                FileLayer().sync_folder(data_dir)
            finally:
                shutil.rmtree(unpacking, ignore_errors=True)
            finish(data_dir)
    except OSError as error:
        raise StorageError(f"{file} cannot be restored: {error.strerror or error}") from error
    return Restored(len(manifest["files"]), str(manifest["created"]), data_dir / aside)


def finish(data_dir: Path) -> Path | None:
    """Complete a restore that was interrupted; call it before any store is opened.

    Returns:
        The folder with what was there before; None if there was nothing to complete.

    Raises:
        StorageError: it cannot be completed.
    """
    ready = data_dir / READY
    try:
        if not (ready / _PLAN).exists():
            shutil.rmtree(ready, ignore_errors=True)
            return None
        plan = json.loads((ready / _PLAN).read_text(encoding="utf-8"))
        aside: Path = data_dir / plan["aside"]
        content = ready / _CONTENT
        aside.mkdir(mode=0o700, exist_ok=True)
        for name in sorted(os.listdir(data_dir)):
            stays = OWN_NAMES.fullmatch(name) or (name == SECRETS and not plan["secrets"])
            in_place = name in plan["names"] and not (content / name).exists()
            if not (stays or in_place):
                (data_dir / name).rename(aside / name)
        for name in plan["names"]:
            if (content / name).exists():
                (content / name).rename(data_dir / name)
        for folder in (aside, data_dir):
            FileLayer().sync_folder(folder)
        (ready / _PLAN).unlink()
        shutil.rmtree(ready)
    except OSError as error:
        raise StorageError(f"the restore in {ready} cannot be completed: {error}") from error
    return aside


def _lock(store: Path) -> int:
    try:
        return FileLayer().lock(store / LOCK)
    except BlockingIOError as error:
        raise StorageError(f"{store} is in use: stop Luna before you restore a backup") from error


def _unpack(file: Path, target: Path) -> dict[str, Any]:
    """Unpack *file* into *target* and return its manifest, which all of it agrees with."""
    found: dict[str, dict[str, Any]] = {}
    text = b""
    room = shutil.disk_usage(target).free - SPARE_BYTES
    try:
        with gzip.open(file) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                room -= member.size
                if member.name == MANIFEST and member.size <= MAX_MANIFEST and not text:
                    text = _stream(archive, member).read()
                elif room < 0:
                    raise StorageError(f"there is no room on the disk to unpack {file}")
                elif len(found) >= MAX_FILES or member.name in found or not _is_safe(member):
                    raise StorageError(f"{file} is not a backup that Luna made")
                else:
                    found[member.name] = _extract(archive, member, target / member.name)
            # The end of the file holds a checksum: an archive that was cut short lacks it.
            if len(stream.read(MAX_TRAILER)) == MAX_TRAILER:
                raise StorageError(f"{file} is not a backup that Luna made")
        manifest = json.loads(text)
        if int(manifest["format"]) > MANIFEST_FORMAT:
            raise StorageError(f"{file} was made by a newer Luna; update Luna to restore it")
        same = manifest["files"] == found and isinstance(manifest["secrets"], bool)
        same = same and isinstance(manifest["created"], str)
    except (*_UNREADABLE, ValueError, LookupError, TypeError) as error:
        raise StorageError(f"{file} is damaged, or is not a backup of Luna") from error
    if not same:
        raise StorageError(f"{file} is damaged: its content does not match its manifest")
    return dict(manifest)


def _is_safe(member: tarfile.TarInfo) -> bool:
    """Return whether *member* is a plain file that stays in the folder it is unpacked to."""
    name = member.name
    parts = PurePosixPath(name).parts
    plain = member.isreg() and 0 < len(name) <= MAX_NAME and "\0" not in name
    inside = not name.startswith("/") and ".." not in parts
    return bool(plain and inside and parts and not OWN_NAMES.fullmatch(parts[0]))


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> dict[str, Any]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    source = _stream(archive, member)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while block := source.read(1 << 20):
            digest.update(block)
            size += len(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    return {"bytes": size, "sha256": digest.hexdigest()}


def _stream(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    stream = archive.extractfile(member)
    if stream is None:
        raise tarfile.ReadError("not a file")
    return stream


def _own_and_sync(folder: Path, data_dir: Path) -> None:
    """Give what root unpacked to the owner of the data folder; write it all to the disk."""
    owner = data_dir.stat()
    layer = FileLayer()
    for root, _, names in os.walk(folder):
        for path in (Path(root), *(Path(root) / name for name in names)):
            if os.geteuid() == 0:
                os.chown(path, owner.st_uid, owner.st_gid)
        layer.sync_folder(Path(root))
    descriptor = layer.open(folder / _PLAN)
    layer.sync(descriptor)
    layer.close(descriptor)
