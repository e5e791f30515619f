"""The main promise of reminders, with real models, a real sound path and a clock that lies.

The sentence is played into the virtual microphone, the box loses power at once and wakes in 1970;
when the clock is right again it says the reminder aloud at nine, once.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.service import LUNA, Service, service
from tests.sound_card import VirtualSoundCard, read_wav
from tests.speech import say_to, understood

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]

SENTENCE = "Remind me to call the doctor tomorrow at nine in the morning."
TURN_LIMIT_S = 90.0
LOOKS_WITHIN_S = 60.0
"""A clock that is doubted is looked at each 10 s."""


def faketime() -> Path:
    """Return the library that moves the wall clock of a process, and leaves the others alone."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "the Debian package faketime is missing; `make test` installs it"
    return found[0]


class FakeClock:
    """A wall clock for the processes that get :attr:`env`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.env = {
            "TZ": "America/Sao_Paulo",
            "LD_PRELOAD": str(faketime()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, local: str) -> None:
        """Set it to a local time; it runs on from there."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"@{local}\n")
        fresh.replace(self._file)


def reminders(luna: Service) -> list[dict[str, object]]:
    done = subprocess.run(
        [*LUNA, "reminders", "list", "--json"],
        env=luna.env,
        capture_output=True,
        timeout=60,
        check=True,
    )
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


def test_spoken_reminder(sound_card: VirtualSoundCard, short_path: Path) -> None:
    sentence = say_to(short_path / "q.wav", SENTENCE, 0.9)
    heard = short_path / "heard.wav"
    clock = FakeClock(short_path)
    env = {**sound_card.env, **clock.env}
    arguments = ("--set", "listen.wake_words=", "--set", "listen.follow_up_s=0")
    sound_card.noise()

    clock.set("2027-03-01 18:00:00")
    with service(short_path, *arguments, env=env) as luna:
        luna.until_ready()
        for _ in range(3):  # the virtual sound card may lose a piece on a busy machine
            luna.send("button_pressed")
            luna.until_type("state_changed", state="listening")
            sound_card.play(sentence, wait=False)
            ended = luna.until_type("turn_ended", TURN_LIMIT_S)[-1]
            if "doctor" in str(ended["question"]).lower():
                break
        said = str(ended["answer"]).lower()
        assert "call the doctor" in said, ended
        assert "tomorrow, tuesday, at nine in the morning" in said
        luna.process.send_signal(signal.SIGKILL)
        luna.process.wait(10)

    clock.set("1970-01-01 00:05:00")
    with service(short_path, *arguments, env=env) as luna:
        luna.until_ready()
        (row,) = reminders(luna)
        assert str(row["due"]).startswith("2027-03-02T09:00")
        assert row["waits_for_clock"]
        with sound_card.recording(heard):
            clock.set("2027-03-02 08:59:45")
            due = luna.until_type("reminder_due", LOOKS_WITHIN_S)
            assert not any(event["type"] == "reminder_missed" for event in due)
            assert due[-1]["reminders"] == [row["id"]]
            assert not due[-1]["late"]
            luna.until_type("turn_ended", TURN_LIMIT_S, source="say")
        assert "doctor" in understood(read_wav(heard))
        luna.send("button_pressed")
        changed = luna.until_type("reminder_changed", change="done")[-1]
        assert changed["reminder"] == row["id"]
        clock.set("2027-03-02 09:30:00")
        assert reminders(luna) == []

    with service(short_path, *arguments, env=env) as luna:
        luna.until_ready()
        luna.send("say_requested", text="Good morning.")
        events = luna.until_type("turn_ended", TURN_LIMIT_S)
        assert not any(event["type"] == "reminder_due" for event in events)
