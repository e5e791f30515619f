"""A card that is full, cannot be written, or has no models: Luna starts, listens, and says so.

The service is a real one on real file systems; only those who think are fakes where it is about
the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance import paths
from appliance.storage.flash import FlashStorage
from tests.service import LUNA, Service, service

WORDS = {
    "en": "remind me to call Ana in ten minutes",
    "pt": "me lembre de ligar para a Ana em dez minutos",
}
REFUSED = {
    "en": "That was not saved: I cannot write to the disk.",
    "pt": "Isso não foi salvo: não consigo gravar no disco.",
}
LIMIT_S = 90.0
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED: only root may mount a file system"
)


@contextmanager
def card(point: Path) -> Iterator[Path]:
    """A file system of 4 MB at *point*."""
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", point], check=True)


def fill(folder: Path) -> Path:
    """Write until nothing more fits, not a byte; return the file."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


def remount(point: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", point], check=True)


def findings(luna: Service) -> dict[str, str]:
    return {row["name"]: row["level"] for row in luna.health()["vitals"].get("findings", ())}


def eventually(luna: Service, wanted: Callable[[dict[str, str]], bool]) -> None:
    """Wait until the findings are as *wanted*; they are looked at every ten seconds."""
    deadline = time.monotonic() + LIMIT_S
    while not wanted(found := findings(luna)):
        assert time.monotonic() < deadline, f"{found}\n{luna.log()}"
        time.sleep(0.2)


def kept(luna: Service) -> int:
    """Return how many reminders there are."""
    luna.send("reminders_requested", request="l", action="list")
    return len(luna.until_type("reminders_answered", request="l")[-1]["rows"])


def ask_in_writing(luna: Service, language: str = "en") -> tuple[bool, str]:
    """Ask for a reminder as page and command line do; return whether it was kept, and the words."""
    luna.send(
        "reminders_requested", request="w", action="say", text=WORDS[language], language=language
    )
    answer = luna.until_type("reminders_answered", request="w")[-1]
    return answer["ok"], answer["text"]


def ask_aloud(luna: Service) -> str:
    """Ask for a reminder in a turn; return what is said."""
    luna.send("text_asked", text=WORDS["en"], request="a")
    answer: str = luna.until_type("turn_ended")[-1]["answer"]
    return answer


def doctor(luna: Service) -> set[str]:
    words = ["doctor", "--json", "--no-sound"]
    done = subprocess.run(
        [*LUNA, *words], env=luna.env, capture_output=True, text=True, check=False
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return {row["name"] for row in rows if row["level"] == "failure"}


def status(luna: Service) -> str:
    done = subprocess.run(
        [*LUNA, "status"], env=luna.env, capture_output=True, text=True, check=True
    )
    return " ".join(done.stdout.split())


@needs_root
def test_a_new_card_that_cannot_be_written(short_path: Path) -> None:
    with card(short_path / "data") as point:
        remount(point, "ro")
        with service(short_path, "--fake") as luna:
            luna.until_ready()
            assert luna.health()["state"] == "idle"
            assert ask_aloud(luna) == REFUSED["en"]


@needs_root
def test_a_card_that_fills_up_and_then_can_only_be_read(short_path: Path) -> None:
    with card(short_path / "data") as point:
        with service(short_path, "--fake") as luna:
            luna.until_ready()
            assert ask_in_writing(luna)[0]
            ballast = fill(point)
            promised = 1
            while ask_in_writing(luna)[0]:  # the journal's last page has room for a few
                promised += 1
            assert ask_aloud(luna) == REFUSED["en"]
            assert luna.health()["state"] == "idle"
        remount(point, "ro")
        with service(short_path, "--fake") as luna:
            luna.until_ready()
            eventually(luna, lambda found: found.get("data_unwritable") == "critical")
            assert ask_in_writing(luna) == (False, REFUSED["en"])
            assert kept(luna) == promised
            assert "disk.read_only" in doctor(luna)
            assert "The card cannot be written" in status(luna)
            remount(point, "rw")
            ballast.unlink()
            assert ask_in_writing(luna)[0]
            assert ask_aloud(luna) != REFUSED["en"]
            assert kept(luna) == promised + 2
            eventually(luna, lambda found: "data_unwritable" not in found)


@needs_root
def test_a_full_card(short_path: Path) -> None:
    with card(short_path / "data") as point:
        ballast = fill(point)
        with service(short_path, "--fake", "--set", "general.language=pt") as luna:
            luna.until_ready()
            assert luna.health()["state"] == "idle"
            eventually(luna, lambda found: found.get("disk_free_mb") == "critical")
            assert ask_in_writing(luna, "pt") == (False, REFUSED["pt"])
            assert "disk.full" in doctor(luna)
            ballast.unlink()
            assert ask_in_writing(luna)[0]
        stored = FlashStorage(point / "reminders", read_only=True).read()
        assert stored
        assert len(stored["reminders"]) == 1


@pytest.mark.models
def test_a_box_without_models_listens_and_takes_them_up_when_they_come(short_path: Path) -> None:
    empty = short_path / "models"
    empty.mkdir()
    there = paths.models_dir()
    (short_path / "luna.toml").write_text(
        '[general]\nlanguages = ["en"]\n'
        '[stt]\nmodel = "whisper-tiny.en"\n'
        '[llm]\nchat_model = "smollm2-135m-instruct-q4_1"\n'
        'code_model = "smollm2-135m-instruct-q4_1"\n'
    )
    config = ("--config", str(short_path / "luna.toml"), "--set", f"general.models_dir={empty}")
    with service(short_path, *config) as luna:
        luna.until_ready("audio", "listen", "tts")  # by the fallback voice
        eventually(luna, lambda found: "models_missing" in found)
        assert luna.health()["state"] == "idle"
        said = status(luna)
        assert "Models are missing" in said
        assert "whisper-tiny.en" in said
        assert ask_in_writing(luna)[0]  # reminders need no model
        for name in ("whisper-tiny.en", "smollm2-135m-instruct-q4_1"):
            shutil.copytree(there / name, empty / f".{name}", copy_function=os.symlink)
            (empty / f".{name}").rename(empty / name)
        luna.until_ready("stt", "llm")
