"""The image boots in QEMU, without KVM: one machine, and everything that it must do.

The tests go on from each other, in the order of this file. Figures and the console's log are in
``build/boot-test`` afterwards. With ``LUNA_BOOT_TARGET=virt-arm64`` it is another image.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import speech
from tests.image.box import LIMIT_S, TARGET, Box
from tests.systemd.debian_root import PROJECT

pytestmark = [pytest.mark.slow, pytest.mark.emulator, pytest.mark.timeout(2 * LIMIT_S)]

EXPOSURE = 2.0
"""`systemd-analyze security` gives 0 (closed) to 10 (open)."""
QUESTION = "What is the capital of Germany?"
LOG = PROJECT / "build/boot-test" / TARGET.name


@pytest.fixture(scope="module")
def box(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    folder = tmp_path_factory.mktemp("box")
    question = speech.say(QUESTION)
    box = Box(image, folder, question)
    try:
        box.start()
        yield box
    finally:
        box.stop()
        LOG.mkdir(parents=True, exist_ok=True)
        if box.machine.console.exists():
            shutil.copy(box.machine.console, LOG)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def note() -> Iterator[dict[str, str]]:
    """Figures that are only told: in an emulated machine they say nothing of a board."""
    found: dict[str, str] = {}
    yield found
    LOG.mkdir(parents=True, exist_ok=True)
    text = "".join(f"--- {name}\n{value}\n" for name, value in found.items())
    (LOG / "figures.txt").write_text(text, encoding="utf-8")
    print(text)


@pytest.fixture(scope="module")
def report(box: Box, note: dict[str, str]) -> dict[str, Any]:
    """The health report as soon as the service is up and every worker ready."""
    box.run("until systemctl is-active luna >/dev/null; do sleep 1; done")
    note["CPU seconds of Luna when ready"] = str(int(box.property("luna", "CPUUsageNSec")) / 1e9)
    return box.ready()


def test_the_service_becomes_ready_and_no_unit_fails(
    box: Box, report: dict[str, Any], note: dict[str, str]
) -> None:
    assert report["state"] == "idle"
    assert report["microphone"]["status"] == "open"
    assert [worker["restarts"] for worker in report["workers"].values()] == [0] * 5
    assert box.run("systemctl is-active luna") == "active"
    assert box.property("luna", "StatusText") == "everything is loaded"
    assert box.run("systemctl is-system-running --wait") == "running"
    assert box.run("systemctl --failed --no-legend") == ""
    note["boot"] = box.run("systemd-analyze; systemd-analyze critical-chain luna.service")


def test_it_is_the_shipped_unit_and_closed(box: Box) -> None:
    """The other units' exposure is measured where it takes no minutes: tests/systemd."""
    shipped = (PROJECT / "systemd/luna.service").read_text()
    assert box.run("cat $(systemctl show luna -p FragmentPath --value)") == shipped.strip("\n")
    drop_ins = box.property("luna", "DropInPaths").split()
    assert drop_ins == ["/usr/lib/systemd/system/luna.service.d/image.conf"]
    said = box.run("systemd-analyze security --no-pager luna.service | tail -n 1")
    found = re.search(r"Overall exposure level for luna.service: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= EXPOSURE


@pytest.mark.skipif(
    TARGET.arch != "amd64", reason="NOT TESTED: the probe knows the registers of an x86-64 alone"
)
def test_the_models_cannot_open_a_network_socket(box: Box, report: dict[str, Any]) -> None:
    """Each process is made to try; the main process, which may, shows that the trial works."""
    pids = {name: worker["pid"] for name, worker in report["workers"].items()}
    tried = box.script("probe.py", pids["llm"], pids["stt"], pids["tts"], report["pid"])
    assert dict(line.split() for line in tried.splitlines()) == {
        str(pids["llm"]): "EAFNOSUPPORT",
        str(pids["stt"]): "EAFNOSUPPORT",
        str(pids["tts"]): "EAFNOSUPPORT",
        str(report["pid"]): "open",
    }
    assert box.ready()["workers"]["llm"]["restarts"] == report["workers"]["llm"]["restarts"]


def test_a_spoken_question_gets_a_spoken_answer(
    box: Box, report: dict[str, Any], note: dict[str, str]
) -> None:
    """Under the unit as it is shipped, from the local model alone."""
    events, answer = box.ask()
    ended = events[-1]
    note["turn"] = json.dumps(ended)
    assert (ended["type"], ended["outcome"]) == ("turn_ended", "answered"), events
    assert "capital of germany" in ended["question"].lower()
    assert (ended["provider"], ended["role"]) == ("local", "chat")
    assert ended["model"] == "smollm2-135m-instruct-q4_1"
    assert "berlin" in ended["answer"].lower()
    assert "berlin" in speech.understood(answer[: 28 * speech.RATE]), ended


def test_health_answers(box: Box, report: dict[str, Any]) -> None:
    """The page is on loopback alone, until the owner lets it out."""
    script = "from urllib.request import urlopen as u; print(u('http://127.0.0.1:8080/health').read().decode())"
    assert json.loads(box.run(f'python3 -ISc "{script}"')) == {"status": "ok"}


def test_a_killed_worker_is_replaced(box: Box, report: dict[str, Any]) -> None:
    killed = report["workers"]["tts"]["pid"]
    box.run(f"kill -KILL {killed}")
    after = box.ready(killed)
    assert after["workers"]["tts"]["restarts"] == 1
    assert after["pid"] == report["pid"]
    assert box.property("luna", "NRestarts") == "0"


def test_a_service_that_stands_still_is_started_again(box: Box, report: dict[str, Any]) -> None:
    """By systemd's watchdog, with the time that the unit gives it."""
    box.run(f"kill -STOP {report['pid']}")
    box.run("until systemctl show luna -p NRestarts | grep -q =1; do sleep 2; done")
    box.run("until systemctl is-active luna >/dev/null; do sleep 1; done")
    assert box.property("luna", "MainPID") != str(report["pid"])
    assert "Watchdog timeout" in box.run("journalctl -u luna -o cat --no-pager")
    assert box.run("systemctl --failed --no-legend") == ""
