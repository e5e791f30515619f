"""A real process with 20 requests at once, killed at any instant: the ledger stays right."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from appliance.providers.quota_day import Limits
from appliance.providers.quota_ledger import Ledger
from appliance.providers.quota_store import LedgerStore, on_flash
from tests.providers.quota_process import AT_ONCE, LIMIT, ZONE


@dataclass
class Told:
    """What a killed process had said."""

    low: int = 0
    """Tokens that must be counted."""
    high: int = 0
    """Tokens that may be counted."""
    reserved: int = 0
    words: list[str] = field(default_factory=list)


def told_by(output: str) -> Told:
    told = Told()
    reserved: dict[str, int] = {}
    closing: dict[str, int] = {}
    done: set[str] = set()
    for line in output.splitlines():
        word, *rest = line.split()
        told.words.append(word)
        match word, rest:
            case "reserved", [name, tokens]:
                reserved[name] = int(tokens)
            case "settling", [name, tokens]:
                closing[name] = int(tokens)
            case "releasing", [name]:
                closing[name] = 0
            case (("settled" | "released"), [name]):
                done.add(name)
    for name, tokens in reserved.items():
        closed = closing.get(name, tokens)
        told.low += closed
        told.high += closed if name in done else tokens
    told.reserved = len(reserved)
    return told


def run_and_kill(folder: Path, seed: int, after_s: float) -> str:
    """Let the process work for a while, kill it, and return all that it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.providers.quota_process", str(folder), str(seed)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        time.sleep(after_s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
    return (first + output).decode()


def counted(folder: Path) -> int:
    """Open the ledger as a new process does; return the tokens counted for groq."""
    store = LedgerStore(on_flash(folder))
    ledger = Ledger(store, {"groq": Limits(tokens=LIMIT)}, ZONE)
    days = ledger.days()
    ledger.close()
    assert not any(day.holds for day in days)
    tokens = [day.total("groq").of("tokens") for day in days]
    assert max(tokens, default=0) <= LIMIT
    return sum(tokens)


def test_twenty_at_once_and_kill_9_in_a_loop(tmp_path: Path) -> None:
    rng = random.Random(7)
    refused = reserved = 0
    folder, before = tmp_path / "0", 0
    for kill in range(12):
        output = run_and_kill(folder, seed=1000 * kill, after_s=rng.uniform(0.0, 0.25))
        told = told_by(output)
        tokens = counted(folder)
        # What nobody was told of can be at most what was asked for at the same time.
        assert before + told.low <= tokens <= before + told.high + AT_ONCE * 400, output
        before, refused = tokens, refused + told.words.count("refused")
        reserved += told.reserved
        if told.words.count("refused"):
            folder, before = tmp_path / str(kill + 1), 0
    assert reserved > 50
