"""``python -m tests.diagnose.faults NAME... [--folder DIR]``: cause a problem, keep Luna's log.

The logs in ``tests/data/diagnose`` were made by this. Each runs the real service: processes,
rings, messages, supervisor and log are real. The faults are real too, in the parts that stand in
for hardware and models: a speaker whose driver blocks, a wake word that loads or runs too slowly,
a provider on loopback that takes its time, a memory budget that holds one model of two. For the
slow processor the real models run, after some turns, in a control group that gives them a quarter
of a core, which needs root and cgroups (v1, controller ``cpu``): what heat does to a Raspberry Pi,
without its heat. What other programs do to the machine that records is not looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from appliance import engines, fakes, log
from appliance.app import App, Plan
from appliance.audio.device import Configure, Format, Render
from appliance.engines import Engines
from appliance.events import (
    ButtonPressed,
    Event,
    MuteRequested,
    StateChanged,
    TextAsked,
    TurnEnded,
    WorkerChanged,
)
from appliance.listen.wake_word import Detection
from appliance.llm.engine import ModelNeed, Proceed
from appliance.llm.pool import EnginePool
from appliance.settings import ProviderSettings, Settings
from tests.fake_provider import Play, failing, slow
from tests.room_card import RoomCard
from tests.threaded_provider import ThreadedProvider

DATA = Path(__file__).parents[1] / "data/diagnose"
LIMIT_S = 120.0
TONE = (np.sin(np.arange(16_000) / 4) * 12_000).astype(np.int16)
"""What the fake engines take for a question."""
MEGABYTE = 1_000_000


# --- parts with a fault --------------------------------------------------------------------------


class BlockingSpeaker(RoomCard):
    """The driver of its speaker keeps the caller waiting each time it is opened."""

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        time.sleep(4.0)
        return super().open_speaker(configure, render)


class SlowWakeWord(fakes.FakeWakeWord):
    """Takes more time for a piece of sound than the sound lasts."""

    def process(self, audio: bytes) -> Detection | None:
        time.sleep(0.2)
        return None


def late_wake_word() -> fakes.FakeWakeWord:
    """Load for a long time, as from a worn card."""
    time.sleep(8.0)
    return fakes.FakeWakeWord()


class LargeModels(fakes.FakeModels):
    """A model for each role, of which memory holds the chat model and one more."""

    def need(self, role: str) -> ModelNeed:
        key = role if role in ("code", "vision") else "chat"
        return ModelNeed(f"{key}-model", key, 600 * MEGABYTE, 600 * MEGABYTE)

    def open(self, role: str, proceed: Proceed) -> fakes.FakeModels:
        time.sleep(2.5)
        return self


def large_models() -> EnginePool:
    """Return a real pool with too small a budget."""
    return EnginePool(LargeModels(fakes.FakeChatEngine()), budget_bytes=1_300 * MEGABYTE)


# --- the service ---------------------------------------------------------------------------------


@dataclass
class Luna:
    """The running service, in a room where somebody can speak."""

    app: App
    room: Path
    spoken: int = 0

    async def until(
        self, events: AsyncIterator[Event], kind: type[Event], **fields: object
    ) -> None:
        """Wait for an event of this kind with these fields."""
        async with asyncio.timeout(LIMIT_S):
            async for event in events:
                if isinstance(event, kind) and all(
                    getattr(event, name) == value for name, value in fields.items()
                ):
                    return

    async def say(self, sound: Any = TONE) -> None:
        """One spoken turn."""
        events = self.app.events()
        await anext(events)
        self.app.request(ButtonPressed())
        await self.until(events, StateChanged, state="listening")
        RoomCard.say(self.room, self.spoken, sound)
        self.spoken += 1
        await self.until(events, TurnEnded)

    async def ask(self, question: str, **more: Any) -> None:
        """One written turn."""
        events = self.app.events()
        await anext(events)
        self.app.request(TextAsked(text=question, **more))
        await self.until(events, TurnEnded)


Change = Callable[[Engines], Engines]


@asynccontextmanager
async def luna(
    settings: Settings | None = None, change: Change = lambda parts: parts, *, wait: bool = True
) -> AsyncIterator[Luna]:
    """Run the service; what is said in it lies in a folder of its own."""
    chosen = settings or quiet(Settings())
    with tempfile.TemporaryDirectory(prefix="luna-room-") as name:
        room = Path(name)
        parts = replace(engines.fake(chosen), sound_card=partial(RoomCard, room))
        if chosen.general.models_dir == "real":
            chosen = replace(chosen, general=replace(chosen.general, models_dir=""))
            parts = replace(engines.real(chosen), sound_card=partial(RoomCard, room))
        parts = replace(change(parts), panels=lambda _: {})
        if parts.sound_card is BlockingSpeaker:
            parts = replace(parts, sound_card=partial(BlockingSpeaker, room))
        async with App(chosen, parts, Plan(service=True)) as app:
            if wait:
                await app.ready()
            yield Luna(app, room)


def quiet(settings: Settings) -> Settings:
    """Return settings under which nothing happens but what the fault does."""
    return replace(
        settings,
        web=replace(settings.web, enabled=False),
        listen=replace(settings.listen, follow_up_s=0.0),
        cache=replace(settings.cache, enabled=False),
        audio=replace(settings.audio, zeros_after_s=0.0, speaker_idle_s=1.0),
        # What else runs on the machine that records is no part of the problem.
        thresholds=replace(settings.thresholds, cpu_wait_percent=(100.0, 100.0)),
    )


# --- the problems --------------------------------------------------------------------------------


async def healthy() -> None:
    """Nothing is wrong: a box that is started, used a few times and stopped."""
    async with luna() as box:
        for _ in range(4):
            await box.say()
        await box.ask("What is the capital of France?")


async def blocking_playback() -> None:
    """The speaker keeps its caller waiting; the answer is there and nobody hears it."""
    async with luna(change=lambda parts: replace(parts, sound_card=BlockingSpeaker)) as box:
        for _ in range(3):
            await box.say()
            await asyncio.sleep(2.5)  # until the speaker is closed again


async def late_consumer() -> None:
    """The microphone is open long before anybody listens."""
    async with luna(change=lambda parts: replace(parts, wake_word=late_wake_word)) as box:
        await box.say()
        await box.say()


async def full_queue() -> None:
    """Who listens is slower than the sound: it piles up until the ring is full."""
    async with luna(change=lambda parts: replace(parts, wake_word=SlowWakeWord)) as box:
        for _ in range(9):
            await asyncio.sleep(10)
            # An order now and then shows that it lives; else it would be ended as hung.
            box.app.request(MuteRequested(muted=False))


async def slow_provider() -> None:
    """The provider answers, but it begins late."""
    await _with_provider([slow(4.5)], "cloud", questions=4)


async def provider_fallback() -> None:
    """The provider fails, and the box answers itself."""
    await _with_provider([failing(500)], "cloud_first", questions=4)


async def _with_provider(script: list[Play], policy: Any, questions: int) -> None:
    with ThreadedProvider() as server:
        server.play(*script)
        settings = quiet(Settings())
        settings = replace(
            settings,
            routing=replace(settings.routing, policy={"chat": policy}),
            providers={
                "groq": ProviderSettings(base_url=server.base_url, models={"chat": "large"})
            },
        )
        async with luna(settings) as box:
            for _ in range(questions):
                await box.say()


async def model_evicted() -> None:
    """Two models take turns in memory that holds one of them."""
    async with luna(change=lambda parts: replace(parts, language_models=large_models)) as box:
        for _ in range(3):
            await box.ask("Write a Python function that sorts a list of numbers.")
            await box.ask("What is on this picture?", image=_picture())


def _picture() -> str:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(data, "PNG")
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


async def restarts() -> None:
    """Speech recognition dies again and again."""
    async with luna() as box:
        for _ in range(4):
            events = box.app.events()
            await anext(events)
            os.kill(box.app.supervisor.health()["stt"].pid, signal.SIGKILL)
            await box.until(events, WorkerChanged, worker="stt", status="failed")
            await box.until(events, WorkerChanged, worker="stt", status="ready")
            await box.say()


async def throttled() -> None:
    """The real models, first on a whole processor and then on a quarter of a core."""
    from tests.speech import say

    sound = await asyncio.to_thread(say, "What is the capital of France?")
    settings = quiet(Settings())
    settings = replace(settings, general=replace(settings.general, models_dir="real"))
    async with luna(settings) as box:
        for _ in range(4):
            await box.say(sound)
        # Those with real-time priority cannot be put into such a group, and need little.
        health = box.app.supervisor.health()
        computing = [health[name].pid for name in ("stt", "tts", "llm")]
        with slowed([os.getpid(), *computing], cores=0.25):
            for _ in range(4):
                await box.say(sound)


@contextmanager
def slowed(pids: list[int], cores: float) -> Iterator[None]:
    """Give these processes together so much of a core."""
    root = Path("/sys/fs/cgroup/cpu")
    group = root / f"luna-{pids[0]}"
    group.mkdir()
    period = 100_000
    (group / "cpu.cfs_period_us").write_text(str(period))
    (group / "cpu.cfs_quota_us").write_text(str(int(period * cores)))
    for pid in pids:
        (group / "cgroup.procs").write_text(str(pid))
    try:
        yield
    finally:
        for member in (group / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(member)
        group.rmdir()


PROBLEMS: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    work.__name__: work
    for work in (
        healthy,
        blocking_playback,
        late_consumer,
        full_queue,
        slow_provider,
        provider_fallback,
        model_evicted,
        restarts,
        throttled,
    )
}


def record(name: str, folder: Path) -> Path:
    """Cause a problem in a process of its own; return its log."""
    file = folder / f"{name}.jsonl"
    with tempfile.TemporaryDirectory(prefix="luna-") as home, tempfile.TemporaryFile() as stderr:
        environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": home,
            "XDG_CONFIG_HOME": home,
            "DATA_DIR": f"{home}/data",
            "LUNA_OWN_SERVICE": "1",
            "GROQ_API_KEY": "a-key-that-opens-nothing",
        }
        subprocess.run(
            [sys.executable, "-m", "tests.diagnose.faults", name, "--here"],
            env=environment,
            stderr=stderr,
            check=True,
            timeout=900,
        )
        stderr.seek(0)
        file.write_bytes(stderr.read())
    return file


def main() -> None:
    """Cause the problems that are named; all, when none is."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*PROBLEMS, []])
    parser.add_argument("--folder", type=Path, default=DATA)
    parser.add_argument("--here", action="store_true")
    arguments = parser.parse_args()
    if arguments.here:
        log.configure("info")
        asyncio.run(PROBLEMS[arguments.names[0]]())
        return
    for name in arguments.names or PROBLEMS:
        print(record(name, arguments.folder))


if __name__ == "__main__":
    main()
