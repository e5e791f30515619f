"""`luna reminders` and `luna jobs` as they are typed, without a running service."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.reminders.store import ReminderStore

ANA = "remind me to call Ana tomorrow at nine in the morning"


@pytest.fixture(autouse=True)
def folder(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATA_DIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(short_path))
    monkeypatch.setenv("LUNA_OWN_SERVICE", "1")
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    return short_path


def luna(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    said = capsys.readouterr()
    return (said.err if code else said.out).strip()


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(luna(capsys, "reminders", *words, "--json"))
    return found


def test_a_life_of_a_reminder(capsys: pytest.CaptureFixture[str]) -> None:
    assert luna(capsys, "reminders") == "You have no reminders, timers or alarms."
    assert luna(capsys, "reminders", "add", ANA).startswith("I will remind you: call Ana, tomorrow")
    assert "está correndo" in luna(
        capsys, "reminders", "add", "timer de dez minutos", "--language", "pt"
    )
    first, second = rows(capsys, "list")
    assert (first["id"], first["kind"], second["id"]) == (2, "timer", 1)
    assert str(second["due"]).endswith("T09:00:00-03:00")
    assert "tomorrow" in luna(capsys, "reminders", "change", "1", "at", "ten")
    assert str(rows(capsys, "show", "1")[0]["due"])[11:16] == "10:00"
    assert luna(capsys, "reminders", "snooze", "2", "for", "an", "hour").startswith("Later")
    assert luna(capsys, "reminders", "done", "2") == "Done: the timer."
    assert [row["id"] for row in rows(capsys, "list")] == [1]
    assert luna(capsys, "reminders", "cancel-all", "--yes") == "Cancelled: call Ana."
    assert rows(capsys, "list") == []
    assert [row["state"] for row in rows(capsys, "list", "--all")] == ["cancelled", "done"]
    assert "(done)" in luna(capsys, "reminders", "list", "--all")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cancel", "7"], "There is no reminder 7."),
        (["cancel"], "luna reminders cancel NUMBER"),
        (["done", "Ana"], "by their numbers"),
        (["add"], "say what or when"),
        (["add", "what is love"], "I did not understand when."),
        (["add", "remind me to sleep"], "When shall I remind you?"),
        (["add", "x" * 1001], "1000 characters at most"),
        (["cancel-all"], "say so with --yes"),
    ],
)
def test_mistakes(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    luna(capsys, "reminders", "add", ANA)
    assert sentence in luna(capsys, "reminders", *words, code=2)
    assert [row["id"] for row in rows(capsys, "list")] == [1]


def test_a_store_that_is_in_use_is_left_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ReminderStore.on_flash(folder)
    assert "in use by another process" in luna(capsys, "reminders", "add", ANA, code=9)
    store.close()


def test_jobs_by_hand(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    luna(capsys, "reminders", "add", "set a timer for one minute")
    assert json.loads(luna(capsys, "jobs", "--json"))["maintenance"].startswith("FREQ=DAILY")
    assert "only by hand" in luna(capsys, "jobs", "list", "--set", "jobs.maintenance=")
    assert luna(capsys, "jobs", "run", "daily-report").startswith("The report of the day.")
    assert json.loads(luna(capsys, "jobs", "run", "budget-check", "--json"))["ok"]
    assert "Old reminders removed" in luna(capsys, "jobs", "run", "maintenance")
    [saved] = (folder / "backups").iterdir()
    with tarfile.open(saved) as tar:
        assert any("reminders/" in name for name in tar.getnames())
    assert "daily-report|budget-check|maintenance" in luna(capsys, "jobs", "run", "x", code=2)
