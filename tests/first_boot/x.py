"""An image's first start: two files on a boot partition, right, wrong and hostile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import texts
from appliance.first_boot import Places, Report, read_keys, read_settings, set_up, take_secrets

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVYMzMlZXhhbXBsZWtleWV4YW1wbGVrZXlleGE ana@laptop"


@pytest.fixture
def box(tmp_path: Path) -> Places:
    """A card before its first start."""
    places = Places(tmp_path)
    for folder in (places.boot, places.boards, places.zones / "America", tmp_path / "data/luna"):
        folder.mkdir(parents=True)
    (places.zones / "America/Sao_Paulo").write_bytes(b"TZif")
    (places.boards / "codec-zero.toml").write_text("")
    return places


def problems(report: Report) -> list[tuple[str, int]]:
    return [(str(one["sentence"]), int(one["line"])) for one in report.problems]


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
    assert set_up(box).problems == []
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
    set_up(box)
    kept = (box.system / "wpa_supplicant.conf").read_text()
    assert "psk=f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e" in kept


def test_no_secret_stays_on_the_boot_partition_and_the_next_start_keeps_it(box: Places) -> None:
    file = box.boot / "luna.txt"
    file.write_text(f"wifi_name = a\nwifi_password = correct horse\npage_password_hash = {HASH}\n")
    set_up(box)
    left = file.read_text()
    assert "correct horse" not in left
    assert "argon2" not in left
    kept = (box.system / "wpa_supplicant.conf").read_text()
    assert set_up(box).problems == []
    assert "psk=" in kept
    assert (box.system / "wpa_supplicant.conf").read_text() == kept
    assert box.page_password.read_text() == f"{HASH}\n"


def test_wrong_lines_are_named_and_the_rest_holds(box: Places) -> None:
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
    )
    (box.boot / "authorized_keys").write_text(f"not a key\n{KEY}\n")
    report = set_up(box)
    assert problems(report) == [
        ("first_boot.host_name", 1),
        ("first_boot.time_zone", 2),
        ("first_boot.language", 3),
        ("first_boot.unknown_key", 4),
        ("first_boot.board", 5),
        ("first_boot.no_value", 6),
        ("first_boot.wifi_password", 7),
        ("first_boot.page_password_hash", 8),
        ("first_boot.wifi_without_name", 0),
        ("first_boot.ssh_key", 1),
    ]
    assert report.problems[3]["near"] == "wifi_password"
    assert (box.system / "authorized_keys").read_text() == f"{KEY}\n"
    assert "secret123" not in json.dumps(report.problems)
    for problem in report.problems:
        values = {key: value for key, value in problem.items() if key != "sentence"}
        for language in ("en", "pt"):
            assert texts.text(str(problem["sentence"]), language, **values)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"x" * 70_000, "first_boot.too_large"), (b"\xff\xfe\x00a", "first_boot.not_text")],
)
def test_a_file_that_is_none(box: Places, content: bytes, sentence: str) -> None:
    (box.boot / "luna.txt").write_bytes(content)
    assert problems(set_up(box)) == [(sentence, 0)]


def test_a_card_without_files_is_no_problem(box: Places) -> None:
    assert set_up(box).problems == []
    assert str((box.system / "localtime").readlink()) == "/usr/share/zoneinfo/UTC"


@given(st.text(max_size=300))
def test_whatever_stands_there_nothing_breaks(text: str) -> None:
    report = Report()
    found = read_settings(text, Places(Path("/nowhere")), report)
    assert all(re.fullmatch(r"[a-z_]+", key) for key in found)
    assert all("\n" not in key for key in read_keys(text, report))
    take_secrets(text)
