"""`luna logs` and `luna diagnose`, with the real service, with files, and with a journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.diagnose.sources import duration
from appliance.errors import UsageError
from tests.diagnose.faults import DATA
from tests.service import LUNA, Service, service


@pytest.fixture
def running(short_path: Path) -> Iterator[Service]:
    with service(short_path, "--fake") as found:
        found.until_ready()
        yield found


def luna(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUNA, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_running_service_shows_its_log(running: Service) -> None:
    running.send("text_asked", text="hello")
    running.until_type("turn_ended")
    done = luna("logs", "--turn", "1", env=running.env)
    assert done.returncode == 0, done.stderr
    assert "#1 turn 1 answered" in done.stdout
    assert "\x1b" not in done.stdout  # not a terminal
    lines = [
        json.loads(line) for line in luna("logs", "--json", env=running.env).stdout.splitlines()
    ]
    assert lines[0]["event"] == "service_started"
    assert any(line.get("event") == "turn_ended" and line["total_ms"] for line in lines)
    assert "hello" not in done.stdout
    # What it prints, the other command reads; and both say the same.
    (running.folder / "copy.jsonl").write_text("\n".join(map(json.dumps, lines)))
    live = json.loads(luna("diagnose", "--json", env=running.env).stdout)
    copy = luna("diagnose", str(running.folder / "copy.jsonl"), "--json", env=running.env)
    assert live["log"]["turns"] == json.loads(copy.stdout)["log"]["turns"] == 1
    assert live["log"]["version"]
    assert not luna("logs", "--turn", "99", env=running.env).stdout


def test_it_follows_what_is_to_come(running: Service) -> None:
    follower = subprocess.Popen(
        [*LUNA, "logs", "-f", "--level", "warning"],
        env=running.env,
        stdout=subprocess.PIPE,
    )
    try:
        assert follower.stdout is not None
        # When it is connected is not to be seen from here: faults until one is shown.
        stop = time.monotonic() + 30
        os.set_blocking(follower.stdout.fileno(), False)
        shown = b""
        while b"stt: failed" not in shown and time.monotonic() < stop:
            if pid := running.pid("stt"):
                os.kill(pid, signal.SIGKILL)
            time.sleep(1.0)
            shown += follower.stdout.read() or b""
        assert b"stt: failed" in shown
        assert b"stt: ready" not in shown
    finally:
        follower.terminate()
        follower.wait(10)
        assert follower.stdout is not None
        follower.stdout.close()


def test_a_log_from_another_box() -> None:
    done = luna("diagnose", str(DATA / "slow_provider.jsonl"))
    assert done.returncode == 0
    assert "groq begins to answer" in done.stdout
    portuguese = luna("diagnose", str(DATA / "slow_provider.jsonl"), "--set", "general.language=pt")
    assert "groq começa a responder" in portuguese.stdout
    last = luna("diagnose", str(DATA / "slow_provider.jsonl"), "--since", "1s", "--json")
    assert json.loads(last.stdout)["log"]["turns"] < 4
    piped = subprocess.run(
        [*LUNA, "diagnose", "-", "--json"],
        input=(DATA / "restarts.jsonl").read_text(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(piped.stdout)["causes"][0]["name"] == "restarts"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["diagnose", "nowhere.log"], 2, "cannot be read"),
        (["diagnose", "/"], 2, "cannot be read"),
        (["diagnose", __file__], 2, "nothing of Luna's"),
        (["diagnose", "--since", "soon"], 2, "no length of time"),
        (["logs", "--since", "-1h"], 2, "argument"),
        (["logs", "--turn", "0"], 2, "invalid"),
        (["logs"], 6, "not running"),
        (["logs", "-f"], 6, "not running"),
        (["diagnose"], 6, "not running"),
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], code: int, said: str, short_path: Path
) -> None:
    env = {**os.environ, "XDG_RUNTIME_DIR": str(short_path), "LUNA_OWN_SERVICE": "1"}
    done = luna(*arguments, env=env)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_the_journal_is_read_by_its_own_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stand-in for journalctl, because the tests' machine need not run systemd."""
    from appliance import cli
    from appliance.diagnose import sources

    entry = {
        "__REALTIME_TIMESTAMP": "1790000000000000",
        "MESSAGE": "stt: failed\x1b[31m",
        "PRIORITY": "4",
        "LUNA_EVENT": "worker_changed",
    }
    script = tmp_path / "journalctl"
    script.write_text(f"#!/bin/sh\necho \"$@\" >>{tmp_path}/asked\necho '{json.dumps(entry)}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(sources, "has_journal", lambda: True)
    assert cli.main(["logs"]) == 0
    assert "! stt: failed [31m" in capsys.readouterr().out  # no escape gets to the terminal
    assert cli.main(["logs", "-f"]) == 0
    assert "--unit luna.service --output json" in (tmp_path / "asked").read_text()
    assert "--follow" in (tmp_path / "asked").read_text()
    script.write_text("#!/bin/sh\necho 'No journal files were opened' >&2\nexit 1\n")
    assert cli.main(["logs"]) == 6
    assert "No journal files were opened" in capsys.readouterr().err


def test_lengths_of_time() -> None:
    assert duration("90s").total_seconds() == 90
    assert duration("2w").days == 14
    for bad in ("", "h", "1.5h", "1h30m", "9999999h", "1y", "-1h"):
        with pytest.raises(UsageError):
            duration(bad)
