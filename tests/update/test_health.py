"""`luna health` with the real service: she says a sentence to herself, and understands it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.service import LUNA, service
from tests.sound_card import virtual_sound_card

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]


def health(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUNA, "health", "--json", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_luna_understands_herself(short_path: Path) -> None:
    with virtual_sound_card() as card, service(short_path, env=card.env) as luna:
        done = health(luna.env, "--within", "60")
        assert done.returncode == 0, (done.stdout, done.stderr, luna.log())
        assert json.loads(done.stdout) == dict.fromkeys(
            ("service", "workers", "rings", "models", "voice"), "ok"
        )
    gone = health(luna.env, "--within", "1")
    assert gone.returncode == 11
    assert "Luna is not running" in gone.stderr
    assert len(gone.stderr.splitlines()) == 1


def test_without_slots_there_is_nothing_to_decide(short_path: Path) -> None:
    done = health({"XDG_RUNTIME_DIR": str(short_path)}, "--boot")
    assert done.returncode == 11
    assert "has no update slots" in done.stderr
