"""Replaces a text file in one step: after a power cut there is the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE = 0o600


def replace(path: Path, text: str, mode: int | None = None, like: Path | None = None) -> None:
    """Write *text* to *path*, whose folder is made if need be.

    Args:
        path: the file.
        text: all of it.
        mode: its permissions; None: as they were, or 0644.
        like: the file or folder whose owner it gets.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    unfinished = path.with_name(f".{path.name}.new")
    try:
        # Nobody reads a secret before its permissions are set.
        made = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        with os.fdopen(made, "w", encoding="utf-8") as stream:
            if mode != PRIVATE:  # which a boot partition (FAT) refuses to be told
                os.fchmod(stream.fileno(), mode)
            if like is not None:
                owner = like.stat()
                os.fchown(stream.fileno(), owner.st_uid, owner.st_gid)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
            unfinished.replace(path)
            # On a boot partition (FAT) where the content lies is written with the file alone, so
            # that without this a power cut leaves the new name with nothing behind it.
            os.fsync(stream.fileno())
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
