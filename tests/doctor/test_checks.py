"""Each check with what it looks at in every state."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance import last_errors
from appliance.doctor import (
    clock,
    crashes,
    disk,
    first_boot,
    heat,
    network,
    permissions,
    providers,
    service,
    sound,
    versions,
    workers,
)
from appliance.doctor.finding import EXIT_CODES, Box, Finding, Level
from appliance.doctor.report import lines
from appliance.doctor.systemd import Unit
from appliance.events import LoopbackMeasured
from appliance.first_boot.report import Report
from appliance.reminders.wall_clock import Reading
from appliance.settings import GeneralSettings, ProviderSettings, Settings
from appliance.storage.flash import FlashStorage

Bad = dict[str, Level]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    general = GeneralSettings(data_dir=str(data), models_dir=str(tmp_path / "models"))
    return Box(Settings(general=general), root=tmp_path / "root")


def put(box: Box, name: str, text: str) -> None:
    file = box.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def names(check: Callable[[Box], Iterator[Finding]], box: Box) -> Bad:
    """Return what is not well; every sentence and line can be made in both languages."""
    found = list(check(box))
    assert found, "a check always says something"
    for finding in found:
        for language in ("en", "pt"):
            assert finding.sentence(language)
            assert all(len(row) <= 80 for row in lines("disk", finding, language))
    return {finding.name: finding.level for finding in found if finding.level != "ok"}


def report(**parts: Any) -> dict[str, Any]:
    worker = {"status": "ready", "detail": "", "restarts": 0, "last_pong_s": 0.5}
    return {
        "version": "0.1.0",
        "pid": os.getpid(),
        "uptime_s": 100.0,
        "workers": dict.fromkeys(("audio", "listen", "stt", "tts", "llm"), worker),
        "microphone": {"status": "open"},
        "speaker": {"status": "closed"},
        "mute_switch": False,
        "vitals": {},
        "providers": [],
        **parts,
    }


def test_heat(box: Box) -> None:
    assert names(heat.check, box) == {}  # no thermometer
    put(box, "sys/class/thermal/thermal_zone0/temp", "50000")
    assert names(heat.check, box) == {}
    put(box, "sys/class/thermal/thermal_zone0/temp", "78000")
    assert names(heat.check, box) == {"heat.temperature_c": "warning"}
    throttled = "sys/devices/platform/soc/soc:firmware/get_throttled"
    put(box, throttled, "50005")
    assert names(heat.check, box) == {
        "heat.temperature_c": "warning",
        "heat.throttled": "failure",
    }
    put(box, "sys/class/thermal/thermal_zone0/temp", "50000")
    put(box, throttled, "50000")
    assert names(heat.check, box) == {"heat.was_throttled": "warning"}
    put(box, throttled, "0")
    assert names(heat.check, box) == {}


@pytest.mark.parametrize(
    ("life", "end", "bad"),
    [
        ("0x01 0x01", "0x01", {}),
        ("0x00 0x00", "0x00", {}),
        ("0x02 0x09", "0x01", {"disk.wears": "warning"}),
        ("0x0b 0x01", "0x01", {"disk.worn": "failure"}),
        ("0x01 0x01", "0x02", {"disk.wears": "warning"}),
        ("0x01 0x01", "0x03", {"disk.worn": "failure"}),
        ("nonsense", "", {}),
    ],
)
def test_flash(life: str, end: str, bad: Bad, box: Box) -> None:
    put(box, "sys/block/mmcblk0/device/life_time", life)
    put(box, "sys/block/mmcblk0/device/pre_eol_info", end)
    assert names(disk.check, box) == bad


def test_disk(box: Box) -> None:
    assert names(disk.check, box) == {}
    put(box, "sys/fs/ext4/mmcblk0p2/errors_count", "0")
    assert names(disk.check, box) == {}
    put(box, "sys/fs/ext4/mmcblk0p2/errors_count", "3")
    assert names(disk.check, box) == {"disk.errors": "failure"}
    put(box, "sys/fs/ext4/mmcblk0p2/errors_count", "0")
    # Of two mounts the one that is deeper counts, and of two on one place the later one.
    put(box, "proc/mounts", f"a / ext4 ro 0 0\nb {box.data_dir.resolve()} ext4 rw 0 0\n")
    assert names(disk.check, box) == {}
    put(box, "proc/mounts", "a / ext4 rw 0 0\nb / ext4 ro 0 0\n")
    assert names(disk.check, box) == {"disk.read_only": "failure"}
    limits = replace(box.settings.thresholds, disk_free_mb=(1e12, 1.0))
    full = Box(replace(box.settings, thresholds=limits), root=box.root.parent)
    assert names(disk.check, full) == {"disk.full": "warning"}


def test_a_damaged_store_is_found(box: Box) -> None:
    storage = FlashStorage(box.data_dir / "things")
    storage.write({"a": {"1": {"x": 1}}})
    storage.compact()
    storage.write({"a": {"1": {"x": 2}}})
    storage.close()
    assert names(disk.check, box) == {}
    (newest, *_) = sorted((box.data_dir / "things").glob("*.snapshot"), reverse=True)
    content = bytearray(newest.read_bytes())
    content[-3] ^= 0xFF
    newest.write_bytes(content)
    bad = names(disk.check, box)
    assert bad in ({"disk.store_damaged": "warning"}, {"disk.store_lost": "failure"})


def test_permissions(box: Box) -> None:
    assert names(permissions.check, box) == {}
    for mode, bad in ((0o755, {}), (0o770, "bad"), (0o500, "bad"), (0o702, "bad")):
        box.data_dir.chmod(mode)
        expected = {"permissions.data_mode": "failure"} if bad else {}
        assert names(permissions.check, box) == expected, oct(mode)
    box.data_dir.chmod(0o700)
    secrets = box.data_dir / "secrets"
    secrets.mkdir(mode=0o750)
    (secrets / "key").write_bytes(b"x")
    (secrets / "key").chmod(0o640)
    found = list(permissions.check(box))
    assert [finding.name for finding in found] == ["permissions.secret"] * 2
    for finding in found:
        assert finding.fix is not None
        finding.fix.carry_out()
        finding.fix.carry_out()
    assert names(permissions.check, box) == {}
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert (secrets / "key").stat().st_mode & 0o777 == 0o600


def test_a_data_folder_that_is_none(box: Box) -> None:
    box.data_dir.rmdir()
    assert names(permissions.check, box) == {}  # made by the first start
    box.data_dir.write_text("")
    assert names(permissions.check, box) == {"permissions.no_folder": "failure"}


def test_workers(box: Box) -> None:
    assert names(workers.check, box) == {}
    box.report = report()
    assert names(workers.check, box) == {}
    well = box.report["workers"]["stt"]
    for changes, bad in (
        ({"status": "failed", "restarts": 3, "detail": "it exited"}, {"workers.dead": "failure"}),
        ({"status": "starting"}, {"workers.starting": "warning"}),
        ({"last_pong_s": 60.0}, {"workers.silent": "failure"}),
    ):
        box.report["workers"] = {"stt": {**well, **changes}}
        assert names(workers.check, box) == bad
    box.report = report(
        vitals={
            "findings": [
                {
                    "name": name,
                    "level": "critical",
                    "text_key": f"finding.{name}",
                    "values": {"value": 9, "limit": 3},
                }
                for name in ("stt_s", "disk_free_mb")  # the second is the disk's to report
            ]
        }
    )
    assert names(workers.check, box) == {"workers.stt_s": "failure"}


def test_clock(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import UTC, datetime

    year = 2030

    def read(_: object) -> Reading:
        return Reading(datetime(year, 5, 1, tzinfo=UTC), 100.0, "boot", False)

    monkeypatch.setattr("appliance.reminders.wall_clock.SystemClock.read", read)
    assert names(clock.check, box) == {}
    box.report = report(vitals={"measured": {"clock_doubted": {"value": 1.0}}})
    assert names(clock.check, box) == {"clock.doubted": "warning"}
    year = 1970
    assert names(clock.check, box) == {"clock.wrong": "failure"}


def test_network_and_providers(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    web = replace(box.settings.web, port=0)
    box.settings = replace(box.settings, web=web)
    put(box, "proc/net/route", "Iface\n")
    assert names(network.check, box) == {}  # nothing needs one
    assert names(providers.check, box) == {}
    table = {"far": ProviderSettings(base_url="http://127.0.0.1:9/v1", models={"chat": "m"})}
    box.settings = replace(box.settings, providers=table)
    assert names(network.check, box) == {"network.down": "warning"}
    assert names(providers.check, box) == {}  # without a key: the configuration says so
    monkeypatch.setenv("FAR_API_KEY", "a-key-for-a-test")
    assert names(providers.check, box) == {"providers.unreachable": "warning"}
    row = {"name": "far", "status": "degraded", "last_error": "it is tired"}
    box.report = report(providers=[row])
    assert names(providers.check, box) == {"providers.ill": "warning"}


def test_service(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    unit: Unit | None = None
    monkeypatch.setattr("appliance.doctor.service.unit", lambda: unit)
    assert names(service.check, box) == {}
    box.silence = "Luna does not answer"
    assert names(service.check, box) == {"service.silent": "failure"}
    box.silence = ""
    for active, enabled, bad in (
        ("failed", True, {"service.failed": "failure"}),
        ("activating", True, {"service.restarting": "failure"}),
        ("inactive", True, {"service.stopped": "failure"}),
        ("inactive", False, {"service.off": "warning", "service.not_enabled": "warning"}),
    ):
        unit = Unit(active, enabled, 0, 0, "exit-code")
        assert names(service.check, box) == bad
    unit = Unit("active", True, 1, 0, "success")
    box.report = report()
    assert names(service.check, box) == {}


def test_versions(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(versions.check, box) == {}
    box.report = report(version="0.0.9")
    assert names(versions.check, box) == {"versions.older": "warning"}
    monkeypatch.setattr("appliance.doctor.versions._wanted", lambda: ["no-such-library"])
    assert names(versions.check, box) == {
        "versions.older": "warning",
        "versions.missing": "failure",
    }


def test_crashes(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(crashes.check, box) == {}
    put(box, "sys/fs/pstore/dmesg-ramoops-0", "Oops")
    assert names(crashes.check, box) == {"crashes.kernel": "warning"}
    (box.root / "sys/fs/pstore/dmesg-ramoops-0").unlink()
    line = (
        '{"time": "2999-01-01T00:00:00+00:00", "level": "warning", "message": "stt: failed", '
        '"event": "worker_changed", "worker": "stt", "status": "failed"}'
    )
    log: list[str] = []
    monkeypatch.setattr("appliance.doctor.crashes.recent", lambda _: log)
    box.report = report()
    expected: tuple[Bad, ...] = ({}, {}, {"crashes.worker": "warning"})
    for bad in expected:
        assert names(crashes.check, box) == bad
        log.append(line)


def test_sound_of_a_running_service(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(request: Any, *_: object) -> LoopbackMeasured:
        return LoopbackMeasured(request=request.request, ok=False, text="the speaker sleeps")

    monkeypatch.setattr("appliance.doctor.sound.ask", ask)
    missing = {"status": "missing", "detail": "there is no microphone"}
    for changes, bad in (
        ({"microphone": missing}, {"sound.microphone": "failure"}),
        ({"speaker": missing}, {"sound.speaker": "failure"}),
        ({"microphone": {"status": "muted"}}, {"sound.muted": "warning"}),
        ({"mute_switch": True}, {"sound.switched_off": "warning"}),
        ({"workers": {}}, {}),
        ({}, {"sound.no_test": "failure"}),
    ):
        box.report = report(**changes)
        assert names(sound.check, box) == bad
    box.play = False
    assert names(sound.check, box) == {}


def test_no_sound_devices(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.doctor.sound.list_devices", list)
    assert names(sound.check, box) == {
        "sound.no_microphone": "failure",
        "sound.no_speaker": "failure",
    }


def test_exit_codes_are_none_of_the_errors() -> None:
    from appliance.errors import LunaError

    errors = {1, *(kind.exit_code for kind in LunaError.__subclasses__())}
    assert not errors & set(EXIT_CODES.values())


# --- an image's first start --------------------------------------------------------------------


def test_what_could_not_be_used_of_the_owners_files(box: Box) -> None:
    assert [one.skipped for one in first_boot.check(box)] == [True]
    report = Report()
    report.write(box.root / first_boot.REPORT)
    assert names(first_boot.check, box) == {}
    report.add("first_boot.no_value", "luna.txt", 7)
    report.add("first_boot.ssh_key", "authorized_keys", 1)
    report.add("first_boot.no_data", "")
    report.write(box.root / first_boot.REPORT)
    assert list(names(first_boot.check, box).values()) == ["warning", "warning", "failure"]
    wrong, key, card = first_boot.check(box)
    assert wrong.sentence("en").startswith("luna.txt, line 7: ")
    assert wrong.command == "sudo nano /boot/luna.txt && sudo reboot"
    assert key.command == "sudo nano /boot/authorized_keys && sudo reboot"
    assert "nano" not in card.command


def test_errors_of_earlier_starts_are_mentioned(box: Box) -> None:
    assert not any(one.name == "crashes.kept" for one in crashes.check(box))
    last_errors.save("oops\n", str(uuid.uuid4()), box.data_dir / last_errors.FOLDER)
    (kept,) = [one for one in crashes.check(box) if one.name == "crashes.kept"]
    assert kept.level == "ok"
    assert "luna logs --earlier" in kept.sentence("pt")
