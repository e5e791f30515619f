"""`luna storage`, `luna backup` and `luna restore` as they are typed."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from tinydb import TinyDB

from appliance.cli import main
from appliance.storage.flash import FlashStorage
from tests.service import service


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("LUNA_OWN_SERVICE", "1")
    with TinyDB(storage=partial(FlashStorage, tmp_path / "data" / "reminders")) as db:
        db.insert_multiple({"n": n} for n in range(5))
    return tmp_path / "data"


def test_check_compact_and_stats(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["storage", "check"]) == 0
    assert capsys.readouterr().out == "reminders: ok, 5 documents\n"
    assert main(["storage", "compact", "reminders"]) == 0
    assert "became a snapshot" in capsys.readouterr().out
    assert main(["storage", "stats", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)["reminders"]
    assert (stats["documents"], stats["generation"]) == (5, 2)
    assert main(["storage", "check", "rimenders"]) == 2
    assert "there are: reminders" in capsys.readouterr().err


def test_check_reports_damage_and_repairs_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["storage", "compact"])
    snapshot = data / "reminders" / "00000002.snapshot"
    snapshot.write_bytes(b"rubbish")
    capsys.readouterr()
    assert main(["storage", "check"]) == 9
    assert "damaged: 00000002.snapshot; nothing is lost" in capsys.readouterr().out
    assert snapshot.read_bytes() == b"rubbish"


def test_backup_and_restore(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--json"]) == 0
    file = json.loads(capsys.readouterr().out)["file"]
    with TinyDB(storage=partial(FlashStorage, data / "reminders")) as db:
        db.truncate()
        assert main(["restore", file]) == 9
        assert "stop Luna" in capsys.readouterr().err
    assert main(["restore", file]) == 0
    with TinyDB(storage=partial(FlashStorage, data / "reminders")) as db:
        assert len(db) == 5
    assert main(["restore", str(data / "none.tar.gz")]) == 2


def test_the_configured_folder_and_number_are_used(data: Path, tmp_path: Path) -> None:
    settings = ["--set", f"backup.folder={tmp_path}/stick", "--set", "backup.keep=2"]
    for _ in range(4):
        assert main(["backup", *settings]) == 0
    assert len(list((tmp_path / "stick").iterdir())) == 2


def test_nothing_is_restored_while_the_service_runs(
    data: Path,
    short_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main(["backup", "--json"])
    file = json.loads(capsys.readouterr().out)["file"]
    with service(short_path, "--fake"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
        assert main(["restore", file]) == 9
        assert "Luna is running" in capsys.readouterr().err
    assert main(["restore", file]) == 0
