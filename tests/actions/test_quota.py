"""`luna quota`: beside a running writer and without one, for people and for scripts."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from appliance.providers.quota_day import Day, DayClock, Hold, Limits, Totals
from appliance.providers.quota_store import LedgerStore, on_flash
from tests.service import LUNA

LIMITS = {"groq": Limits(tokens=10_000), "openai": Limits(tokens=100_000, requests=50, cost=0.5)}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LedgerStore]:
    """A ledger that another process has open, with four days in it."""
    store = LedgerStore(on_flash(tmp_path))
    yield store
    store.close()


def environment(folder: Path, **more: str) -> dict[str, str]:
    settings = {"DATA_DIR": str(folder), "XDG_CONFIG_HOME": str(folder), "TZ": "UTC", **more}
    return {**os.environ, "LUNA_OWN_SERVICE": "1", "PYTHONIOENCODING": "utf-8", **settings}


def quota(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUNA, "quota", *arguments],
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fill(store: LedgerStore) -> date:
    today = datetime.now(UTC).date()
    days = [Day(today - timedelta(days=n), limits=dict(LIMITS)) for n in (0, 1, 2, 40)]
    days[0].add("groq", "chat", Totals(requests=12, tokens_in=3400, tokens_out=1210))
    days[0].add("groq", "code", Totals(requests=2, tokens_in=2400, tokens_out=1900, estimated=1))
    days[0].add("openai", "chat", Totals(requests=1, tokens_in=1, tokens_out=1, cost_micros=9000))
    days[0].holds["1"] = Hold(provider="groq", role="chat", most=Totals(requests=1, tokens_in=300))
    days[1].add("groq", "chat", Totals(requests=9, tokens_in=13_000, tokens_out=1200))
    days[2].add("a-provider-with-a-long-name", "vision", Totals(requests=1, tokens_in=10**15))
    days[3].add("groq", "chat", Totals(requests=1, tokens_in=1, tokens_out=1))
    store.save(days[:1], days[1:], DayClock(today))
    return today


def test_a_table_with_bars_in_80_columns_beside_the_writer(
    tmp_path: Path, writer: LedgerStore
) -> None:
    today = fill(writer)
    done = quota(tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[1] == (
        f"{today} groq            14     5,800     ~3,110   0.0000  ███████████░ 92 %"
    )
    assert lines[2].split() == ["chat", "12", "3,400", "1,210", "0.0000"]
    assert "146 %" not in lines[1]
    assert any(line.endswith("████████████ 142 %") for line in lines)
    assert "groq: 790 of 10,000 tokens left today." in lines
    assert "openai: 49 of 50 requests left today." in lines
    assert "openai: US$ 0.49 of 0.50 left today." in lines
    assert lines[-1] == f"The limits begin anew at 00:00 on {today + timedelta(days=1)} (UTC)."
    assert str(today - timedelta(days=40)) not in done.stdout
    assert str(today - timedelta(days=40)) in quota(tmp_path, "--days", "41").stdout


def test_json_has_every_role(tmp_path: Path, writer: LedgerStore) -> None:
    today = fill(writer)
    report = json.loads(quota(tmp_path, "--json", "--days", "1").stdout)
    assert report["today"] == str(today)
    groq, openai = report["days"]
    assert groq["roles"]["code"] == {
        "requests": 2,
        "tokens_in": 2400,
        "tokens_out": 1900,
        "cost": 0.0,
        "estimated_requests": 1,
    }
    assert (groq["percent"], groq["reserved"]["tokens"]) == (92.1, 300)
    assert openai["cost"] == 0.009
    assert openai["limits"] == {"tokens": 100_000, "requests": 50, "cost": 0.5}


def test_in_portuguese_and_without_utf_8(tmp_path: Path, writer: LedgerStore) -> None:
    fill(writer)
    done = quota(tmp_path, LUNA_GENERAL__LANGUAGE="pt")
    assert "groq: restam 790 de 10.000 tokens hoje" in done.stdout
    assert "US$ 0,49 de 0,50" in done.stdout
    done = quota(tmp_path, PYTHONIOENCODING="ascii")
    assert "###########- 92 %" in done.stdout


def test_nothing_used_yet_writes_nothing_and_shows_what_is_configured(tmp_path: Path) -> None:
    done = quota(tmp_path)
    assert done.stdout == "No provider has been used yet.\n"
    assert list(tmp_path.iterdir()) == []
    done = quota(tmp_path, "--set", "providers.groq={daily_limit_tokens=10000}")
    assert "groq: 10,000 of 10,000 tokens left today." in done.stdout


@pytest.mark.parametrize("days", ["0", "-3", "401"])
def test_days_that_cannot_be_are_refused(days: str, tmp_path: Path) -> None:
    done = quota(tmp_path, "--days", days)
    assert done.returncode == 2
    assert done.stderr == f"luna: --days: between 1 and 400, not {days}\n"


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_only_on_a_terminal_that_wants_it(
    tmp_path: Path, writer: LedgerStore, more: dict[str, str], coloured: bool
) -> None:
    fill(writer)
    ours, theirs = pty.openpty()
    env = environment(tmp_path, TERM="xterm", **more)
    with subprocess.Popen([*LUNA, "quota"], env=env, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(ours, 65_536):
                shown += piece
        os.close(ours)
    assert process.returncode == 0
    assert (b"\x1b[33m" in shown, b"\x1b[31m" in shown) == (coloured, coloured)
