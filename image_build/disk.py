"""Lays out the disk: a GPT with boot partitions, two root slots and data, without loop devices."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from appliance.update.slots import SLOTS
from image_build.targets import MEBIBYTE, Target

SECTOR = 512
_BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_ROOT = {
    "amd64": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    "arm64": "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
}
"""Partition types: https://uapi-group.org/specifications/specs/discoverable_partitions_specification"""
_NAMESPACE = uuid.UUID("6d7e8c1a-3a52-4f0e-9f6e-2b7f6f1b9a10")
"""Identifiers are made from names, so that two builds of the same are the same."""
# Features that e2fsprogs of other versions, or a boot loader, might not know.
_EXT4_FEATURES = "^metadata_csum_seed,^orphan_file"
_ROOT_INODE = 2


def write_disk(
    image: Path,
    target: Target,
    *,
    boot: Mapping[str, Mapping[str, bytes]],
    root: Path,
    data: Path,
    epoch: int,
) -> None:
    """Write the disk image of *target*.

    Args:
        image: the file to write.
        target: the machine it is for.
        boot: files of each boot partition, by path.
        root: tree of the first root slot; the second stays empty until the first update.
        data: tree of the data partition.
        epoch: every time stamp, in seconds (``SOURCE_DATE_EPOCH``).
    """
    work = image.with_suffix(".parts")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        for name, files in boot.items():
            size = target.boot_mebibytes if name == "esp" else target.slot_boot_mebibytes
            _fat(work / name, size, files, epoch)
        write_ext4(work / "root_a", target.root_mebibytes, "root_a", root, epoch)
        write_ext4(work / "data", target.data_mebibytes, "data", data, epoch)
        _partition(image, target)
        offsets = partitions(image)
        for name in (*boot, "root_a", "data"):
            _copy(work / name, image, offsets[name][0])
    finally:
        shutil.rmtree(work)


def partitions(image: Path) -> dict[str, tuple[int, int]]:
    """Return offset and size in bytes of each partition of *image*, by label."""
    listed = subprocess.run(["sfdisk", "--json", image], check=True, capture_output=True)
    rows = json.loads(listed.stdout)["partitiontable"]["partitions"]
    return {row["name"]: (row["start"] * SECTOR, row["size"] * SECTOR) for row in rows}


def identifier(target: Target, name: str) -> str:
    """Return the identifier of a partition, or of the disk: always the same for one target."""
    return str(uuid.uuid5(_NAMESPACE, f"{target.name}/{name}")).upper()


def _partition(image: Path, target: Target) -> None:
    kind = _ROOT[target.arch]
    boot = "uefi" if target.efi_loader else _BASIC_DATA
    rows = [("esp", target.boot_mebibytes, boot)]
    if target.slot_boot_mebibytes:  # at the start, as Raspberry Pi's boot loader wants them
        rows += [(f"boot_{slot}", target.slot_boot_mebibytes, boot) for slot in SLOTS]
    rows += [
        ("root_a", target.root_mebibytes, kind),
        ("root_b", target.root_mebibytes, kind),
        ("data", target.data_mebibytes, _LINUX),
    ]
    size = sum(row[1] for row in rows) + 2  # the tables at both ends
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(size * MEBIBYTE)
    lines = ["label: gpt", f"label-id: {identifier(target, 'disk')}"]
    lines += [
        f"size={size}M, type={kind}, name={name}, uuid={identifier(target, name)}"
        for name, size, kind in rows
    ]
    subprocess.run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image],
        input="\n".join(lines),
        text=True,
        check=True,
    )


def write_ext4(file: Path, mebibytes: int, label: str, tree: Path, epoch: int) -> None:
    """Write an ext4 file system of *mebibytes* with the files of *tree*."""
    identifier = str(uuid.uuid5(_NAMESPACE, f"ext4/{label}"))
    options = ["-q", "-t", "ext4", "-L", label, "-U", identifier, "-O", _EXT4_FEATURES, "-m", "0"]
    extended = f"hash_seed={identifier},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
    environment = {**os.environ, "E2FSPROGS_FAKE_TIME": str(epoch)}
    subprocess.run(
        ["mke2fs", *options, "-E", extended, "-d", tree, file, f"{mebibytes}M"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    _set_inode_times(file, epoch, environment)


def _set_inode_times(file: Path, epoch: int, environment: Mapping[str, str]) -> None:
    """Let every inode be read and changed at *epoch*: mke2fs takes this from the tree it copies.

    mke2fs has given the inodes away from the first one on, without holes.
    """
    said = subprocess.run(
        ["dumpe2fs", "-h", file], check=True, capture_output=True, text=True, env=environment
    ).stdout
    counts = dict(re.findall(r"^(Inode count|Free inodes): +(\d+)$", said, re.M))
    used = int(counts["Inode count"]) - int(counts["Free inodes"])
    lines = (
        f"set_inode_field <{inode}> {field} @{epoch}\n"
        for inode in range(_ROOT_INODE, used + 1)
        for field in ("atime", "ctime")
    )
    subprocess.run(
        ["debugfs", "-w", "-f", "-", file],
        input="".join(lines),
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )


def _fat(file: Path, mebibytes: int, content: Mapping[str, bytes], epoch: int) -> None:
    """Write a FAT32 file system; mtools takes the time stamps from the copied files."""
    with file.open("wb") as empty:
        empty.truncate(mebibytes * MEBIBYTE)
    serial = f"{uuid.uuid5(_NAMESPACE, file.name).int & 0xFFFFFFFF:08x}"
    label = "LUNA" if file.name == "esp" else file.name.upper()
    mkfs = ["mkfs.fat", "--invariant", "-F", "32", "-n", label, "-i", serial, str(file)]
    subprocess.run(mkfs, check=True, stdout=subprocess.DEVNULL)
    staged = file.with_suffix(".files")
    environment = {
        **os.environ,
        "MTOOLS_SKIP_CHECK": "1",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(epoch),  # for folders
    }
    made: set[str] = set()
    for name, data in sorted(content.items()):
        for folder in reversed(Path(name).parents[:-1]):
            if str(folder) not in made:
                made.add(str(folder))
                mmd = ["mmd", "-i", str(file), f"::/{folder}"]
                subprocess.run(mmd, check=True, env=environment)
        staged.write_bytes(data)
        os.utime(staged, (epoch, epoch))
        subprocess.run(
            ["mcopy", "-m", "-i", file, staged, f"::/{name}"], check=True, env=environment
        )
    staged.unlink(missing_ok=True)


def _copy(part: Path, image: Path, offset: int) -> None:
    """Copy a partition into the image; holes stay holes."""
    subprocess.run(
        [
            *("dd", f"if={part}", f"of={image}", "bs=1M", f"seek={offset // MEBIBYTE}"),
            *("conv=notrunc,sparse", "status=none"),
        ],
        check=True,
    )
