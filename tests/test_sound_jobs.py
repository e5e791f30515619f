"""Jobs with sound files: cut into pieces, one at a time, never in the way of a turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from appliance import sound_jobs
from appliance.audio.ring_buffer import BLOCK_MS, CaptureRing, PlaybackRing
from appliance.commands import FILE, Cancel, Command, Speak, Transcribe
from appliance.errors import LunaError, ServiceError, UsageError
from appliance.events import (
    ClauseSynthesised,
    StateChanged,
    SynthesisFailed,
    Transcribed,
    WorkerChanged,
)
from appliance.sound_jobs import MAX_TEXT, MAX_WAITING, PIECE_S, RATE, SHORTEST_PIECE_S, SoundJobs

SECOND = 16_000
BLOCK = RATE * BLOCK_MS // 1000


class Workers:
    """Both workers; what they are told stays until they are let answer."""

    def __init__(self) -> None:
        self.capture, self.playback = CaptureRing(30.0, readers=()), PlaybackRing(8.0)
        self.jobs = SoundJobs(self.capture, self.playback, send=self._send, language="en")
        self.orders: list[Command] = []
        self.cancelled: list[int] = []
        self.ready = True
        self.prompt = True
        """They answer at once."""

    def _send(self, worker: str, command: Command) -> bool:
        if isinstance(command, Cancel):
            self.cancelled.append(command.turn_id)
        elif self.ready:
            self.orders.append(command)
            if self.prompt:
                self.answer()
        return self.ready

    def answer(self) -> None:
        """Do what was asked last: say how long it was, or one block a word."""
        match self.orders[-1]:
            case Transcribe(stream=stream) as order:
                assert stream == FILE
                sound = self.capture.read_range(order.start, order.end)
                text = f" {len(sound) / SECOND:g}" if sound.any() else ""
                self.jobs.take(
                    Transcribed(
                        turn_id=order.turn_id,
                        attempt=order.attempt,
                        start=order.start,
                        end=order.end,
                        text=text,
                        language=order.language or "pt",
                    )
                )
            case Speak(stream=stream) as order:
                assert stream == FILE
                words = len(order.text.split())
                for _ in range(words):
                    self.playback.write(bytes(2 * BLOCK), turn_id=order.turn_id, clause=1)
                self.jobs.take(
                    ClauseSynthesised(
                        turn_id=order.turn_id,
                        clause=1,
                        samples=words * BLOCK,
                        rate=RATE,
                        duration_ms=1.0,
                        first_audio_at=1.0,
                    )
                )

    async def asked(self, count: int = 1) -> None:
        """Wait until so many orders were given."""
        async with asyncio.timeout(10):
            while len(self.orders) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers()
    yield made
    made.capture.close()
    made.playback.close()


def test_sound_is_cut_where_it_is_quiet() -> None:
    sound = np.random.default_rng(0).integers(-9000, 9000, 70 * SECOND).astype(np.int16)
    for second in (5, 21, 44):
        sound[second * SECOND : second * SECOND + SECOND // 2] //= 100
    pieces = sound_jobs.cut(sound)
    assert np.array_equal(np.concatenate(pieces), sound)
    lengths = [len(piece) / SECOND for piece in pieces]
    assert all(SHORTEST_PIECE_S <= length <= PIECE_S for length in lengths[:-1])
    assert 21.0 <= lengths[0] <= 21.5
    assert 44.0 <= lengths[0] + lengths[1] <= 44.5
    assert sound_jobs.cut(sound[:0]) == []
    assert [len(piece) for piece in sound_jobs.cut(sound[:300])] == [300]


async def test_a_long_sound_is_transcribed_piece_by_piece(workers: Workers) -> None:
    sound = np.ones(int(61.3 * SECOND), np.int16)
    text, language = await workers.jobs.transcribe(sound)
    assert sum(map(float, text.split())) == pytest.approx(61.3)
    assert len(text.split()) >= 3
    assert language == "pt"
    languages = [order.language for order in workers.orders if isinstance(order, Transcribe)]
    assert languages == ["", *["pt"] * (len(languages) - 1)]
    assert await workers.jobs.transcribe(np.zeros(SECOND, np.int16), "en") == ("", "en")
    assert await workers.jobs.transcribe(np.zeros(0, np.int16)) == ("", "")
    assert workers.cancelled == []


async def test_text_is_spoken_clause_by_clause(workers: Workers) -> None:
    text = "One two three four. Five six seven eight nine ten. And this is the end of it."
    pieces = [piece async for piece in workers.jobs.synthesise(text)]
    assert {rate for rate, _ in pieces} == {RATE}
    assert sum(len(pcm) for _, pcm in pieces) == 2 * BLOCK * len(text.split())
    assert len(workers.orders) >= 2
    assert [piece async for piece in workers.jobs.synthesise(" ... ")] == []


async def test_a_turn_goes_first(workers: Workers) -> None:
    for state in ("listening", "thinking", "speaking"):
        workers.jobs.follow(StateChanged(state=state))
    job = asyncio.create_task(workers.jobs.transcribe(np.ones(SECOND, np.int16)))
    await asyncio.sleep(0.05)
    assert workers.orders == []
    workers.jobs.follow(StateChanged(state="idle"))
    assert (await job)[0] == "1"


async def test_jobs_of_a_kind_wait_for_each_other(workers: Workers) -> None:
    workers.prompt = False
    sound = np.ones(SECOND, np.int16)
    tasks = [asyncio.create_task(workers.jobs.transcribe(sound)) for _ in range(MAX_WAITING + 1)]
    await workers.asked()
    await asyncio.sleep(0.05)
    assert len(workers.orders) == 1
    with pytest.raises(ServiceError, match="busy"):
        await workers.jobs.transcribe(sound)
    workers.prompt = True
    assert [piece async for piece in workers.jobs.synthesise("Others need not wait.")]
    workers.orders.pop()
    workers.answer()
    assert [text for text, _ in await asyncio.gather(*tasks)] == ["1"] * len(tasks)


@pytest.mark.parametrize("worker", ["stt", "tts"])
async def test_a_worker_that_dies_or_is_not_there(workers: Workers, worker: str) -> None:
    async def work() -> None:
        if worker == "stt":
            await workers.jobs.transcribe(np.ones(SECOND, np.int16))
        else:
            async for _ in workers.jobs.synthesise("Say it now."):
                pass

    workers.prompt = False
    task = asyncio.create_task(work())
    await workers.asked()
    workers.jobs.follow(WorkerChanged(worker="llm", status="failed"))
    workers.jobs.follow(WorkerChanged(worker=worker, status="failed"))
    with pytest.raises(LunaError, match=f"{worker} was lost"):
        await task
    workers.ready = False
    with pytest.raises(LunaError, match=f"{worker} is not ready"):
        await work()
    workers.ready = workers.prompt = True
    await work()


async def test_no_progress(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_jobs, "STUCK_S", 0.02)
    workers.prompt = False
    with pytest.raises(ServiceError, match="no progress"):
        await workers.jobs.transcribe(np.ones(SECOND, np.int16))
    assert len(workers.cancelled) == 1
    # What comes too late is about no job and no turn.
    assert workers.jobs.take(SynthesisFailed(turn_id=workers.cancelled[0], clause=1, detail="?"))
    assert not workers.jobs.take(SynthesisFailed(turn_id=7, clause=1, detail="?"))


async def test_no_voice_can_say_it(workers: Workers) -> None:
    workers.prompt = False

    async def work() -> list[bytes]:
        return [pcm async for _, pcm in workers.jobs.synthesise("Say it now.")]

    task = asyncio.create_task(work())
    await workers.asked()
    turn_id = getattr(workers.orders[0], "turn_id", 0)
    workers.jobs.take(SynthesisFailed(turn_id=turn_id, clause=1, detail="no voice"))
    with pytest.raises(ServiceError, match="no voice"):
        await task


async def test_who_gives_up_leaves_nothing_behind(workers: Workers) -> None:
    workers.prompt = False
    task = asyncio.create_task(workers.jobs.transcribe(np.ones(SECOND, np.int16)))
    await workers.asked()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(workers.cancelled) == 1
    workers.prompt = True
    async with aclosing(workers.jobs.synthesise("One two three, four five six seven.")) as sound:
        async for _ in sound:
            break
    # Blocks that nobody took are no part of the next one's sound.
    workers.playback.write(bytes(2 * BLOCK), turn_id=1 << 33, clause=1)
    pieces = [pcm async for _, pcm in workers.jobs.synthesise("Just two.")]
    assert len(b"".join(pieces)) == 2 * 2 * BLOCK


async def test_limits(workers: Workers) -> None:
    with pytest.raises(UsageError, match="30 minutes"):
        await workers.jobs.transcribe(np.zeros(30 * 60 * SECOND + 1, np.int16))
    with pytest.raises(UsageError, match="too long"):
        await anext(workers.jobs.synthesise("a" * (MAX_TEXT + 1)))
