"""Somebody talks to Luna through a browser: the whole appliance, a real WebSocket on loopback.

What is quick runs on fake engines; processes, rings, messages and signals are real.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import soxr

from appliance import engines, fakes
from appliance.app import App, Plan
from appliance.errors import ServiceError
from appliance.events import (
    ButtonPressed,
    Event,
    MuteRequested,
    StateChanged,
    TurnEnded,
    TurnStarted,
    WorkerChanged,
)
from appliance.page_turn import RATE
from appliance.settings import Settings
from tests.browser_talk import Browser, browser, talk_server
from tests.room_card import RoomCard
from tests.speech import say, understood

LIMIT_S = 60.0
ANSWER = "It is Paris."
SPEECH = (np.sin(np.arange(16_000) / 4) * 12_000).astype(np.int16)
"""What the fake engines take for a question: a second of loud sound."""


class Luna:
    """The running appliance and what it publishes."""

    def __init__(self, app: App, server: Any) -> None:
        self.app = app
        self.server = server
        self.seen: list[Event] = []
        self._changed = asyncio.Event()
        app.bus.listen(self._take)

    def _take(self, event: Event) -> None:
        self.seen.append(event)
        self._changed.set()

    async def until(self, kind: type[Event], **fields: object) -> Any:
        """Return the first event of this kind with these fields, past or to come."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                for event in self.seen:
                    if isinstance(event, kind) and all(
                        getattr(event, name) == value for name, value in fields.items()
                    ):
                        return event
                self._changed.clear()
                await self._changed.wait()

    def states(self) -> list[str]:
        return [event.state for event in self.seen if isinstance(event, StateChanged)]

    async def turn(self, page: Browser) -> int:
        """Return the number of the turn that a press became."""
        return int((await page.until_message("turn"))["turn_id"])

    def kill(self, worker: str) -> None:
        os.kill(self.app.supervisor.health()[worker].pid, signal.SIGKILL)


@asynccontextmanager
async def luna(folder: Path, real: bool = False, **parts: object) -> AsyncIterator[Luna]:
    settings = Settings()
    settings = replace(
        settings,
        general=replace(settings.general, data_dir=str(folder), languages=("en",)),
        listen=replace(settings.listen, wake_words=()),
        audio=replace(settings.audio, zeros_after_s=0.0),
        cache=replace(settings.cache, enabled=False),
    )
    made = engines.real(settings) if real else engines.fake(settings)
    if not real:
        answers = partial(fakes.load_language_models, 0.02, ANSWER)
        made = replace(made, language_models=answers)
    made = replace(made, sound_card=partial(RoomCard, folder), **parts)
    async with App(settings, made, Plan()) as app, talk_server(app.page_sound.connect) as server:
        await app.ready()
        yield Luna(app, server)


async def test_a_question_and_its_answer(tmp_path: Path) -> None:
    async with luna(tmp_path) as box, browser(box.server) as page:
        await page.until_message("ready")
        await page.say(SPEECH)
        turn = await box.turn(page)
        ended = await box.until(TurnEnded, turn_id=turn)
        assert (ended.source, ended.outcome) == ("page", "answered")
        assert (ended.question, ended.answer) == (fakes.QUESTION, ANSWER)
        assert ended.timings["ring_overruns"] == 0
        assert box.states() == ["listening", "thinking", "speaking", "idle"]
        sound = page.samples(turn)
        assert page.played(turn) == len(sound)
        assert abs(len(sound) / RATE - 0.06 * len(ANSWER)) < 0.3
        # The box's own speaker had nothing to do.
        assert box.app.bus.snapshot.speaker == {}
        assert box.app.playback.depth == 0
        # What was heard is what is remembered; then the box listens to its own room again.
        [*_, last] = box.app.coordinator.history.messages("")
        assert last["content"] == ANSWER
        box.app.request(ButtonPressed())
        RoomCard.say(tmp_path, 0, SPEECH)
        again = await box.until(TurnEnded, source="button")
        assert (again.outcome, again.question) == ("answered", fakes.QUESTION)


async def test_a_page_that_reports_nothing_holds_up_nobody(tmp_path: Path) -> None:
    async with luna(tmp_path) as box, browser(box.server, reports=False) as page:
        await page.say(SPEECH)
        ended = await box.until(TurnEnded)
        assert (ended.outcome, ended.answer) == ("answered", ANSWER)
        assert "speaking" in box.states()


async def test_silence_is_no_question(tmp_path: Path) -> None:
    async with luna(tmp_path) as box, browser(box.server) as page:
        await page.say(np.zeros(8000, np.int16))
        ended = await box.until(TurnEnded)
        assert (ended.source, ended.outcome) == ("page", "nothing_heard")
        await page.send("press")
        await page.send("release")
        await box.until(TurnEnded, turn_id=2, outcome="nothing_heard")
        assert box.states()[-1] == "idle"


