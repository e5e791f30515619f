"""An image's first start: two files on a boot partition, right, wrong and hostile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.first_boot import report as reports
from appliance.first_boot.board import ALSA, RULES
from appliance.first_boot.owner_files import read_keys, read_settings, take_secrets
from appliance.first_boot.places import Places
from appliance.first_boot.report import Problem, Report
from appliance.first_boot.setup import set_up
from appliance.panel.boards.profile import data_folder

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVYMzMlZXhhbXBsZWtleWV4YW1wbGVrZXlleGE ana@laptop"


@pytest.fixture
def box(tmp_path: Path) -> Places:
    """A card before its first start."""
    places = Places(tmp_path)
    for folder in (places.boot, places.boards, places.zones / "America", tmp_path / "data/luna"):
        folder.mkdir(parents=True)
    (places.zones / "America/Sao_Paulo").write_bytes(b"TZif")
    shutil.copytree(data_folder() / "boards", places.boards, dirs_exist_ok=True)
    return places


def start(box: Places) -> Report:
    """Do what a start does; nothing that the report says may be unknown to its reader."""
    report = Report()
    set_up(box, report)
    report.write(box.report)
    assert reports.read(box.report) == report.all()
    for problem in report.all():
        for language in ("en", "pt"):
            assert reports.sentence(problem, language)
    return report


def names(problems: list[Problem]) -> list[tuple[str, int]]:
    return [
        (str(one["sentence"]).removeprefix("first_boot."), int(one["line"])) for one in problems
    ]


def told(box: Places) -> list[tuple[str, int]]:
    return names(start(box).all())


def test_everything_that_can_be_said_is_kept(box: Places) -> None:
    (box.boot / "luna.txt").write_bytes(
        "\ufeffhost_name = kitchen\r\n"
        "# a remark\r\n\r\n"
        "Time-Zone = America/Sao_Paulo\r\n"
        "language = pt\r\n"
        "wifi_country = BR\r\n"
        'wifi_name = "Casa da Ana"\r\n'
        "wifi_password = correct horse\r\n"
        "board = codec-zero\r\n"
        f"page_password_hash = {HASH}\r\n".encode()
    )
    (box.boot / "authorized_keys").write_text(f"{KEY}\n")
    assert told(box) == []
    assert (box.system / "hostname").read_text() == "kitchen\n"
    assert str((box.system / "localtime").readlink()) == "/usr/share/zoneinfo/America/Sao_Paulo"
    assert (box.system / "authorized_keys").read_text() == f"{KEY}\n"
    assert box.page_password.read_text() == f"{HASH}\n"
    assert box.page_password.stat().st_mode & 0o777 == 0o600
    assert 'language = "pt"' in box.configuration.read_text()
    assert 'board = "codec-zero"' in box.configuration.read_text()
    wifi = (box.system / "wpa_supplicant.conf").read_text()
    assert f"ssid={b'Casa da Ana'.hex()}" in wifi
    assert "country=BR" in wifi


def test_the_key_of_the_wifi_is_the_one_of_the_standard(box: Places) -> None:
    """The test vector of IEEE 802.11i, annex H.4.3."""
    (box.boot / "luna.txt").write_text("wifi_name = IEEE\nwifi_password = password\n")
    start(box)
    kept = (box.system / "wpa_supplicant.conf").read_text()
    assert "psk=f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e" in kept


def test_no_secret_stays_on_the_boot_partition_and_the_next_start_keeps_it(box: Places) -> None:
    file = box.boot / "luna.txt"
    file.write_text(f"wifi_name = a\nwifi_password = correct horse\npage_password_hash = {HASH}\n")
    start(box)
    left = file.read_text()
    assert "correct horse" not in left
    assert "argon2" not in left
    kept = (box.system / "wpa_supplicant.conf").read_text()
    assert told(box) == []
    assert "psk=" in kept
    assert (box.system / "wpa_supplicant.conf").read_text() == kept
    assert box.page_password.read_text() == f"{HASH}\n"


def test_wrong_lines_are_named_and_the_rest_holds(box: Places) -> None:
    (box.boards / "old.toml").write_text('unsupported = "its driver is gone"')
    (box.boot / "luna.txt").write_text(
        "host_name = Küche\n"
        "time_zone = ../../etc/passwd\n"
        "language = fr\n"
        "wifi_pasword = secret123\n"
        "board = ../x\n"
        "nonsense\n"
        "wifi_password = short\n"
        "page_password_hash = hunter2\n"
        "wifi_country = BR\n"
        "board = old\n"
        "setup_hotspot = maybe\n"
        "something else = 1\n"
        "host_name = kitchen\n"
    )
    (box.boot / "authorized_keys").write_text(f"not a key\n{KEY}\n")
    report = start(box)
    assert names(report.all()) == [
        ("host_name", 1),
        ("time_zone", 2),
        ("language", 3),
        ("unknown_key", 4),
        ("board", 5),
        ("no_value", 6),
        ("wifi_password", 7),
        ("page_password_hash", 8),
        ("board_unsupported", 10),
        ("yes_or_no", 11),
        ("unknown", 12),
        ("wifi_without_name", 0),
        ("ssh_key", 1),
    ]
    assert report.problems[3]["near"] == "wifi_password"
    assert (box.system / "authorized_keys").read_text() == f"{KEY}\n"
    assert (box.system / "hostname").read_text() == "kitchen\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"x" * 70_000, "too_large"),
        (b"\xff\xfe\x00a", "not_text"),
        (b"language = pt\n" + bytes(4096), "not_text"),
    ],
)
def test_a_file_that_is_none(box: Places, content: bytes, sentence: str) -> None:
    (box.boot / "luna.txt").write_bytes(content)
    assert told(box) == [(sentence, 0)]


def test_a_file_that_is_a_folder(box: Places) -> None:
    (box.boot / "luna.txt").mkdir()
    assert told(box) == [("unreadable", 0)]


def test_a_file_of_nonsense_is_told_of_in_a_few_lines(box: Places) -> None:
    (box.boot / "luna.txt").write_text("x\n" * 30_000)
    report = start(box)
    assert len(report.all()) == reports.MOST + 1
    assert report.all()[-1] == {
        "sentence": "first_boot.more", "file": "", "line": 0, "count": 30_000 - reports.MOST,
    }  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        "{} = wifi_password",
        "{}",
        "wifi_pass word = {}",
        "wifi_password {}",
        "password: {}",
        "host_name = {}",
        "time_zone = {}",
        "board = {}",
        "setup_hotspot = {}",
        "page_password_hash = {}x",
        "{} = {}",
    ],
)
@pytest.mark.parametrize("secret", ["correct horse battery", "Ana-e-Bia-2019", HASH])
def test_no_secret_is_in_a_report(
    box: Places, wrong: str, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (box.boot / "luna.txt").write_text(wrong.replace("{}", secret) + "\nnonsense\n")
    (box.boot / "authorized_keys").write_text(f"{secret}\n")
    report = start(box)
    assert len(report.all()) >= 2
    said = [
        reports.sentence(problem, language) for problem in report.all() for language in ["en", "pt"]
    ]
    for text in (box.report.read_text(), *said, *capsys.readouterr()):
        assert secret not in text
        assert secret.split(maxsplit=1)[0] not in text


def test_a_secret_that_was_not_kept_stays_where_its_owner_sees_the_mistake(box: Places) -> None:
    file = box.boot / "luna.txt"
    file.write_text("wifi_password = correct horse\n")
    assert told(box) == [("wifi_without_name", 0)]
    assert "correct horse" in file.read_text()
    file.write_text("Wi-Fi_name = x\nWIFI PASSWORD = correct horse\nwifi-name = home\n")
    assert told(box) == [("unknown_key", 1)]
    assert file.read_text() == "Wi-Fi_name = x\nWIFI PASSWORD = (taken)\nwifi-name = home\n"


def test_another_network_needs_its_password(box: Places) -> None:
    file = box.boot / "luna.txt"
    file.write_text("wifi_name = old\nwifi_password = correct horse\n")
    assert told(box) == []
    file.write_text("wifi_name = new\nwifi_password = (taken)\n")
    assert told(box) == [("wifi_password_again", 0)]
    assert b"old".hex() in box.wifi.read_text()


def test_a_hash_that_no_small_box_can_compute_is_refused(box: Places) -> None:
    (box.boot / "luna.txt").write_text("page_password_hash = " + HASH.replace("19456", "9999999"))
    assert told(box) == [("page_password_hash", 1)]
    assert not box.page_password.exists()


def test_a_second_start_writes_nothing(box: Places) -> None:
    (box.boot / "luna.txt").write_text(
        "host_name = kitchen\nlanguage = pt\nwifi_name = home\ntime_zone = America/Sao_Paulo\n"
    )
    start(box)
    before = {file: file.lstat().st_mtime_ns for file in box.data.rglob("*")}
    start(box)
    assert {file: file.lstat().st_mtime_ns for file in box.data.rglob("*")} == before


def test_a_report_that_somebody_else_wrote_is_harmless(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    unknown = "first_boot.unknown_problem"
    for content, expected in (
        ("", []),
        ("[]", []),
        ('{"problems": 3}', []),
        (
            '{"problems": [3, {"sentence": "answer.hello"}, {"sentence": "first_boot.xxx"}]}',
            [unknown] * 3,
        ),
        ('{"problems": [{"sentence": "first_boot.no_value"}]}', [unknown]),
        (
            '{"problems": [{"sentence": "first_boot.no_value", "file": "<b>", "line": 1}]}',
            ["first_boot.no_value"],
        ),
    ):
        file.write_text(content)
        found = reports.read(file)
        assert [one["sentence"] for one in found] == expected
        assert all(reports.sentence(one, "pt") for one in found)
    assert reports.read(tmp_path / "nothing") == []


# --- the hotspot ---------------------------------------------------------------------------------


@pytest.fixture
def comitup(box: Places) -> Path:
    unit = box.root / "lib/systemd/system/comitup.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("")
    return box.run / "luna-setup-hotspot"


def test_a_hotspot_only_where_it_is_wanted_and_no_network_is_named(
    box: Places, comitup: Path
) -> None:
    file = box.boot / "luna.txt"
    for text in ("language = pt\n", "setup_hotspot = no\n", "setup_hotspot = yes\nwifi_name = x\n"):
        file.write_text(text)
        assert told(box) == []
        assert not comitup.exists()
    box.wifi.unlink()
    file.write_text("setup_hotspot = yes\n")
    assert told(box) == []
    assert comitup.exists()
    (network,) = (box.run / "systemd/network").iterdir()
    assert "Unmanaged=yes" in network.read_text()


def test_without_the_package_it_is_said_that_there_is_no_hotspot(box: Places) -> None:
    (box.boot / "luna.txt").write_text("setup_hotspot = yes\n")
    assert told(box) == [("no_hotspot", 0)]


# --- the board -----------------------------------------------------------------------------------


@pytest.fixture
def pi(box: Places) -> Places:
    """A card for a Raspberry Pi."""
    for slot in "ab":
        (box.boot / slot).mkdir()
        (box.boot / slot / "config.txt").write_text("include board.txt\n")
    (box.boot / "a/board.txt").write_text("# No board.\n")
    return box


def test_a_board_is_set_up_and_needs_one_restart(pi: Places) -> None:
    (pi.boot / "luna.txt").write_text("board = codec-zero\n")
    assert told(pi) == [("restart", 0)]
    assert "dtoverlay=rpi-codeczero" in (pi.boot / "a/board.txt").read_text()
    assert "hw:CARD=Zero" in (pi.root / ALSA).read_text()
    assert "amixer -q -c Zero" in (pi.root / RULES).read_text()
    assert told(pi) == []
    # What is in memory is gone after a restart, and the line may be gone too.
    (pi.root / ALSA).unlink()
    (pi.boot / "luna.txt").unlink()
    assert told(pi) == []
    assert "hw:CARD=Zero" in (pi.root / ALSA).read_text()


def test_another_board_takes_the_place_of_the_first(pi: Places) -> None:
    (pi.boot / "luna.txt").write_text("board = codec-zero\n")
    start(pi)
    (pi.boot / "luna.txt").write_text("board = none\n")
    assert told(pi) == [("restart", 0)]
    assert "dtoverlay" not in (pi.boot / "a/board.txt").read_text()
    assert 'board = "none"' in pi.configuration.read_text()
    assert told(pi) == []


def test_a_board_without_overlays_needs_no_restart(pi: Places) -> None:
    (pi.boot / "luna.txt").write_text("board = plain\n")
    assert told(pi) == []


def test_another_machine_has_no_overlays(pi: Places) -> None:
    for slot in "ab":
        (pi.boot / slot / "config.txt").unlink()
    (pi.boot / "luna.txt").write_text("board = codec-zero\n")
    assert told(pi) == []
    assert not (pi.boot / "b/board.txt").exists()


def test_every_board_that_can_be_chosen_can_be_set_up(pi: Places) -> None:
    for profile in sorted(pi.boards.glob("*.toml")):
        (pi.boot / "luna.txt").write_text(f"board = {profile.stem}\n")
        assert set(told(pi)) <= {("restart", 0), ("board_unsupported", 1)}


# --- a card that cannot be written -----------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED: only root may mount a file system")
@pytest.mark.parametrize("options", ["ro", "size=4k,nr_inodes=3"])
def test_a_card_that_cannot_be_written_is_reported_and_nothing_is_taken(
    box: Places, options: str
) -> None:
    file = box.boot / "luna.txt"
    file.write_text("host_name = kitchen\nwifi_name = a\nwifi_password = correct horse\n")
    (box.boot / "authorized_keys").write_text(f"{KEY}\n")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", box.data], check=True)
    try:
        found = told(box)
    finally:
        subprocess.run(["umount", box.data], check=True)
    assert found
    assert {name for name, _ in found} == {"read_only"}
    assert "correct horse" in file.read_text()
    assert told(box) == []
    assert "correct horse" not in file.read_text()


def test_a_card_without_files_is_no_problem(box: Places) -> None:
    assert told(box) == []
    assert str((box.system / "localtime").readlink()) == "/usr/share/zoneinfo/UTC"


@given(st.text(max_size=300))
def test_whatever_stands_there_nothing_breaks(text: str) -> None:
    report = Report()
    found = read_settings(text, Places(Path("/nowhere")), report)
    assert all(re.fullmatch(r"[a-z_]+", key) for key in found)
    assert all("\n" not in key for key in read_keys(text, report))
    assert take_secrets(text, {}) == text
