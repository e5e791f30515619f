"""The board is recognised by its EEPROM; where only the I2C bus answers, a person decides."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from appliance.panel.boards import detect, profile
from appliance.panel.boards.profile import Profile

PI5 = "Raspberry Pi 5 Model B Rev 1.0"


@pytest.fixture(scope="module")
def boards() -> list[Profile]:
    return [profile.find(name) for name in profile.files()]


def write(root: Path, **texts: str) -> Path:
    """Write device tree and sysfs; `__` stands for a slash."""
    for name, text in texts.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() + b"\0")
    return root


def pi(root: Path, hat: str = "") -> Path:
    write(root, **{"proc/device-tree__model": PI5})
    return write(root, **{"proc/device-tree/hat__product": hat}) if hat else root


def bound(root: Path, address: str, chip: str) -> None:
    """A kernel driver owns a chip."""
    file = root / f"sys/bus/i2c/devices/1-{address}/name"
    file.parent.mkdir(parents=True)
    file.write_text(chip + "\n")


@pytest.mark.parametrize(
    ("product", "name"),
    [
        ("Raspberry Pi Codec Zero", "codec-zero"),
        ("Raspberry Pi DigiAMP+", "digiamp-plus"),
        ("AIY VoiceBonnet", "aiy-voice-bonnet-v2"),
    ],
)
def test_the_eeprom_is_believed(
    product: str, name: str, boards: list[Profile], tmp_path: Path
) -> None:
    def forbidden(_: int) -> bool:
        raise AssertionError("the bus is not asked when the EEPROM says it")

    found = detect.detect(boards, pi(tmp_path, product), forbidden)
    assert found.computer == PI5
    assert found.hat == product
    assert [(one.name, one.sure) for one in found.found] == [(name, True)]
    assert found.notes == ()


def test_an_unknown_eeprom_is_said_and_the_bus_asked(boards: list[Profile], tmp_path: Path) -> None:
    found = detect.detect(boards, pi(tmp_path, "Sense\x1b[2JHAT"), lambda address: address == 0x18)
    assert found.notes == ("the board says that it is 'Sense?[2JHAT', which no profile knows",)
    assert [(one.name, one.sure) for one in found.found] == [("respeaker-2mic-v2", False)]


def test_what_looks_the_same_is_not_guessed(boards: list[Profile], tmp_path: Path) -> None:
    found = detect.detect(boards, pi(tmp_path), lambda address: address == 0x1A)
    assert {one.name for one in found.found} == {
        "adafruit-voice-bonnet",
        "codec-zero",
        "respeaker-2mic-v1",
        "waveshare-wm8960",
    }
    assert not any(one.sure for one in found.found)
    assert "a chip answers at I2C address 0x1a" in found.found[0].reason


def test_a_chip_with_a_driver_has_a_name(boards: list[Profile], tmp_path: Path) -> None:
    bound(pi(tmp_path), "001a", "wm8960")
    found = detect.detect(boards, tmp_path)
    assert len(found.found) == 3
    assert not any(one.sure for one in found.found)
    (tmp_path / "sys/bus/i2c/devices/1-001a/name").write_text("da7213\n")
    found = detect.detect(boards, tmp_path)
    assert [(one.name, one.sure) for one in found.found] == [("codec-zero", True)]
    (tmp_path / "sys/bus/i2c/devices/1-001a/name").write_text("rt5645\n")
    assert detect.detect(boards, tmp_path).notes == (
        "no profile knows the chip rt5645 at I2C address 0x1a",
    )


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (FileNotFoundError(2, "x"), "I2C is switched off: set dtparam=i2c_arm=on"),
        (PermissionError(13, "x"), "/dev/i2c-1 may not be opened: run it with sudo, or join"),
        (OSError(5, "Input/output error"), "the I2C bus cannot be asked: Input/output error"),
    ],
)
def test_why_the_bus_cannot_be_asked_is_said_once(
    error: OSError, note: str, boards: list[Profile], tmp_path: Path
) -> None:
    def fail(_: int) -> bool:
        raise error

    found = detect.detect(boards, pi(tmp_path), fail)
    assert found.found == ()
    assert len(found.notes) == 1
    assert note in found.notes[0]


def test_no_other_computers_bus_is_asked(boards: list[Profile], tmp_path: Path) -> None:
    def forbidden(_: int) -> bool:
        raise AssertionError("memory modules sit on such a bus")

    write(tmp_path, **{"proc/device-tree__model": "Radxa ROCK 5B"})
    assert detect.detect(boards, tmp_path, forbidden).found == ()
    assert detect.detect(boards, tmp_path / "nothing", forbidden).computer == ""


def test_a_serial_panel_on_usb_is_only_perhaps_one(boards: list[Profile], tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/usb/devices/1-1"
    device.mkdir(parents=True)
    (device / "idVendor").write_text("2e8a\n")
    (device / "idProduct").write_text("0005\n")
    (tmp_path / "sys/bus/usb/devices/usb1").mkdir()
    found = detect.detect(boards, tmp_path).found
    assert [(one.name, one.sure) for one in found] == [("serial-panel", False)]


def test_the_question_to_the_bus_has_the_kernels_form() -> None:
    """``struct i2c_smbus_ioctl_data``: two bytes, padding, four bytes, a pointer."""
    pointer = ctypes.sizeof(ctypes.c_void_p)
    assert detect._SmbusData.size.offset == 4
    assert detect._SmbusData.data.offset == 8
    assert ctypes.sizeof(detect._SmbusData) == 8 + pointer


@pytest.mark.skipif(Path("/dev/i2c-1").exists(), reason="this machine has such a bus")
def test_a_computer_without_the_bus_raises() -> None:
    with pytest.raises(FileNotFoundError):
        detect.header_i2c(0x1A)