LONG = " ".join(f"This is sentence number {number} of a long answer." for number in range(1, 20))


async def interrupted(box: Luna, page: Browser, turn: int) -> TurnEnded:
    """Return the end of a turn that was cut off; only what was heard of it is remembered."""
    ended: TurnEnded = await box.until(TurnEnded, turn_id=turn)
    assert ended.outcome == "interrupted"
    heard = page.played(turn) / RATE
    assert LONG.startswith(ended.answer.rstrip(" .\u2026"))
    assert abs(len(ended.answer) * 0.06 - heard) < 1.5, (ended.answer, heard)
    assert page.flushed == [turn]
    return ended


async def speaking(box: Luna, page: Browser, seconds: float) -> int:
    """Ask, and wait until so much of the answer was played."""
    await page.say(SPEECH)
    turn = await box.turn(page)
    await page.until(lambda: page.played(turn) > seconds * RATE)
    assert len(page.samples(turn)) > page.played(turn)
    return turn


@pytest.fixture
def long_answer() -> dict[str, object]:
    return {"language_models": partial(fakes.load_language_models, 0.001, LONG)}


async def test_stop_in_the_middle(tmp_path: Path, long_answer: dict[str, object]) -> None:
    async with luna(tmp_path, **long_answer) as box, browser(box.server) as page:
        turn = await speaking(box, page, 2.0)
        came = len(page.samples(turn))
        await page.send("stop")
        ended = await interrupted(box, page, turn)
        assert ended.answer
        # Only what was on its way comes after it, and it is never far ahead of what is heard.
        assert came / RATE < 2.0 + 7.0
        await asyncio.sleep(0.5)
        assert (len(page.samples(turn)) - came) / RATE < 1.0
        await page.say(SPEECH)
        await page.until(lambda: page.played(turn + 1) > 0)


async def test_the_button_of_the_box_and_another_page_take_over(
    tmp_path: Path, long_answer: dict[str, object]
) -> None:
    async with (
        luna(tmp_path, **long_answer) as box,
        browser(box.server) as first,
        browser(box.server) as second,
    ):
        turn = await speaking(box, first, 1.0)
        await second.send("press")
        await interrupted(box, first, turn)
        # While the second holds it, the first can say what it wants.
        await first.speak(SPEECH, 0.9)
        await first.send("release")
        await second.speak(SPEECH)
        await second.send("release")
        turn = await box.turn(second)
        await second.until(lambda: second.played(turn) > RATE)
        assert first.samples(turn).size == 0
        box.app.request(ButtonPressed())
        await interrupted(box, second, turn)
        assert (await box.until(TurnStarted, source="button")).turn_id == turn + 1
        assert box.states()[-1] == "listening"


@pytest.mark.parametrize("when", ["listening", "speaking"])
async def test_the_browser_goes(tmp_path: Path, long_answer: dict[str, object], when: str) -> None:
    async with luna(tmp_path, **long_answer) as box:
        async with browser(box.server) as page:
            if when == "speaking":
                turn = await speaking(box, page, 1.0)
            else:
                await page.send("press")
                turn = await box.turn(page)
                await page.speak(SPEECH[:4000])
        ended = await box.until(TurnEnded, turn_id=turn)
        assert ended.outcome == "interrupted"
        assert box.states()[-1] == "idle"
        if when == "speaking":
            assert len(ended.answer) > 5
        async with browser(box.server) as page:
            await speaking(box, page, 0.5)


async def test_the_mute_button_is_about_the_box_alone(tmp_path: Path) -> None:
    async with luna(tmp_path) as box, browser(box.server) as page:
        box.app.request(MuteRequested(muted=True))
        await page.send("press")
        await page.speak(SPEECH)
        await page.send("release")
        ended = await box.until(TurnEnded)
        assert ended.answer == ANSWER
        box.app.request(MuteRequested(muted=False))
        box.app.request(MuteRequested(muted=True))
        turn = ["listening", "thinking", "speaking"]
        assert box.states() == ["muted", *turn, "muted", "idle", "muted"]
        await page.send("press")
        await page.speak(SPEECH[:8000])
        box.app.request(MuteRequested(muted=False))
        box.app.request(MuteRequested(muted=True))
        await page.speak(SPEECH[:8000])
        await page.send("release")
        assert (await box.until(TurnEnded, turn_id=2)).outcome == "answered"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Luna]:
    """One Luna for all her workers."""
    slow = partial(fakes.load_language_models, 0.2, ANSWER)
    async with luna(tmp_path_factory.mktemp("room"), language_models=slow) as box:
        yield box


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("worker", ["listen", "stt", "tts", "llm", "audio"])
@pytest.mark.parametrize("state", ["listening", "thinking", "speaking"])
async def test_a_worker_is_killed(shared: Luna, worker: str, state: str) -> None:
    box = shared
    box.seen.clear()
    async with browser(box.server) as page:
        await page.send("press")
        await page.speak(SPEECH[:8000])
        if state == "listening":
            box.kill(worker)
            await page.speak(SPEECH[:8000])
            await page.send("release")
        else:
            await page.send("release")
            await box.until(StateChanged, state=state)
            box.kill(worker)
        await box.until(WorkerChanged, worker=worker, status="failed")
        ended = await box.until(TurnEnded)
        assert (ended.outcome, ended.question) == ("answered", fakes.QUESTION)
        assert ended.answer == ANSWER
        assert box.states()[-1] in ("idle", "error")
    await box.until(WorkerChanged, worker=worker, status="ready")


