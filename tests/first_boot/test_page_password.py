"""The page's password by way of ``luna.txt``: from the owner's keyboard to the log-in."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import termios
from pathlib import Path

import pytest

from appliance.events import Logged
from appliance.first_boot.places import Places
from appliance.first_boot.report import Report
from appliance.first_boot.setup import set_up
from appliance.web import passwords
from tests.service import LUNA
from tests.web.house import API, House, house, post, status_of

PASSWORD = "a moon of cheese"
HASH = re.compile(r"\$argon2id\$\S+")


def by_pipe(words: str) -> subprocess.CompletedProcess[str]:
    command = [*LUNA, "web", "password", "--hash"]
    return subprocess.run(command, input=words, capture_output=True, text=True, check=False)


def by_keyboard(*lines: str) -> str:
    """Type the lines on a terminal of the command's own; return all that is seen there."""
    ours, theirs = os.openpty()
    command = subprocess.Popen(
        [*LUNA, "web", "password", "--hash"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one thread
    )
    os.close(theirs)
    seen = ""
    left = list(lines)
    try:
        while data := os.read(ours, 4096):
            seen += data.decode()
            if left and seen.count(": ") > len(lines) - len(left):
                os.write(ours, f"{left.pop(0)}\n".encode())
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
        command.wait(30)
    return seen


def first_start(folder: Path, hashed: str) -> Path:
    """Start a box whose owner wrote *hashed* into ``luna.txt``; return its data folder."""
    box = Places(folder)
    data = folder / "data/luna"
    for made in (box.boot, data):
        made.mkdir(parents=True, exist_ok=True)
    (box.boot / "luna.txt").write_text(f"page_password_hash = {hashed}\n")
    report = Report()
    set_up(box, report)
    assert report.all() == []
    assert "argon2" not in (box.boot / "luna.txt").read_text()
    assert (data / "page_password_hash").stat().st_mode & 0o777 == 0o600
    (folder / "data/data").unlink(missing_ok=True)
    (folder / "data/data").symlink_to(data)  # where the house looks
    return folder / "data"


def logged(home: House) -> list[str]:
    return [one.text for one in home.published if isinstance(one, Logged)]


async def test_from_the_keyboard_to_the_log_in(short_path: Path) -> None:
    seen = by_keyboard(PASSWORD, PASSWORD)
    assert PASSWORD not in seen
    (hashed,) = HASH.findall(seen)
    folder = first_start(short_path, hashed)
    for start in ("first", "second"):
        async with house(folder) as home, home.client() as client:
            assert home.page.status()["password"], start
            assert await status_of(client, "POST", API + "login", json={"password": "no"}) == 403
            await post(client, "login", {"password": PASSWORD})
        assert not (folder / "data/page_password_hash").exists()


async def test_it_takes_the_place_of_the_password_before_and_ends_sessions(
    short_path: Path,
) -> None:
    folder = first_start(short_path, by_pipe("another moon\n").stdout.strip())
    async with house(folder) as home, home.paired() as phone:
        assert await status_of(phone, "GET", API + "who") == 200
        cookies = [(one.key, one.value) for one in phone.cookie_jar]
    first_start(short_path, by_pipe(f"{PASSWORD}\n").stdout.strip())
    async with house(folder) as home, home.client() as client:
        client.cookie_jar.update_cookies(cookies)
        assert await status_of(client, "GET", API + "who") == 401
        old = {"password": "another moon"}
        assert await status_of(client, "POST", API + "login", json=old) == 403
        await post(client, "login", {"password": PASSWORD})


@pytest.mark.parametrize("content", [b"hunter2", b"\xff\xfe", b"", b"$argon2id$" + b"x" * 5000])
async def test_a_file_that_is_no_hash_is_removed_and_opens_nothing(
    short_path: Path, content: bytes
) -> None:
    (short_path / "data").mkdir()
    file = short_path / "data/page_password_hash"
    file.write_bytes(content)
    async with house(short_path) as home:
        assert not home.page.status()["password"]
        assert any("no hash" in text for text in logged(home))
        assert not any("hunter2" in text for text in logged(home))
    assert not file.exists()


def test_a_weak_password_gets_no_hash() -> None:
    for words in ("short\n", "password123\n"):
        done = by_pipe(words)
        assert done.returncode == 2
        assert not HASH.search(done.stdout + done.stderr)
        assert words.strip() not in done.stdout + done.stderr
    assert "not the same" in by_keyboard(PASSWORD, f"{PASSWORD}!")
    assert passwords.is_hash(passwords.hash_of(PASSWORD))
    assert subprocess.run([*LUNA, "web", "pair", "--hash"], check=False).returncode == 2
