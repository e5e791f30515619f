"""`make image`: builds a bootable image, with what is in it and its hashes beside it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from appliance.errors import LunaError
from image_build import boot_files, debian_packages, disk, python_tree, root_tree, sbom
from image_build.targets import TARGETS, Target

PROJECT = Path(__file__).parent.parent
BOARD_MEMORY_MB = 8000
"""The board that the default models are chosen for."""


class BuildError(Exception):
    """The image is not built; the text says why, for a person."""


def main() -> int:
    """Carry out the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="image_build", description=__doc__)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--models", choices=("included", "firstboot"), default="included")
    parser.add_argument("--model", action="append", metavar="NAME", help="instead of the defaults")
    parser.add_argument("--config", type=Path, help="goes into the image as luna.toml")
    parser.add_argument("--models-dir", type=Path, required=True, help="the verified models")
    parser.add_argument("--cache", type=Path, required=True, help="unpacked Debian packages")
    parser.add_argument("--llama-wheel", type=Path, required=True)
    parser.add_argument("--vendor-boot", type=Path, metavar="DIR", help="pi5: see the README")
    parser.add_argument("--write-lock", action="store_true", help="write Debian's versions down")
    parser.add_argument("--locked", action="store_true", help="refuse other versions of Debian's")
    parser.add_argument("--update-key", type=Path, help="public key that updates are signed with")
    parser.add_argument("--out", type=Path, required=True, help="folder of the image")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.stderr.write("image_build: the tree of an image belongs to root: run this with sudo\n")
        return 1
    os.umask(0o022)  # it would be seen in the image
    target = TARGETS[arguments.target]
    try:
        models = [] if arguments.models == "firstboot" else model_folders(arguments)
        image = build(target, arguments, models)
    except (BuildError, FileNotFoundError, LunaError) as error:
        sys.stderr.write(f"image_build: {error}\n")
        return 1
    if target.efi_loader:
        print(f"{image} is ready; start it with: make boot-image TARGET={target.name}")
    elif arguments.vendor_boot is not None:
        print(f"{image} is ready; write it to a card")
    else:
        print(f"{image} has no kernel: it is the vendor's; see --vendor-boot in the README")
    return 0


def build(target: Target, arguments: argparse.Namespace, models: list[Path]) -> Path:
    """Build the image and what lies beside it: the root slot's file system, SBOM and hashes."""
    epoch = source_date_epoch()
    out: Path = arguments.out
    work = out / f"{target.name}.work"
    root, data = work / "root", work / "data"
    root_tree.make_root(
        root, target, arguments.cache, arguments.llama_wheel, arguments.vendor_boot, epoch
    )
    _compare(root, target, write=arguments.write_lock, refuse=arguments.locked)
    _name(root, target, arguments.update_key, epoch)
    _make_data(data, models, arguments.config, epoch)
    image = out / f"luna-{target.name}.img"
    boot = boot_files.by_partition(target, boot_files.files(target, root))
    disk.write_disk(image, target, boot=boot, root=root, data=data, epoch=epoch)
    files = [file for folder in models for file in sorted(folder.iterdir())]
    bill = out / f"luna-{target.name}.cdx.json"
    bill.write_text(json.dumps(sbom.bill_of_materials(root, target, files), indent=1))
    manifest = "".join(f"{sbom.sha256(file)}  {file.name}\n" for file in (image, bill))
    (out / f"luna-{target.name}.sha256").write_text(manifest)
    return image


def model_folders(arguments: argparse.Namespace) -> list[Path]:
    """Return the folders of the models that go into the image, each verified."""
    from appliance.models.catalogue import load_catalogue, verify

    catalogue = load_catalogue()
    names = arguments.model or catalogue.default_set(BOARD_MEMORY_MB)
    for name in names:
        verify(catalogue.get(name), arguments.models_dir)
    return [catalogue.get(name).folder(arguments.models_dir) for name in names]


def _compare(root: Path, target: Target, *, write: bool, refuse: bool) -> None:
    """Say which of Debian's packages are not those of the lock.

    Raises:
        BuildError: there are some, and that is refused.
    """
    lock, found = debian_packages.lock_file(target), debian_packages.installed(root)
    if write:
        debian_packages.write_lock(lock, found)
    for sentence in (differing := debian_packages.differences(lock, found)):
        sys.stderr.write(f"{lock.name}: {sentence}\n")
    if differing and refuse:
        raise BuildError(f"the packages are not those of {lock.name}; see above")


def _name(root: Path, target: Target, update_key: Path | None, epoch: int) -> None:
    """Write what an update is checked against: the kind of machine, and whose word it takes."""
    folder = root / "usr/share/luna"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "target").write_text(f"{target.name}\n", encoding="ascii")
    if update_key is not None:
        shutil.copyfile(update_key, folder / "update.pub")
    python_tree.set_times(folder, epoch)
    os.utime(folder.parent, (epoch, epoch))


def _make_data(data: Path, models: list[Path], config: Path | None, epoch: int) -> None:
    shutil.rmtree(data, ignore_errors=True)
    for name in ("luna", "cache/models", "etc", "system/ssh", "home"):
        (data / name).mkdir(parents=True)
    for folder in models:
        shutil.copytree(folder, data / "cache/models" / folder.name)
    if config is not None:
        shutil.copyfile(config, data / "etc/luna.toml")
    for path in data.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    python_tree.set_times(data, epoch)


def source_date_epoch() -> int:
    """Return SOURCE_DATE_EPOCH; the time of the last commit where it is not set."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    asked = ["git", "-C", str(PROJECT), "log", "-1", "--format=%ct"]
    return int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
