"""One compressed file with everything the data folder holds, made while Luna runs.

    luna-backup-20260301T030000Z.tar.gz
        reminders/00000001.snapshot   a store: its state at one moment, written anew
        history.db                    SQLite: copied through its own backup function
        ...                           any other file, as it is
        luna-backup.json              the manifest: size and SHA-256 of every file; comes last

Left out: `secrets/` unless asked for, locks, unfinished files, and other backups.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from appliance import __version__
from appliance.errors import StorageError
from appliance.settings import BackupSettings
from appliance.storage import journal
from appliance.storage.files import FileLayer
from appliance.storage.recovery import SNAPSHOT, file_name, generations, load

MANIFEST = "luna-backup.json"
MANIFEST_FORMAT = 1
BACKUPS = "backups"
"""Where backups lie in the data folder, unless the settings say otherwise."""
SECRETS = "secrets"
"""The one folder in the data folder whose content is secret."""
OWN_NAMES = re.compile(r"backups|before-restore-.*|restore-(unpacking|ready)")
"""Entries of the data folder that belong to backup and restore themselves."""
_BACKUP = re.compile(r"luna-backup-\d{8}T\d{6}Z(-\d+)?\.tar\.gz")
_LEFT_OUT = re.compile(r"lock|.*\.(lock|new|tmp|part)|" + _BACKUP.pattern)
_SCRATCH = ".luna-backup-"
_SQLITE = b"SQLite format 3\0"
_SQLITE_SIDE_FILES = ("-wal", "-shm", "-journal")


@dataclass
class Backup:
    """What was made."""

    path: Path
    files: int = 0
    bytes: int = 0
    """Of the files inside."""
    notes: list[str] = field(default_factory=list)
    """What could not be copied as it should be."""
    removed: list[Path] = field(default_factory=list)
    """Older backups that retention took away."""


def folder_of(settings: BackupSettings, data_dir: Path) -> Path:
    """Return the folder in which backups are kept."""
    return Path(settings.folder).expanduser() if settings.folder else data_dir / BACKUPS


def stores(data_dir: Path) -> list[Path]:
    """Return the folders below *data_dir* that are stores of :mod:`appliance.storage.flash`."""
    found = []
    for folder, folders, names in os.walk(data_dir):
        folders[:] = sorted(name for name in folders if not OWN_NAMES.fullmatch(name))
        if any(generations(names).values()):
            found.append(Path(folder))
    return found


def backup(
    data_dir: Path,
    folder: Path,
    *,
    secrets: bool = False,
    keep: int = 0,
    now: datetime | None = None,
) -> Backup:
    """Make a backup of *data_dir* in *folder*.

    Args:
        data_dir: what is backed up.
        folder: where the backup goes; made when it is not there.
        secrets: put `secrets/` into it as well.
        keep: remove all but so many of the newest backups in *folder*; 0 keeps all.
        now: the time that goes into the name.

    Raises:
        StorageError: it could not be made; nothing of it remains.
    """
    now = now or datetime.now(UTC)
    data_dir, folder = data_dir.absolute(), folder.absolute()
    try:
        if not data_dir.is_dir():
            raise StorageError(f"{data_dir} does not exist: there is nothing to back up")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = Backup(_free_name(folder, now))
        unfinished = made.path.with_name(made.path.name + ".new")
        try:
            with os.fdopen(
                os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as out:
                with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
                    _write(out, data_dir, folder, Path(scratch), made, now, secrets=secrets)
                out.flush()
                os.fsync(out.fileno())
            unfinished.rename(made.path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        FileLayer().sync_folder(folder)
        if keep:
            made.removed = _retain(folder, keep, made.path)
    except OSError as error:
        raise StorageError(f"the backup in {folder} failed: {error.strerror or error}") from error
    return made


def _free_name(folder: Path, now: datetime) -> Path:
    stem = f"luna-backup-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    path, count = folder / f"{stem}.tar.gz", 1
    while path.exists():
        path, count = folder / f"{stem}-{count}.tar.gz", count + 1
    return path


def _retain(folder: Path, keep: int, newest: Path) -> list[Path]:
    """Remove old backups; never *newest*, whatever a wrong clock made of its name."""
    old = sorted(p for p in folder.iterdir() if _BACKUP.fullmatch(p.name) and p != newest)
    removed = old[: max(0, len(old) - keep + 1)]
    for path in removed:
        path.unlink()
    return removed


def _write(
    out: IO[bytes],
    data_dir: Path,
    folder: Path,
    scratch: Path,
    made: Backup,
    now: datetime,
    *,
    secrets: bool,
) -> None:
    manifest: dict[str, Any] = {
        "format": MANIFEST_FORMAT,
        "luna": __version__,
        "created": now.astimezone(UTC).isoformat(timespec="seconds"),
        "secrets": secrets,
        "files": {},
    }
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=6) as archive:
        for name, content in _contents(data_dir, folder, scratch, made, secrets=secrets):
            with content:
                size, digest = _add(archive, name, content, now)
            manifest["files"][name] = {"bytes": size, "sha256": digest}
            made.files += 1
            made.bytes += size
        text = json.dumps(manifest, indent=1, ensure_ascii=False).encode()
        _add(archive, MANIFEST, io.BytesIO(text), now)


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], now: datetime) -> tuple[int, str]:
    """Add a file; return its size and SHA-256."""
    digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    info = tarfile.TarInfo(name)
    info.size, info.mode = content.seek(0, os.SEEK_END), 0o600
    info.mtime = int(now.timestamp())
    content.seek(0)
    archive.addfile(info, content)
    return info.size, digest


def _contents(
    data_dir: Path, backups: Path, scratch: Path, made: Backup, *, secrets: bool
) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and unchanging content of everything that goes into the backup."""
    for root, folders, names in os.walk(data_dir):
        here = Path(root)
        at_top = here == data_dir
        folders[:] = sorted(
            name
            for name in folders
            if here / name != backups
            and not name.startswith(_SCRATCH)
            and not (at_top and OWN_NAMES.fullmatch(name))
            and not (at_top and name == SECRETS and not secrets)
        )
        if any(generations(names).values()):
            try:
                yield _store(here, data_dir)
                names[:] = [name for name in names if not any(generations([name]).values())]
            except StorageError as error:
                made.notes.append(f"copied as it is: {error}")
        databases = {name for name in names if _is_sqlite(here / name)}
        side_files = {name + end for name in databases for end in _SQLITE_SIDE_FILES}
        for name in sorted(names):
            path = here / name
            if name in side_files or _LEFT_OUT.fullmatch(name) or not _is_plain(path):
                continue
            with suppress(FileNotFoundError):  # it was removed meanwhile
                inside = path.relative_to(data_dir).as_posix()
                yield inside, _stable(path, scratch, made, sqlite=name in databases)


