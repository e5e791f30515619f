"""The boot partitions: what a Raspberry Pi's boot loader takes, and what an update changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.errors import UpdateError
from appliance.panel.boards import profile
from appliance.panel.boards.apply import boot_lines
from appliance.storage.files import FileLayer
from appliance.update import loaders
from image_build import boot_files, kernel
from image_build.make_bundle import slot_files
from image_build.targets import TARGETS

PI = TARGETS["pi5"]
PROFILES = sorted((profile.data_folder() / "boards").glob("*.toml"))
LINE = re.compile(
    r"\[all\]|include [a-z]+\.txt"
    r"|(arm_64bit|auto_initramfs)=[01]|(kernel|cmdline)=[a-z0-9_.]+"
    r"|dtparam=[a-z0-9_]+=(on|off)|dtoverlay=([a-z0-9_-]+(,[a-z0-9_=-]+)*)?|gpio=\d+=[a-z,]+"
)
"""The settings of config.txt that are used here (raspberrypi.com/documentation, config.txt)."""


def lint(text: str) -> None:
    for line in text.splitlines():
        assert len(line) <= 98, "the firmware cuts longer lines off"
        if line and not line.startswith("#"):
            assert LINE.fullmatch(line), line


def on_a_box(folder: Path, root: Path) -> loaders.Tryboot:
    """Write the partitions as they are mounted on the box."""
    parts = boot_files.by_partition(PI, boot_files.files(PI, root))
    for label, files in parts.items():
        mounted = folder if label == "esp" else folder / label[-1]
        for name, data in files.items():
            (mounted / name).parent.mkdir(parents=True, exist_ok=True)
            (mounted / name).write_bytes(data)
    for slot in "ab":  # what is below a mounted partition is not seen
        (folder / slot / loaders.NOT_MOUNTED).unlink()
    loader = loaders.find(folder, FileLayer())
    assert isinstance(loader, loaders.Tryboot)
    return loader


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """A made-up folder with what `dpkg -x` makes of the vendor's packages."""
    folder, release = tmp_path / "vendor", "6.12.0+rpt-rpi-2712"
    for name in (
        f"boot/vmlinuz-{release}",
        f"usr/lib/linux-image-{release}/broadcom/bcm2712-rpi-5-b.dtb",
        f"usr/lib/linux-image-{release}/broadcom/bcm2711-rpi-4-b.dtb",
        f"usr/lib/linux-image-{release}/overlays/rpi-codeczero.dtbo",
        f"lib/modules/{release}/kernel/sound/a.ko.xz",
        f"lib/modules/{release}/modules.order",
        f"lib/modules/{release}/modules.builtin",
        "lib/firmware/brcm/b.bin",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if "modules" in name else name)
    return folder


def test_autoboot_is_what_the_vendor_documents(tmp_path: Path) -> None:
    text = boot_files.files(PI, tmp_path)["autoboot.txt"].decode()
    assert text == "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"
    assert len(text) <= 512


def test_config_and_command_line(tmp_path: Path) -> None:
    files = boot_files.files(PI, tmp_path)
    lint(files["a/config.txt"].decode())
    (line,) = files["a/cmdline.txt"].decode().splitlines()
    words = line.split()
    assert {"root=PARTLABEL=root_a", "ro", "rootwait", "luna.slot=a"} <= set(words)
    own = boot_files.command_line(PI, "{slot}").replace("{slot}", "a")
    assert own == line, "an update brings another command line than the image"


@pytest.mark.parametrize("file", PROFILES, ids=lambda file: file.stem)
def test_the_lines_of_every_board_are_what_config_txt_takes(file: Path) -> None:
    lint(boot_lines(profile.load(file)))


def test_the_config_includes_the_boards_lines(tmp_path: Path) -> None:
    files = boot_files.files(PI, tmp_path)
    assert files["a/config.txt"].endswith(b"\ninclude board.txt\n")
    lint(files["a/board.txt"].decode())  # of no board yet


def test_the_slots_have_partitions_of_their_own(tmp_path: Path) -> None:
    parts = boot_files.by_partition(PI, boot_files.files(PI, tmp_path))
    assert list(parts) == ["esp", "boot_a", "boot_b"]
    assert {"autoboot.txt", "luna.txt"} < set(parts["esp"])
    assert {"config.txt", "cmdline.txt", "luna.good"} < set(parts["boot_a"])
    assert parts["boot_b"] == {}


def test_the_update_chooses_slots_as_the_image_does(tmp_path: Path) -> None:
    loader = on_a_box(tmp_path, tmp_path)
    assert loader.next() == "a"
    assert loader.entries()["a"].status == "good"
    (tmp_path / "a/board.txt").write_text("dtoverlay=rpi-codeczero\n")
    loader.retire("b")
    loader.try_next("b", "9.8.7", boot_files.command_line(PI, "{slot}"))
    assert loader.next() == "a", "a start that nobody asked to be a trial"
    assert loader.entries()["b"].status == "trial"
    assert "root=PARTLABEL=root_b" in (tmp_path / "b/cmdline.txt").read_text()
    assert (tmp_path / "b/board.txt").read_text() == "dtoverlay=rpi-codeczero\n"
    loader.bless("b")
    assert loader.next() == "b"
    text = (tmp_path / "autoboot.txt").read_text()
    assert text == "[all]\ntryboot_a_b=1\nboot_partition=3\n[tryboot]\nboot_partition=2\n"


def test_a_partition_that_is_not_mounted_is_not_written_to(tmp_path: Path) -> None:
    loader = on_a_box(tmp_path, tmp_path)
    (tmp_path / "b" / loaders.NOT_MOUNTED).write_text("")
    with pytest.raises(UpdateError, match="boot_b is not mounted"):
        loader.retire("b")


def test_the_vendors_kernel(tmp_path: Path, vendor: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    assert "a/kernel_2712.img" not in boot_files.files(PI, root)
    kernel.add_vendor(root, vendor)
    files = boot_files.files(PI, root)
    assert files["a/kernel_2712.img"].startswith(b"boot/vmlinuz")
    assert {"a/bcm2712-rpi-5-b.dtb", "a/overlays/rpi-codeczero.dtbo"} < set(files)
    assert "a/bcm2711-rpi-4-b.dtb" not in files
    assert (root / "usr/lib/modules/6.12.0+rpt-rpi-2712/modules.dep").is_file()
    assert (root / "usr/lib/firmware/brcm/b.bin").is_file()
    assert {"kernel_2712.img", "config.txt", "overlays/rpi-codeczero.dtbo"} < set(
        slot_files(PI, root)
    )


def test_a_folder_without_a_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="one kernel is needed, not 0"):
        kernel.add_vendor(tmp_path / "root", tmp_path)
