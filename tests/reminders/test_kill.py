"""kill -9 while reminders are added over the command line: every acknowledged one is there."""

from __future__ import annotations

import random
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from appliance.reminders.store import ReminderStore
from tests.reminders import adding

PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload([adding.__name__])


def add_and_kill(folder: Path, after_s: float) -> list[str]:
    """Let a process add reminders, kill it, and return the receipts it gave."""
    environment = {"DATA_DIR": str(folder), "XDG_CONFIG_HOME": str(folder)}
    environment |= {"XDG_RUNTIME_DIR": str(folder), "LUNA_OWN_SERVICE": "1"}
    environment |= {"TZ": "America/Sao_Paulo"}
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=adding.add_for_ever, args=(theirs, environment))
    process.start()
    theirs.close()
    receipts: list[str] = []
    with ours:
        try:
            assert ours.poll(60), "it could not add the first one"
            receipts.append(ours.recv_bytes().decode())
            time.sleep(after_s)
        finally:
            process.kill()
            process.join()
        try:
            while True:
                receipts.append(ours.recv_bytes().decode())
        except EOFError:
            return receipts


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
