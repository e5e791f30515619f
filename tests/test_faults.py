"""Real faults: processes killed and frozen, the sound server gone, damaged files, full disks.

The matrix of workers and states runs on fake engines, for speed; processes, rings, messages
and signals are real. What concerns models runs on real ones.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio

from appliance import engines, fakes, paths
from appliance.app import ALL, App, Plan
from appliance.audio.device import PortAudioCard
from appliance.events import (
    ButtonPressed,
    Event,
    MicrophoneChanged,
    StateChanged,
    TextAsked,
    TurnEnded,
    WorkerChanged,
)
from appliance.models.catalogue import load_catalogue
from appliance.settings import Settings
from tests.room_card import RoomCard
from tests.service import LUNA, service, shared_memory
from tests.sound_card import ASOUNDRC, VirtualSoundCard, write_wav
from tests.speech import say

LIMIT_S = 40.0
ANSWER = "It is Paris. It lies on the river Seine."
"""Spoken by the fake voice, it lasts 2.4 s."""
SPEECH = (np.sin(np.arange(16_000) / 4) * 12_000).astype(np.int16)
"""What the fake engines take for a question: a second of loud sound."""


class Luna:
    """The whole appliance with fake engines, in a room where a test can speak."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app = app
        self._folder = folder
        self._events = app.events()
        self._spoken = 0

    def speak(self) -> None:
        """Say the question."""
        RoomCard.say(self._folder, self._spoken, SPEECH)
        self._spoken += 1

    async def until(self, kind: type[Event], **fields: object) -> Event:
        """Return the next event of this kind with these fields."""
        async with asyncio.timeout(LIMIT_S):
            async for event in self._events:
                if isinstance(event, kind) and all(
                    getattr(event, name) == value for name, value in fields.items()
                ):
                    return event
        raise AssertionError("the event stream ended")

    async def bring_to(self, state: str) -> None:
        """Begin a turn and wait until it has come to *state*."""
        if state == "idle":
            return
        self.app.request(ButtonPressed())
        await self.until(StateChanged, state="listening")
        if state != "listening":
            self.speak()
            await self.until(StateChanged, state=state)

    def pids(self) -> dict[str, int]:
        """Return the process of each worker."""
        return {name: health.pid for name, health in self.app.supervisor.health().items()}


@asynccontextmanager
async def luna(folder: Path, card: object = None) -> AsyncIterator[Luna]:
    """Run the appliance on fake engines."""
    settings = Settings()
    settings = replace(
        settings,
        # On a busy machine a frozen worker may take longer than a person does to begin.
        listen=replace(settings.listen, follow_up_s=0.0, wait_for_speech_s=LIMIT_S),
        audio=replace(settings.audio, zeros_after_s=3.0),
    )
    parts = replace(
        engines.fake(settings),
        sound_card=card or partial(RoomCard, folder),
        language_models=partial(fakes.load_language_models, 0.2, ANSWER),
    )
    async with App(settings, parts, Plan()) as app:
        await app.ready()
        yield Luna(app, folder)


FAULTS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=FAULTS)
async def faulty(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Luna, signal.Signals]]:
    """One Luna for all her workers, and what befalls them."""
    async with luna(tmp_path_factory.mktemp("room")) as box:
        yield box, FAULTS[request.param]


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("worker", ALL)
async def test_a_worker_that_dies_or_hangs_costs_nothing_else(
    faulty: tuple[Luna, signal.Signals], worker: str
) -> None:
    """In every state: nothing else dies, the worker comes back, the turn gets its answer."""
    box, fault = faulty
    for number, state in enumerate(("idle", "listening", "thinking", "speaking"), 1):
        await box.bring_to(state)
        before = box.pids()
        os.kill(before[worker], fault)
        await box.until(WorkerChanged, worker=worker, status="failed")
        await box.until(WorkerChanged, worker=worker, status="ready")
        after = box.pids()
        assert {n: p for n, p in after.items() if n != worker} == {
            n: p for n, p in before.items() if n != worker
        }
        assert after[worker] != before[worker]
        assert box.app.supervisor.health()[worker].restarts == number
        if state == "listening":
            box.speak()
        if state != "idle" and box.app.coordinator.appliance.turn is not None:
            ended = await box.until(TurnEnded)
            assert isinstance(ended, TurnEnded)
            assert ended.outcome in ("answered", "failed"), (state, ended)
        assert box.app.coordinator.appliance.state.value == "idle"
    box.app.request(TextAsked(text="Are you still there?"))
    ended = await box.until(TurnEnded, source="text")
    assert isinstance(ended, TurnEnded)
    assert ended.outcome == "answered"


