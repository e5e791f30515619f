"""A text file is replaced in one step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.whole_file import replace


def test_it_is_on_the_disk_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On FAT, a file that was synced under another name alone may be empty after a power cut."""
    synced: list[Path] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", noted)
    file = tmp_path / "box/luna.txt"
    replace(file, "host_name = luna\n")
    assert synced == [file.with_name(".luna.txt.new"), file, file.parent]
    assert file.read_text() == "host_name = luna\n"
