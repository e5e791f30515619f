"""The chirp: known ways measured right, on paper, through cards, and through the real service."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from appliance.audio.device import Configure, Deliver, Format, Render
from appliance.audio.loopback import AMPLITUDE, BEFORE_S, SILENCE_DB, Loopback, chirp, measure
from appliance.audio.ring_buffer import CAPTURE_RATE
from appliance.doctor.sound import judge, through
from appliance.errors import AudioError
from tests.doctor.loop import loop
from tests.doctor.scratch import Scratch
from tests.service import LIMIT_S
from tests.sound_card import VirtualSoundCard

Samples = npt.NDArray[np.int16]
CHIRP_DB = 20 * np.log10(AMPLITUDE / np.sqrt(2))
"""Its RMS, but for the soft edges."""


def room(
    delay_ms: float, gain: float, noise: float, reflections: tuple[tuple[float, float], ...] = ()
) -> Loopback:
    """Measure a room: reflections are (times the direct sound, ms later)."""
    sound = np.random.default_rng(1).normal(0, noise, int(2.1 * CAPTURE_RATE))
    sent = AMPLITUDE * chirp(CAPTURE_RATE)
    played = int(BEFORE_S * CAPTURE_RATE)
    for times, later in ((1.0, 0.0), *reflections):
        at = played + round((delay_ms + later) * CAPTURE_RATE / 1000)
        sound[at : at + len(sent)] += gain * times * sent
    return measure(np.clip(sound * 32768, -32768, 32767).astype(np.int16), played)


@pytest.mark.parametrize("delay_ms", [0.0, 12.5, 100.0, 437.5, 1100.0])
@pytest.mark.parametrize("decibels", [0, -20, -35])
def test_delay_and_level(delay_ms: float, decibels: int) -> None:
    found = room(delay_ms, 10 ** (decibels / 20), 0.0003)
    assert found.found
    assert found.delay_ms == pytest.approx(delay_ms, abs=0.2)
    assert found.gain_db == pytest.approx(decibels, abs=0.5)
    assert found.level_db == pytest.approx(CHIRP_DB + decibels, abs=0.7)
    assert found.noise_db == pytest.approx(-70.5, abs=0.5)
    assert found.echo_db is None
    assert found.clipped == 0


def test_it_is_found_below_the_noise_and_told_from_noise_alone() -> None:
    assert room(100, 0.05, 0.03).found  # 10 dB below it
    for _ in range(20):
        assert not room(0, 0.0, 0.03).found


def test_the_strongest_reflection_is_the_echo() -> None:
    found = room(100, 0.3, 0.0003, ((0.3, 60.0), (0.1, 130.0)))
    assert found.delay_ms == pytest.approx(100, abs=0.2)
    assert found.echo_db == pytest.approx(-10.5, abs=0.5)
    assert found.echo_ms == pytest.approx(60, abs=0.5)


def test_too_loud_and_digital_silence() -> None:
    assert room(50, 8.0, 0.0003).clipped > 0.2
    silent = room(50, 0.0, 0.0)
    assert not silent.found
    assert silent.noise_db == silent.level_db == SILENCE_DB


def names(result: Loopback) -> set[str]:
    return {finding.name for finding in judge(result)}


def test_what_is_made_of_it() -> None:
    assert names(room(100, 0.1, 0.0003)) == {"sound.ok"}
    assert names(room(100, 0.1, 0.0003, ((0.2, 50.0),))) == {"sound.ok_echo"}
    assert names(room(100, 0.1, 0.0003, ((0.8, 50.0),))) == {"sound.echo"}
    assert names(room(100, 8.0, 0.0003)) == {"sound.too_loud"}
    assert names(room(700, 0.1, 0.0003)) == {"sound.late"}
    assert names(room(100, 0.01, 0.00003)) == {"sound.faint"}
    assert "sound.noisy" in names(room(100, 0.5, 0.05))
    # which half is silent, as far as can be told
    assert names(room(100, 0.0, 0.0)) == {"sound.microphone_silent"}
    assert names(room(100, 0.0, 0.0003)) == {"sound.speaker_silent"}
    assert names(room(100, 0.0, 0.00004)) == {"sound.one_silent"}


# --- a card --------------------------------------------------------------------------------------


class DelayedCard:
    """What is played is heard *delay* blocks (20 ms) later, *gain* times as loud, beside noise."""

    def __init__(
        self, delay: int, gain: float, *, renders: bool = True, hears: bool = True
    ) -> None:
        self._delay, self._gain = delay, gain
        self._renders, self._hears = renders, hears
        self._render: Render | None = None
        self._over = threading.Event()

    def open_microphone(self, configure: Configure, deliver: Deliver) -> Format:
        opened = Format("delayed", CAPTURE_RATE, 1)
        configure(opened)
        threading.Thread(target=self._run, args=(deliver,), daemon=True).start()
        return opened

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        opened = Format("delayed", CAPTURE_RATE, 1)
        configure(opened)
        self._render = render if self._renders else None
        return opened

    def _run(self, deliver: Deliver) -> None:
        line = [np.zeros(320, np.int16)] * self._delay
        noise = np.random.default_rng(0)
        began, number = time.monotonic(), 0
        while not self._over.is_set():
            out = np.zeros((320, 1), np.int16)
            if self._render is not None:
                self._render(out)
            line.append(out[:, 0])
            heard = self._gain * line.pop(0) + noise.normal(0, 10, 320)
            if self._hears:
                deliver(heard.astype(np.int16).tobytes())
            number += 1
            time.sleep(max(0.0, began + number * 0.02 - time.monotonic()))

    def close_microphone(self) -> None:
        self._over.set()

    def close_speaker(self) -> None:
        self._render = None

    def look_again(self) -> None:
        """There is nothing to find."""


@pytest.mark.parametrize(("blocks", "gain"), [(2, 0.5), (20, 0.05)])
def test_through_a_card_of_known_delay(blocks: int, gain: float) -> None:
    found = through(DelayedCard(blocks, gain))
    assert found.found
    # Sound is rendered a block at a time, right before it is heard.
    assert found.delay_ms == pytest.approx(20 * blocks, abs=25)
    assert found.gain_db == pytest.approx(20 * np.log10(gain), abs=0.5)


def test_a_card_that_gives_or_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.doctor.sound.FIRST_BLOCK_S", 0.3)
    with pytest.raises(AudioError, match="gives no sound at all"):
        through(DelayedCard(1, 1.0, hears=False))
    with pytest.raises(AudioError, match="takes no sound"):
        through(DelayedCard(1, 1.0, renders=False))


# --- the virtual sound card ----------------------------------------------------------------------

ONCE = (
    "import json; from dataclasses import asdict\n"
    "from appliance.audio.device import PortAudioCard\n"
    "from appliance.doctor.sound import through\n"
    "print(json.dumps(asdict(through(PortAudioCard()))))"
)


def without_gaps(card: VirtualSoundCard, gain_db: float) -> Loopback:
    """Measure until nothing is missing: on a busy machine the loop itself loses sound."""
    for _ in range(5):
        found = by_portaudio(card)
        if found.found and found.gain_db > gain_db - 1:
            break
    return found


def by_portaudio(card: VirtualSoundCard) -> Loopback:
    done = subprocess.run(
        [sys.executable, "-c", ONCE], env=card.env, capture_output=True, timeout=60, check=True
    )
    return Loopback(**json.loads(done.stdout))


@pytest.mark.sound
def test_known_delay_and_level_through_portaudio(sound_card: VirtualSoundCard) -> None:
    with loop(sound_card, 50):
        near = without_gaps(sound_card, 0)
    with loop(sound_card, 400, -20):
        far = without_gaps(sound_card, -20)
    assert near.found
    assert far.found
    assert near.gain_db == pytest.approx(0, abs=1.0)
    assert far.gain_db == pytest.approx(-20, abs=1.0)
    assert near.level_db - far.level_db == pytest.approx(20, abs=2.0)
    # What the sound server adds by its buffers is in both.
    assert far.delay_ms - near.delay_ms == pytest.approx(350, abs=100)


@pytest.mark.sound
def test_a_cut_loop(sound_card: VirtualSoundCard) -> None:
    assert names(by_portaudio(sound_card)) == {"sound.microphone_silent"}
    sound_card.noise()
    # The speaker half is cut: the microphone hears its room.
    (finding,) = judge(by_portaudio(sound_card))
    assert finding.name in ("sound.speaker_silent", "sound.one_silent")
    assert finding.level == "failure"


# --- the running service, which holds the sound card ---------------------------------------------


@contextmanager
def sounding(box: Scratch) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service with the real sound card."""
    with (box.folder / "luna.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.doctor.service_with_sound"],
            env={**box.env, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=log,
        )
        try:
            ends = time.monotonic() + LIMIT_S
            while not _ready(box):
                assert time.monotonic() < ends, (box.folder / "luna.log").read_text()
                time.sleep(0.3)
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _ready(box: Scratch) -> bool:
    done = box.luna("status", "--json")
    workers = json.loads(done.stdout)["workers"] if not done.returncode else {}
    return len(workers) == 5 and all(w["status"] == "ready" for w in workers.values())


@pytest.mark.sound
@pytest.mark.slow
def test_the_running_service_measures(short_path: Path, sound_card: VirtualSoundCard) -> None:
    box = Scratch(short_path, env=sound_card.env)
    sound_card.noise()
    with sounding(box):
        with loop(sound_card, 100):
            bad, _, answer = box.doctor()
            assert bad == {}
            (sound,) = [row for row in answer["findings"] if row["subject"] == "sound"]
            assert sound["name"] in ("sound.ok", "sound.ok_echo")
        bad, code, _ = box.doctor()
        assert list(bad) in (["sound.speaker_silent"], ["sound.one_silent"])
        assert code == 21
        assert box.luna("mute", "on").returncode == 0
        bad, code, _ = box.doctor()
        assert bad == {"sound.muted": "warning"}
        assert code == 20
