"""`make install` where systemd runs, and the hardened service at work: asked aloud, it answers.

systemd, its sandboxes and its system-call filters are real; the machine is a container, the
sound card PulseAudio's.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance import paths
from tests.sound_card import VirtualSoundCard, read_wav, virtual_sound_card
from tests.speech import say_to, understood
from tests.systemd.container import Container, booted
from tests.systemd.debian_root import PROJECT, DebianRoot, cache, debian_root, needs_root
from tests.systemd.installing import SETUP, arguments, environment, make

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound, needs_root]

MOST_EXPOSED = 2.0
"""What `systemd-analyze security` may say of a unit."""
UNITS = ("luna.service", "luna-backup.service")
WORKERS = ("audio", "listen", "stt", "tts", "llm")
READY_LIMIT_S = 120.0


@dataclass
class Box:
    """A machine on which Luna was installed."""

    container: Container
    card: VirtualSoundCard
    said: str
    """By `make install`."""

    def until_ready(self) -> dict[str, object]:
        """Wait until every worker is ready; return the health report."""
        deadline = time.monotonic() + READY_LIMIT_S
        while time.monotonic() < deadline:
            if self.container.run("luna", "status", check=False).returncode == 0:
                report = self.container.health()
                workers = report["workers"]
                assert isinstance(workers, dict)
                if all(workers.get(name, {}).get("status") == "ready" for name in WORKERS):
                    return report
            time.sleep(0.5)
        raise AssertionError(self.container.run("journalctl", "--unit=luna", "--no-pager").stdout)

    def pids(self) -> dict[str, int]:
        """Return the process ids of the workers, as the container counts them."""
        workers = self.container.health()["workers"]
        assert isinstance(workers, dict)
        return {name: workers[name]["pid"] for name in WORKERS}


def _install(container: Container) -> str:
    variables = environment(LUNA_MODELS_DIR=str(paths.models_dir()), WITH_MODELS="yes")
    set_to = (f"{name}={value}" for name, value in variables.items())
    script = ("sh", str(SETUP / "install.sh"), *arguments())
    return container.run("env", *set_to, *script, limit_s=280.0).stdout


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Luna, installed by `make install` in a Debian that runs, with a sound card."""
    read = {PROJECT, Path(sys.prefix), Path(sys.base_prefix), paths.models_dir()} - {Path("/usr")}
    with (
        virtual_sound_card() as card,
        debian_root(tmp_path_factory.mktemp("live") / "root") as debian,
    ):
        make("install", tmp_path_factory.mktemp("aside"))  # the container has no network
        yield from _booted(debian, sorted(read), card)


def _booted(debian: DebianRoot, read: list[Path], card: VirtualSoundCard) -> Iterator[Box]:
    with booted(debian, read, [cache(), _build_folder()], card.folder) as container:
        card.noise()
        # What an administrator wrote before is not touched.
        container.run("mkdir", "-p", "/etc/luna")
        container.run("sh", "-c", "echo '[listen]\nfollow_up_s = 0.0' >/etc/luna/luna.toml")
        yield Box(container, card, _install(container))


def _build_folder() -> Path:
    """Return the folder in which setuptools works, which is below the project."""
    folder = PROJECT / "build"
    folder.mkdir(exist_ok=True)
    return folder


def test_install_starts_the_service(box: Box) -> None:
    assert "Luna runs" in box.said
    box.until_ready()
    assert box.container.show("luna.service", "ActiveState") == "active"
    assert box.container.show("luna.service", "StatusText") == "everything is loaded"
    failed = box.container.run("systemctl", "--failed", "--plain", "--no-legend").stdout
    assert "luna" not in failed
    timers = box.container.run("systemctl", "is-active", "luna-backup.timer").stdout
    assert timers.strip() == "active"


def test_no_unit_is_more_exposed_than_it_may_be(box: Box) -> None:
    """As the running systemd sees them, not as the files read."""
    for unit in UNITS:
        told = box.container.run("systemd-analyze", "security", "--no-pager", unit).stdout
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
        assert found, told
        assert float(found[1]) <= MOST_EXPOSED, told


