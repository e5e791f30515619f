"""What the kernel's files say of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from appliance import vitals


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_this_machine() -> None:
    found = vitals.measure({"data": Path.home() / "not/yet/there"})
    assert found.memory_mb == pytest.approx(psutil.virtual_memory().total / 1e6, rel=0.01)
    assert found.disks_free_mb["data"] == pytest.approx(
        psutil.disk_usage(str(Path.home())).free / 1e6, rel=0.05
    )
    assert found.temperature_c is None or 0 < found.temperature_c < 120
    own = vitals.process_memory(os.getpid())
    assert own is not None
    assert 5 < own < psutil.Process().memory_info().rss / 1e6 + 1
    assert vitals.processes_memory([("gone", 2**22 - 1)]) == {}


def test_temperature_is_that_of_the_processor(tmp_path: Path) -> None:
    assert vitals.temperature(tmp_path) is None
    zones = tmp_path / "class/thermal"
    write(zones / "thermal_zone0/type", "acpitz\n")
    write(zones / "thermal_zone0/temp", "27800\n")
    assert vitals.temperature(tmp_path) == 27.8
    write(zones / "thermal_zone1/type", "cpu-thermal\n")
    write(zones / "thermal_zone1/temp", "61234\n")
    assert vitals.temperature(tmp_path) == 61.2
    write(zones / "thermal_zone1/temp", "not a number\n")
    assert vitals.temperature(tmp_path) is None


@pytest.mark.parametrize(
    ("bits", "reasons"),
    [
        ("0\n", ()),
        ("50000\n", ()),  # it was so once
        ("50005\n", ("under_voltage", "throttled")),
        ("f\n", ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")),
    ],
)
def test_throttling_of_a_raspberry_pi(tmp_path: Path, bits: str, reasons: tuple[str, ...]) -> None:
    write(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", bits)
    assert vitals.throttled(tmp_path) == reasons


def test_throttling_elsewhere(tmp_path: Path) -> None:
    assert vitals.throttled(tmp_path) is None
    write(tmp_path / "class/thermal/cooling_device0/type", "pwm-fan\n")
    write(tmp_path / "class/thermal/cooling_device0/cur_state", "3\n")
    assert vitals.throttled(tmp_path) is None  # a fan that turns is what it is for
    write(tmp_path / "class/thermal/cooling_device1/type", "cpufreq-cpu0\n")
    write(tmp_path / "class/thermal/cooling_device1/cur_state", "0\n")
    assert vitals.throttled(tmp_path) == ()
    write(tmp_path / "class/thermal/cooling_device1/cur_state", "2\n")
    assert vitals.throttled(tmp_path) == ("throttled",)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    assert vitals.writable(tmp_path / "not/there/yet")
    assert vitals.measure({"data": tmp_path}).unwritable == ()
    assert vitals.measure({"data": Path("/proc/self")}).unwritable == ("data",)


def test_pressure_route_and_slot(tmp_path: Path) -> None:
    assert vitals.cpu_wait(tmp_path) is None
    write(tmp_path / "pressure/cpu", "some avg10=1.00 avg60=37.25 avg300=3.00 total=1\n")
    assert vitals.cpu_wait(tmp_path) == 37.25
    assert not vitals.has_route(tmp_path)
    head = "Iface\tDestination\tGateway\n"
    write(tmp_path / "net/route", head + "eth0\t0001A8C0\t00000000\n")
    assert not vitals.has_route(tmp_path)
    write(tmp_path / "net/route", head + "eth0\t00000000\t0101A8C0\n")
    assert vitals.has_route(tmp_path)
    write(tmp_path / "net/route", head)
    row = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 1 0 00200200"
    write(tmp_path / "net/ipv6_route", f"{row} lo\n")
    assert not vitals.has_route(tmp_path)
    write(tmp_path / "net/ipv6_route", f"{row} eth0\n")
    assert vitals.has_route(tmp_path)
    assert vitals.slot(tmp_path, tmp_path) == ""
    write(tmp_path / "luna-slot", "b\n")
    assert vitals.slot(tmp_path, tmp_path) == "b"
    write(tmp_path / "cmdline", "root=/dev/vda2 ro luna.slot=a quiet\n")
    assert vitals.slot(tmp_path, tmp_path) == "a"
