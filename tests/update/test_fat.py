"""Files on the boot partition: replaced whole, or changed in place."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.storage.files import FileLayer
from appliance.update.fat import change, put


class Recorded(FileLayer):
    """Notes the order in which things get onto the disk."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.steps.append("file")

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self.steps.append("rename")

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        self.steps.append("folder")


def test_a_file_is_synced_under_its_new_name_too(tmp_path: Path) -> None:
    """Else FAT has a name with nothing behind it."""
    layer, file = Recorded(), tmp_path / "luna-b.conf"
    for content in (b"first", b"second, and longer"):
        put(file, content, layer)
        assert file.read_bytes() == content
    assert layer.steps == ["file", "rename", "file", "folder"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["luna-b.conf"]


def test_a_file_without_which_nothing_starts_stays_in_its_place(tmp_path: Path) -> None:
    layer, file = Recorded(), tmp_path / "config.txt"
    file.write_bytes(b"os_prefix=a/\n")
    inode = file.stat().st_ino
    change(file, b"os_prefix=b/\n", layer)
    assert file.read_bytes() == b"os_prefix=b/\n"
    assert file.stat().st_ino == inode
    assert layer.steps == []
    with pytest.raises(ValueError, match="would change its length"):
        change(file, b"shorter", layer)
    assert file.read_bytes() == b"os_prefix=b/\n"
