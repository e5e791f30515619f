"""kill -9 while reminders are added over the command line: every acknowledged one is there."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.reminders.store import ReminderStore

ROOT = Path(__file__).parents[2]


def add_and_kill(folder: Path, after_s: float) -> list[str]:
    """Let a process add reminders, kill it, and return the receipts it printed."""
    env = {**os.environ, "DATA_DIR": str(folder), "XDG_CONFIG_HOME": str(folder)}
    env |= {"XDG_RUNTIME_DIR": str(folder), "LUNA_OWN_SERVICE": "1", "TZ": "America/Sao_Paulo"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.reminders.adding"], stdout=subprocess.PIPE, env=env, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        time.sleep(after_s)
    finally:
        process.kill()
        rest, _ = process.communicate()
    assert first, "it could not add the first one"
    # A line that was cut was never a receipt.
    return [line.decode() for line in (first + rest).split(b"\n")[:-1]]


@pytest.mark.parametrize(
    "times", [8, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_every_acknowledged_reminder_is_there(short_path: Path, times: int) -> None:
    rng = random.Random(times)
    receipts: list[str] = []
    for _ in range(times):
        receipts += add_and_kill(short_path, rng.random() * 0.1)
    store = ReminderStore.on_flash(short_path)
    found = store.load()
    store.close()
    stored = {f"{number} {one.text.removeprefix('see ')}" for number, one in found.items()}
    missing = [line for line in receipts if line.replace("see ", "") not in stored]
    assert not missing
    assert len(set(receipts)) == len(receipts) >= times
    print(f"{times} kills, {len(receipts)} receipts, {len(found)} stored")
