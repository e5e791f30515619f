"""Changes files on the boot partition, which is FAT: no journal, and a rename in several pieces.

Linux writes the new name at once, but where its content lies and how long it is only with the
file's own inode (``vfat_rename`` in fs/fat/namei_vfat.c). Until the file is synced under its new
name, a power cut leaves a name with nothing behind it; over an old file of that name, as well.
"""

from __future__ import annotations

from pathlib import Path

from appliance.storage.files import FileLayer

UNFINISHED = ".new"


def put(path: Path, data: bytes, layer: FileLayer) -> None:
    """Write a file beside its place, and rename it; return when all of it is on the disk.

    Until then there may be the old file, the new one, or a name with nothing behind it.

    Raises:
        OSError: the partition fails.
    """
    part = path.with_name(path.name + UNFINISHED)
    descriptor = layer.open(part, empty=True)
    try:
        layer.write(descriptor, data)
        layer.sync(descriptor)
    finally:
        layer.close(descriptor)
    layer.rename(part, path)
    descriptor = layer.open(path)
    try:
        layer.sync(descriptor)
    finally:
        layer.close(descriptor)
    layer.sync_folder(path.parent)


def change(path: Path, data: bytes, layer: FileLayer) -> None:
    """Change a file that there must be at any moment, and whose length stays.

    It is written in place: no name and no cluster changes, and a disk writes a sector whole.

    Raises:
        ValueError: the length differs.
        OSError: the partition fails.
    """
    if layer.size(path) != len(data):
        raise ValueError(f"{path} would change its length")
    layer.overwrite(path, data)
