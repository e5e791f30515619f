"""What can be built: the machines an image is for, and what differs between them."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024

DEBIAN = "bookworm"
COMMON_PACKAGES = (
    "alsa-utils",
    "avahi-daemon",
    "ca-certificates",
    "dbus",
    "dosfstools",
    "e2fsprogs",
    "espeak-ng",
    "fdisk",
    "iproute2",
    "kmod",
    "libgomp1",
    "libnss-mdns",
    "libportaudio2",
    "nano",
    "openssh-server",
    "polkitd",
    "procps",
    "python3",
    "python3-systemd",
    "sudo",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "systemd-zram-generator",
    "tzdata",
    "udev",
    "wireless-regdb",
    "wpasupplicant",
)


@dataclass(frozen=True)
class Target:
    """A kind of machine."""

    name: str
    arch: str
    """Debian's word: ``amd64`` or ``arm64``."""
    platform: str
    """Of Python wheels: ``x86_64`` or ``aarch64``."""
    packages: tuple[str, ...]
    """Debian packages beside those that all images have."""
    efi_loader: str
    """systemd-boot's file in the root, and the name the firmware looks for; empty: no EFI."""
    efi_name: str
    console: str
    boot_mebibytes: int
    slot_boot_mebibytes: int
    """Size of each slot's own boot partition; 0: the slots are folders of the one."""
    root_mebibytes: int
    """Size of each of the two root slots."""
    data_mebibytes: int
    """Size of the data partition in the image; it grows to the card at the first boot."""


_EFI = "usr/lib/systemd/boot/efi"
TARGETS = {
    target.name: target
    for target in (
        Target(
            name="virt-amd64",
            arch="amd64",
            platform="x86_64",
            packages=("busybox-static", "linux-image-amd64", "systemd-boot"),
            efi_loader=f"{_EFI}/systemd-bootx64.efi",
            efi_name="BOOTX64.EFI",
            console="ttyS0",
            boot_mebibytes=128,
            slot_boot_mebibytes=0,
            root_mebibytes=1536,
            data_mebibytes=1536,
        ),
        Target(
            name="virt-arm64",
            arch="arm64",
            platform="aarch64",
            packages=("busybox-static", "linux-image-arm64", "systemd-boot"),
            efi_loader=f"{_EFI}/systemd-bootaa64.efi",
            efi_name="BOOTAA64.EFI",
            console="ttyAMA0",
            boot_mebibytes=128,
            slot_boot_mebibytes=0,
            root_mebibytes=1536,
            data_mebibytes=1536,
        ),
        Target(
            name="pi5",
            arch="arm64",
            platform="aarch64",
            packages=(),  # kernel and firmware come from the vendor's archive
            efi_loader="",
            efi_name="",
            console="tty1",
            boot_mebibytes=64,
            slot_boot_mebibytes=128,
            root_mebibytes=1536,
            data_mebibytes=1536,
        ),
    )
}
"""By name."""
