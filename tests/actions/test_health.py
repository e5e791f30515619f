"""`luna health --boot`: on a slot that has nothing to prove, nothing can bring the box down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance import cli
from appliance.actions import health
from appliance.errors import ConfigError
from appliance.update.updater import Places
from tests.update.bundles import box


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A box that runs slot a; Luna does not run, and nobody can make sense of her settings."""
    places = box(tmp_path)
    monkeypatch.setattr(health, "Places", lambda: places)
    monkeypatch.setattr(health, "load_settings", _cannot_be_read)
    return places


def _cannot_be_read(_arguments: object) -> None:
    raise ConfigError("luna.toml cannot be read")


def on_trial(places: Places) -> None:
    entry = places.boot / "loader/entries/luna-a.conf"
    entry.rename(entry.with_name("luna-a+1-1.conf"))


def test_a_good_slot_is_left_alone(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["health", "--boot"]) == 0
    assert capsys.readouterr().out == "slot a is not on trial\n"


def test_a_boot_partition_that_cannot_be_read_is_no_reason_to_restart(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    (places.boot / "loader/entries/luna-a.conf").unlink()
    (places.boot / "loader/entries").rmdir()
    assert cli.main(["health", "--boot"]) == 0
    assert re.match("it is not known whether this slot is on trial: ", capsys.readouterr().out)


def test_a_trial_must_be_passed(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    on_trial(places)
    assert cli.main(["health", "--boot"]) == 3
    assert "luna.toml cannot be read" in capsys.readouterr().err
