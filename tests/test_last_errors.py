"""The errors of earlier starts: what is kept, how much, and that nothing is written twice."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from appliance import cli, last_errors
from appliance.last_errors import FOLDER, MAX_BYTES, STARTS, kept, save


def boot() -> str:
    return str(uuid.uuid4())


def test_each_start_has_one_file_and_the_oldest_go(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    starts = [boot() for _ in range(STARTS + 3)]
    for number, one in enumerate(starts):
        save(f"error {number}\n", one, folder)
        save(f"error {number}\nanother\n", one, folder)
    assert [file.read_text() for file in kept(folder)] == [
        f"error {number}\nanother\n" for number in range(3, STARTS + 3)
    ]
    assert len(os.listdir(folder)) == STARTS
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in kept(folder))


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    folder, one = tmp_path / FOLDER, boot()
    save("", one, folder)
    save("  \n", one, folder)
    assert not folder.exists()
    save("error\n", one, folder)
    inode = kept(folder)[0].stat().st_ino
    save("error\n", one, folder)
    assert kept(folder)[0].stat().st_ino == inode


def test_of_many_errors_the_last_ones_are_kept_in_whole_lines(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    save("".join(f"é number {n}\n" for n in range(20_000)), boot(), folder)
    (file,) = kept(folder)
    lines = file.read_text("utf-8").splitlines()
    assert file.stat().st_size <= MAX_BYTES
    assert lines[-1] == "é number 19999"
    assert all(line.startswith("é number ") for line in lines)


def test_what_lies_there_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    for _ in range(STARTS + 2):
        save("error\n", boot(), folder)
    assert (folder / "notes.txt").read_text() == "mine"
    assert kept(tmp_path / "nowhere") == []


def test_the_command_of_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    programs = tmp_path / "bin"
    programs.mkdir()
    journalctl = programs / "journalctl"
    journalctl.write_text(
        '#!/bin/sh\n[ "$*" = "-b -p err -o short-iso --no-pager -q -n 1000" ] && echo oops\n'
    )
    journalctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    assert last_errors.main() == 0
    (file,) = kept(tmp_path / FOLDER)
    assert file.read_text() == "oops\n"
    journalctl.write_text("#!/bin/sh\nexit 1\n")
    assert last_errors.main() == 0  # an orderly end all the same
    journalctl.unlink()
    monkeypatch.setenv("PATH", str(programs))
    assert last_errors.main() == 0


def test_they_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert cli.main(["logs", "--earlier"]) == 0
    assert "Nothing was kept" in capsys.readouterr().out
    save("2026-03-01 luna kernel: I/O error\n", boot(), tmp_path / FOLDER)
    assert cli.main(["logs", "--earlier"]) == 0
    assert "I/O error" in capsys.readouterr().out