# --- with real models ---------------------------------------------------------------------------


def heard_by(page: Browser, turn: int) -> str:
    """Return what the sound that came to the browser says."""
    sound = page.samples(turn).astype(np.float32)
    return understood(soxr.resample(sound, RATE, 16_000).astype(np.int16))


@pytest.mark.slow
@pytest.mark.models
async def test_a_spoken_question_is_answered_aloud(tmp_path: Path) -> None:
    question = say("What is the capital of France?")
    async with luna(tmp_path, real=True) as box, browser(box.server) as page:
        await page.say(question)
        turn = await box.turn(page)
        ended = await box.until(TurnEnded, turn_id=turn)
        assert ended.outcome == "answered"
        assert "capital of france" in ended.question.lower()
        assert "paris" in ended.answer.lower()
        assert page.played(turn) == len(page.samples(turn))
        assert "paris" in heard_by(page, turn)
        # The next: speech recognition is killed while the question is being spoken.
        await page.send("press")
        turn = await box.turn(page)
        half = len(question) // 2
        await page.speak(question[:half])
        box.kill("stt")
        await page.speak(question[half:])
        await page.send("release")
        await box.until(WorkerChanged, worker="stt", status="failed")
        ended = await box.until(TurnEnded, turn_id=turn)
        assert "capital of france" in ended.question.lower()
        assert "paris" in heard_by(page, turn)


STORY = (
    "The river is wide and slow in this valley.",
    "Two boats are coming down from the hills tonight.",
    "My grandmother always kept a yellow bird in the kitchen.",
    "We walked along the beach until the sun went down.",
    "The train to the city leaves at a quarter past nine.",
    "Nobody had seen such a large pumpkin before.",
    "Please put the letter on the table next to the window.",
    "In winter the mountains are covered with snow.",
    "The baker opens his shop very early in the morning.",
    "Children were playing football behind the old school.",
    "A doctor told him to drink more water every day.",
    "The library has more than two thousand books about history.",
    "She bought three apples and a bottle of milk.",
    "At the end of the street there is a small museum.",
)


@pytest.mark.slow
@pytest.mark.models
async def test_sound_files_beside_the_turns(tmp_path: Path) -> None:
    """Speech is made of a text, and text of that speech; a turn in between comes first."""
    async with luna(tmp_path, real=True) as box, browser(box.server) as page:
        jobs = box.app.sound_jobs
        sound = b"".join([pcm async for _, pcm in jobs.synthesise(" ".join(STORY), "en")])
        spoken = np.frombuffer(sound, np.int16).astype(np.float32)
        story = soxr.resample(spoken, RATE, 16_000).astype(np.int16)
        assert len(story) > 32 * 16_000
        question = say("What is the capital of France?")
        await page.send("press")
        await box.until(StateChanged, state="listening")
        job = asyncio.create_task(jobs.transcribe(story))
        await page.speak(question)
        await page.send("release")
        ended = await box.until(TurnEnded)
        assert "paris" in ended.answer.lower()
        assert not job.done()
        said, language = await asyncio.wait_for(job, LIMIT_S)
        assert language == "en"
        told = said.lower()
        words = ("river", "boats", "kitchen", "beach", "train", "snow", "football", "museum")
        assert sum(word in told for word in words) >= 7, said
        assert len(box.seen) == len([e for e in box.seen if getattr(e, "turn_id", 0) < 1 << 32])
        # A worker that dies ends the job that it had.
        job = asyncio.create_task(jobs.transcribe(story))
        await asyncio.sleep(0.3)
        box.kill("stt")
        with pytest.raises(ServiceError, match="stt was lost"):
            await job
        await box.app.ready()
        assert "river" in (await jobs.transcribe(story[: 8 * 16_000], "en"))[0].lower()
