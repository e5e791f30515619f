"""While an update is at work the state says so; and the command says in one sentence what it is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from appliance.assistant.state_machine import step
from appliance.assistant.turn import Appliance, SetTimer, State
from appliance.events import MuteRequested, TimerFired, UpdateProgress, WakeHeard, WorkerChanged
from tests.service import LUNA


def idle() -> Appliance:
    appliance = Appliance()
    for name in ("audio", "listen"):
        appliance, _ = step(appliance, WorkerChanged(worker=name, status="ready"))
    assert appliance.state is State.IDLE
    return appliance


@pytest.mark.parametrize("end", ["done", "failed"])
def test_an_update_shows_from_begin_to_end(end: str) -> None:
    appliance, actions = step(idle(), UpdateProgress(stage="writing", percent=1))
    assert appliance.state is State.UPDATING
    assert [action.name for action in actions if isinstance(action, SetTimer)] == ["update"]
    appliance, _ = step(appliance, MuteRequested(muted=True))
    assert appliance.state is State.UPDATING
    appliance, _ = step(appliance, UpdateProgress(stage=end))
    assert appliance.state is State.MUTED


def test_an_update_that_died_is_forgotten() -> None:
    appliance, _ = step(idle(), UpdateProgress(stage="checking", percent=60))
    appliance, _ = step(appliance, TimerFired(name="update", turn_id=0))
    assert appliance.state is State.IDLE


def test_luna_listens_while_she_updates() -> None:
    appliance, _ = step(idle(), UpdateProgress(stage="writing"))
    appliance, _ = step(appliance, WakeHeard(phrase="luna", score=1.0, position=0))
    assert appliance.state is State.LISTENING
    appliance, _ = step(appliance, UpdateProgress(stage="writing", percent=2))
    assert appliance.state is State.LISTENING


@pytest.mark.parametrize("action", ["check", "apply", "rollback", "slots"])
def test_a_machine_without_slots_says_so(short_path: Path, action: str) -> None:
    done = subprocess.run(
        [*LUNA, "update", action],
        env={**os.environ, "XDG_RUNTIME_DIR": str(short_path), "XDG_CONFIG_HOME": str(short_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 11
    assert "has no update slots" in done.stderr
    assert len(done.stderr.splitlines()) == 1
