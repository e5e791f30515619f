"""`luna doctor` and `luna restart` as typed: output, exit codes, --fix, mistakes."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.doctor.scratch import Scratch
from tests.service import service


def one_sentence(done: object, code: int) -> str:
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)  # type: ignore[attr-defined]
    said = str(done.stderr)  # type: ignore[attr-defined]
    assert len(said.splitlines()) == 1, said
    return said


def test_the_report_fits_a_terminal_in_both_languages(short_path: Path) -> None:
    box = Scratch(short_path)
    shutil.rmtree(box.models / "box-chat")
    for language, word in (("en", "1 failure"), ("pt", "1 falha")):
        box.write_settings(f'[general]\nlanguage = "{language}"')
        done = box.luna("doctor", "--no-sound", "--root", str(box.root))
        # A machine without sound devices has two more.
        assert done.returncode == 21
        assert word in done.stdout or "3 fa" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "luna models pull box-chat" in done.stdout
        assert "\x1b" not in done.stdout


def test_fix_lists_and_mends_and_does_no_more_than_once(short_path: Path) -> None:
    box = Scratch(short_path)
    box.data.chmod(0o777)
    done = box.luna("doctor", "--no-sound", "--root", str(box.root), "--fix")
    assert f"Setting the mode of {box.data} to 755." in done.stdout
    assert box.data.stat().st_mode & 0o777 == 0o755
    again, _, answer = box.doctor("--no-sound", "--fix")
    assert "permissions.data_mode" not in again
    assert answer["fixed"] == []
    shutil.rmtree(box.models / "box-voice")
    _, _, answer = box.doctor("--no-sound", "--fix")  # nobody listens where it would come from
    (row,) = answer["fixed"]
    assert row["name"] == "models.missing"
    assert not row["ok"]
    assert row["detail"]


def test_mistakes_get_one_sentence(short_path: Path) -> None:
    box = Scratch(short_path)
    assert "no such folder" in one_sentence(box.luna("doctor", "--root", "/nowhere"), 2)
    assert "unrecognized" in one_sentence(box.luna("doctor", "now"), 2)
    assert "not running" in one_sentence(box.luna("restart"), 6)
    assert "not running" in one_sentence(box.luna("restart", "stt"), 6)
    assert "invalid choice" in one_sentence(box.luna("restart", "nose"), 2)


def test_a_broken_configuration_hides_nothing_else(short_path: Path) -> None:
    box = Scratch(short_path)
    toml = box.config / "luna.toml"
    shutil.rmtree(box.models / "box-ends")
    for text in ("[web\n", "\xff\xfe", "[listen]\nwake_wrods = 1\n", "a" * 2_000_000):
        toml.write_bytes(text.encode("latin-1"))
        bad, code, _ = box.doctor("--no-sound", "--set", "web.port=0")
        assert {"configuration.mistake", "models.missing"} <= bad.keys()
        assert code == 21


@pytest.mark.slow
def test_restarting_a_worker_and_what_cannot_be_restarted(short_path: Path) -> None:
    box = Scratch(short_path)
    with service(short_path, "--fake", env=box.env) as luna:
        luna.until_ready()
        before = luna.pid("tts")
        done = box.luna("restart", "tts")
        assert (done.returncode, done.stdout) == (0, "tts was restarted.\n")
        assert luna.pid("tts") not in (0, before)
        done = box.luna("restart", "stt", "--json")
        assert json.loads(done.stdout) == {"restarted": "stt"}
        said = one_sentence(box.luna("restart"), 6)
        assert f"process {luna.process.pid}" in said
        assert "not started by systemd" in said


@pytest.mark.slow
def test_restart_by_systemd(short_path: Path) -> None:
    """Systemd itself is a script here, which says and does what the real one would."""
    box = Scratch(short_path)
    programs = short_path / "bin"
    programs.mkdir()
    script = programs / "systemctl"
    path = f"{programs}:{os.environ['PATH']}"

    def systemctl(restart: str) -> None:
        script.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = show ]; then\n'
            "  printf 'LoadState=loaded\\nActiveState=failed\\nUnitFileState=enabled\\n'\n"
            "  printf 'MainPID=0\\nNRestarts=5\\nResult=exit-code\\n'\n"
            "  exit 0\nfi\n"
            f"{restart}\n"
        )
        script.chmod(0o755)

    systemctl(f"echo $* > {short_path}/called")
    done = box.luna("restart", PATH=path)
    assert (done.returncode, done.stdout) == (0, "Luna was restarted.\n")
    assert (short_path / "called").read_text() == "--no-ask-password restart luna.service\n"
    bad, _, _ = box.doctor("--no-sound", PATH=path)
    assert bad["service.failed"] == "failure"
    systemctl("echo 'Interactive authentication required.' >&2; exit 1")
    said = one_sentence(box.luna("restart", PATH=path), 6)
    assert "sudo systemctl restart luna.service" in said
    systemctl("echo 'Job for luna.service failed.' >&2; exit 1")
    assert "Job for luna.service failed" in one_sentence(box.luna("restart", PATH=path), 6)


@pytest.mark.slow
def test_a_service_that_hangs_is_a_finding(short_path: Path) -> None:
    box = Scratch(short_path)
    with service(short_path, "--fake", env=box.env) as luna:
        luna.until_ready()
        luna.process.send_signal(signal.SIGSTOP)
        try:
            bad, code, _ = box.doctor("--no-sound")
        finally:
            luna.process.send_signal(signal.SIGCONT)
    assert bad["service.silent"] == "failure"
    assert code == 21
