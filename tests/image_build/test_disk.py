"""The disk: what was asked for is in it, and the same comes out the same."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.update.loaders import BOOT_PARTITIONS
from image_build import disk
from image_build.python_tree import set_times
from image_build.targets import MEBIBYTE, TARGETS

EPOCH = 1_700_000_000
SMALL = {
    name: replace(
        target,
        boot_mebibytes=40,
        slot_boot_mebibytes=40 if target.slot_boot_mebibytes else 0,
        root_mebibytes=8,
        data_mebibytes=8,
    )
    for name, target in TARGETS.items()
}
BOOT = {"luna.txt": b"# a\n", "EFI/BOOT/X.EFI": b"x" * 5000, "a/linux": bytes(70_000)}


def tree(folder: Path, names: list[str], mode: int) -> Path:
    folder.mkdir()
    for name in names:
        file = folder / "etc" / name
        file.parent.mkdir(exist_ok=True, mode=0o755)
        file.write_text(f"{name}\n")
        file.chmod(mode)
    (folder / "link").symlink_to("etc/a")
    set_times(folder, EPOCH)
    return folder


def write(folder: Path, name: str, names: list[str]) -> Path:
    folder.mkdir()
    target = SMALL[name]
    boot = {"esp": BOOT}
    if target.slot_boot_mebibytes:
        boot |= {"boot_a": {"config.txt": b"[all]\n"}, "boot_b": {}}
    image = folder / "disk.img"
    root, data = tree(folder / "root", names, 0o644), tree(folder / "data", names, 0o600)
    disk.write_disk(image, target, boot=boot, root=root, data=data, epoch=EPOCH)
    return image


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_same_files_are_the_same_disk(tmp_path: Path, name: str) -> None:
    names = ["a", "b", "c"]
    first = write(tmp_path / "one", name, names)
    time.sleep(2)  # the times of FAT
    second = write(tmp_path / "two", name, names[::-1])  # another order, folder and time
    assert first.read_bytes() == second.read_bytes()


def part(image: Path, label: str) -> Path:
    offset, size = disk.partitions(image)[label]
    out = image.with_name(f"{label}.part")
    with image.open("rb") as file:
        file.seek(offset)
        out.write_bytes(file.read(size))
    return out


def test_what_is_in_it(tmp_path: Path) -> None:
    image = write(tmp_path / "one", "virt-amd64", ["a"])
    sizes = {label: size // MEBIBYTE for label, (_, size) in disk.partitions(image).items()}
    assert sizes == {"esp": 40, "root_a": 8, "root_b": 8, "data": 8}
    for label in ("root_a", "data"):
        file = part(image, label)
        subprocess.run(["e2fsck", "-f", "-n", file], check=True, capture_output=True)
        said = subprocess.run(
            ["debugfs", "-R", "cat /etc/a", file], check=True, capture_output=True
        )
        assert said.stdout == b"a\n"
    esp = part(image, "esp")
    subprocess.run(["fsck.fat", "-n", esp], check=True, capture_output=True)
    said = subprocess.run(
        ["mtype", "-i", esp, "::/EFI/BOOT/X.EFI"],
        check=True,
        capture_output=True,
        env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
    )
    assert said.stdout == BOOT["EFI/BOOT/X.EFI"]
    assert part(image, "root_b").read_bytes().count(0) == 8 * MEBIBYTE
    assert image.stat().st_blocks * 512 < image.stat().st_size / 2, "it has holes"


def test_a_raspberry_pi_finds_the_partitions_by_number(tmp_path: Path) -> None:
    labels = list(disk.partitions(write(tmp_path / "one", "pi5", ["a"])))
    for slot, number in BOOT_PARTITIONS.items():
        assert labels[number - 1] == f"boot_{slot}"
    # One after the other at the start: its boot loader wants them so on a GPT.
    assert labels == ["esp", "boot_a", "boot_b", "root_a", "root_b", "data"]
