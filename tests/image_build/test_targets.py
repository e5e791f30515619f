"""The machines an image is for."""

from __future__ import annotations

import pytest

from image_build import boot_files, disk
from image_build.targets import COMMON_PACKAGES, TARGETS

PLATFORMS = {"amd64": "x86_64", "arm64": "aarch64"}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_target_fits_together(name: str) -> None:
    target = TARGETS[name]
    assert target.name == name
    assert target.platform == PLATFORMS[target.arch]
    assert bool(target.efi_loader) == bool(target.efi_name)
    # An EFI machine has Debian's kernel; the others bring boot partitions of their own.
    assert any(package.startswith("linux-image") for package in target.packages) == bool(
        target.efi_loader
    )
    assert bool(target.slot_boot_mebibytes) != bool(target.efi_loader)
    assert f"console={target.console}" in boot_files.command_line(target, "a")
    assert len(set(COMMON_PACKAGES)) == len(COMMON_PACKAGES)


def test_identifiers_differ_between_targets() -> None:
    names = [(target, part) for target in TARGETS.values() for part in ("disk", "esp", "root_a")]
    assert len({disk.identifier(target, part) for target, part in names}) == len(names)