def test_the_hardened_service_is_asked_and_answers(box: Box, tmp_path: Path) -> None:
    """The sound goes in and comes out of the real PortAudio under the unit's filters."""
    box.until_ready()
    question = say_to(tmp_path / "q.wav", "What is the capital of France?", 1.5)
    heard = tmp_path / "heard.wav"
    for _ in range(3):  # on a busy machine the virtual sound card loses pieces
        with box.card.recording(heard):
            box.card.play(question, wait=False)
            told = box.container.run("luna", "listen", check=False, limit_s=180.0)
        if "capital of france" in told.stdout.lower():
            break
    assert "paris" in told.stdout.lower(), told.stdout + told.stderr
    assert "paris" in understood(read_wav(heard))


def test_it_says_a_sentence_and_understands_it(box: Box) -> None:
    """The gate of a new version, which uses voice, ears and the locked-in parser."""
    box.until_ready()
    told = box.container.run("luna", "health", "--within", "60", limit_s=250.0).stdout
    assert "voice: ok" in told


def test_what_thinks_and_understands_has_no_network(box: Box) -> None:
    """These processes have one filter more than the service: the one that denies networks."""
    box.until_ready()
    filters = {
        name: _filters(box.container, pid)
        for name, pid in {**box.pids(), "main": int(box.container.show("luna", "MainPID"))}.items()
    }
    assert filters["llm"] > filters["main"] > 0
    assert filters["stt"] > filters["main"]


def _filters(container: Container, pid: int) -> int:
    status = container.run("cat", f"/proc/{pid}/status").stdout
    found = re.search(r"^Seccomp_filters:\s+(\d+)", status, re.MULTILINE)
    assert found, status
    return int(found[1])


def test_it_is_backed_up_by_its_unit(box: Box) -> None:
    box.container.run("systemctl", "start", "luna-backup.service")
    assert box.container.show("luna-backup.service", "Result") == "success"
    assert box.container.run("sh", "-c", "ls /var/lib/luna/backups").stdout


def test_what_fails_again_and_again_is_started_after_a_pause(box: Box) -> None:
    """Without a person: the cause goes away, and Luna is back."""
    faulty = "/run/systemd/system/luna.service.d/faulty.conf"
    soon = "/run/systemd/system/luna-retry.service.d/soon.conf"
    _drop_in(box, faulty, "[Service]\nExecStart=\nExecStart=/bin/false\nRestartSec=100ms\n")
    _drop_in(
        box,
        soon,
        "[Service]\nExecStart=\nExecStart=/bin/sleep 3\n"
        "ExecStart=/bin/systemctl reset-failed luna.service\n"
        "ExecStart=/bin/systemctl --no-block start luna.service\n",
    )
    box.container.run("systemctl", "restart", "luna", check=False)
    _until(lambda: box.container.show("luna-retry.service", "ActiveState") == "activating")
    box.container.run("rm", faulty)
    box.container.run("systemctl", "daemon-reload")
    _until(lambda: box.container.show("luna.service", "ActiveState") == "active")
    box.until_ready()


def _drop_in(box: Box, path: str, content: str) -> None:
    script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1" && systemctl daemon-reload'
    box.container.run("sh", "-c", script, "sh", path, content)


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_it_stops_in_order(box: Box) -> None:
    workers = box.pids()
    box.container.run("systemctl", "stop", "luna")
    assert box.container.show("luna.service", "Result") == "success"
    for pid in workers.values():
        assert box.container.run("test", "-e", f"/proc/{pid}", check=False).returncode
    box.container.run("systemctl", "start", "luna")


def test_install_may_be_repeated_and_uninstall_keeps_what_it_should(box: Box) -> None:
    before = box.container.show("luna.service", "MainPID")
    assert "Luna runs" in _install(box.container)
    assert box.container.show("luna.service", "MainPID") != before
    assert "follow_up_s" in box.container.run("cat", "/etc/luna/luna.toml").stdout

    assert "Kept" in box.container.run("sh", str(SETUP / "uninstall.sh")).stdout
    assert box.container.show("luna.service", "LoadState") == "not-found"
    assert not box.container.run("sh", "-c", "pgrep -u luna || true").stdout
    assert box.container.run("ls", "/var/lib/luna").stdout
    box.container.run("env", "PURGE=1", "sh", str(SETUP / "uninstall.sh"))
    for path in ("/opt/luna", "/etc/luna", "/var/lib/luna", "/var/cache/luna"):
        assert box.container.run("test", "-e", path, check=False).returncode