def _store(folder: Path, data_dir: Path) -> tuple[str, IO[bytes]]:
    """Return a store's state at this moment as a snapshot."""
    loaded = load(FileLayer(), folder)
    text = journal.encode({"schema": loaded.schema or 1, "tables": loaded.tables})
    name = (folder / file_name(max(loaded.generation, 1), SNAPSHOT)).relative_to(data_dir)
    return name.as_posix(), io.BytesIO(journal.HEADER + journal.line(loaded.revision, text))


def _stable(path: Path, scratch: Path, made: Backup, *, sqlite: bool) -> IO[bytes]:
    """Return the content of *path* as it is now: later changes do not reach it."""
    if sqlite:
        copy = scratch / "sqlite"
        try:
            with (
                closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            stream = copy.open("rb")
            copy.unlink()
            return stream
        except sqlite3.Error as error:
            copy.unlink(missing_ok=True)
            made.notes.append(f"{path} is damaged and was copied as it is: {error}")
    spool: IO[bytes] = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115  (the caller closes it)
    with path.open("rb") as source_file:
        while block := source_file.read(1 << 20):
            spool.write(block)
    spool.seek(0)
    return spool


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_sqlite(path: Path) -> bool:
    if not _is_plain(path):
        return False
    with suppress(FileNotFoundError), path.open("rb") as stream:
        return stream.read(len(_SQLITE)) == _SQLITE
    return False