@pytest.mark.slow
@pytest.mark.sound
async def test_sound_server_killed_and_restarted(
    sound_card: VirtualSoundCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The microphone's death is noticed, told, and healed, in capture and in playback."""
    for name, value in sound_card.env.items():
        monkeypatch.setenv(name, value)
    sound_card.noise()
    async with luna(tmp_path, PortAudioCard) as box:
        for speaking in (False, True):
            if speaking:
                box.app.request(TextAsked(text="Speak.", speak=True))
                await box.until(StateChanged, state="speaking")
            sound_card.kill()
            lost = await box.until(MicrophoneChanged)
            assert isinstance(lost, MicrophoneChanged)
            assert lost.status in ("deaf", "missing")
            sound_card.start()
            sound_card.noise()
            await box.until(MicrophoneChanged, status="open")
            begun = box.app.capture.blocks_written
            await asyncio.sleep(1.5)
            assert box.app.capture.blocks_written > begun + 20
        assert box.app.supervisor.health()["listen"].restarts == 0


@pytest.mark.slow
@pytest.mark.sound
async def test_digital_silence_is_a_dead_microphone(
    sound_card: VirtualSoundCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros, which no real microphone delivers, are told and the device is opened again."""
    for name, value in sound_card.env.items():
        monkeypatch.setenv(name, value)
    async with luna(tmp_path, PortAudioCard) as box:
        deaf = await box.until(MicrophoneChanged, status="deaf")
        assert isinstance(deaf, MicrophoneChanged)
        assert "digital silence" in deaf.detail
        await box.until(MicrophoneChanged, status="open")


async def test_no_sound_card_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Luna runs, says so in her status, and answers in writing."""
    empty = tmp_path / "asound.conf"
    empty.write_text(ASOUNDRC)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(empty))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nobody")
    async with luna(tmp_path, PortAudioCard) as box:
        box.app.request(TextAsked(text="Are you there?"))
        ended = await box.until(TurnEnded)
        assert isinstance(ended, TurnEnded)
        assert ended.outcome == "answered"
        assert box.app.health()["microphone"]["status"] == "missing"


def test_sigterm_in_the_middle_of_a_turn(short_path: Path) -> None:
    """It ends within 3 s and leaves nothing behind."""
    with service(short_path, "--fake") as box:
        pid = box.process.pid
        box.until_ready()
        children = psutil.Process(box.process.pid).children(recursive=True)
        assert len(children) >= len(ALL)
        assert shared_memory(pid)
        box.send("text_asked", text="Talk for a while.", speak=True)
        box.until_type("state_changed", state="speaking")
        assert box.stop() < 3.0
        assert box.process.returncode == 0
    _gone, alive = psutil.wait_procs(children, timeout=3)
    assert not alive
    assert not shared_memory(pid)
    assert not (short_path / "luna/control.sock").exists()


def test_kill_9_of_everything_leaves_no_process(short_path: Path) -> None:
    """Workers do not outlive the main process, and the next start works."""
    with service(short_path, "--fake") as box:
        box.until_ready()
        children = psutil.Process(box.process.pid).children(recursive=True)
        box.process.kill()
        box.process.wait(10)
    _gone, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    with service(short_path, "--fake") as box:
        box.until_ready()


# --- models --------------------------------------------------------------------------------------


def _run(*arguments: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUNA, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "LUNA_MODELS_DIR": str(paths.models_dir()), **env},
    )


@pytest.mark.models
@pytest.mark.parametrize("damage", ["truncated", "tampered", "missing"])
def test_damaged_model_is_refused_by_name(short_path: Path, damage: str) -> None:
    """Never opened; the sentence names file and repairing command."""
    model = load_catalogue().get(load_catalogue().default("chat"))
    folder = short_path / "models" / model.name
    folder.mkdir(parents=True)
    copy = folder / model.files[0].name
    if damage != "missing":
        shutil.copy(model.folder(paths.models_dir()) / copy.name, copy)
        with copy.open("r+b") as file:
            if damage == "truncated":
                file.truncate(model.bytes // 2)
            else:
                file.seek(model.bytes // 2)
                file.write(b"evil")
    done = _run(
        "ask", "Hello?", LUNA_MODELS_DIR=str(short_path / "models"), XDG_RUNTIME_DIR=str(short_path)
    )
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert str(copy) in done.stderr
    assert f"luna models pull {model.name}" in done.stderr


# --- sound files ---------------------------------------------------------------------------------


def _odd_wav(path: Path, rate: int, channels: int, width: int, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        many = np.repeat(samples[:, None], channels, axis=1)
        data = (many // 256 + 128).astype(np.uint8) if width == 1 else many.astype("<i2")
        file.writeframes(data.tobytes())


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("noise", 7),
        ("silence", 7),
        ("empty", 5),
        ("text", 5),
        ("ten_minutes", 7),
        ("stereo_8_bit", 0),
        ("96_khz", 0),
    ],
)
def test_odd_sound_files(short_path: Path, kind: str, code: int) -> None:
    """Each gets an answer or one sentence, and the right exit code."""
    source, target = short_path / "q.wav", short_path / "a.wav"
    generator = np.random.default_rng(0)
    question = say("What is the capital of France?")
    match kind:
        case "noise":
            write_wav(source, generator.normal(0, 3000, 80_000).astype(np.int16), 16_000)
        case "silence":
            write_wav(source, np.zeros(80_000, np.int16), 16_000)
        case "empty":
            source.touch()
        case "text":
            source.write_text("This is no sound.")
        case "ten_minutes":
            write_wav(source, generator.normal(0, 10, 9_600_000).astype(np.int16), 16_000)
        case "stereo_8_bit":
            _odd_wav(source, 16_000, 2, 1, question)
        case "96_khz":
            import soxr

            _odd_wav(source, 96_000, 1, 2, soxr.resample(question, 16_000, 96_000))
    began = time.monotonic()
    done = _run("turn", "--in", str(source), "--out", str(target), XDG_RUNTIME_DIR=str(short_path))
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    if code:
        assert len(done.stderr.splitlines()) == 1, done.stderr
    else:
        # Each synthesis sounds a little different: the format is tested here, not the answer.
        assert "capital" in done.stdout.lower()
    assert time.monotonic() - began < 100
