"""Speech to text and text to speech for files: outside of turns, and never in their way.

The same workers do it, by rings of their own (the stream ``file``). A job is cut into pieces and
one piece at a time is given away, only while nobody talks to Luna: a turn that begins waits for
one piece at most. A job whose worker dies, or that does not get on, ends with an error.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE, CaptureRing, PlaybackRing
from appliance.commands import FILE, Cancel, Command, Speak, Transcribe
from appliance.errors import ServiceError, UsageError
from appliance.events import (
    ClauseSynthesised,
    Event,
    StateChanged,
    SynthesisFailed,
    Transcribed,
    WorkerChanged,
)

RATE = 24_000
"""Samples a second of what is synthesised."""
LONGEST_S = 30 * 60
PIECE_S = 28.0
"""What speech recognition hears at once, with room to spare."""
SHORTEST_PIECE_S = 18.0
"""Between this and :data:`PIECE_S` a piece ends, where it is quietest."""
RING_S = 30.0
MAX_TEXT = 10_000
"""Characters to be spoken at most: about ten minutes."""
MAX_WAITING = 4
"""Jobs of a kind that may wait for the one before them."""
STUCK_S = 60.0
_FIRST_ID = 1 << 32
"""Jobs are numbered from here on, far beyond any turn."""
_WRITTEN_AT_ONCE = 100
"""Blocks: half a millisecond."""
_QUIET_MS = 200
"""Over so long it is looked how loud it is: between words rather than within one."""

Samples = npt.NDArray[np.int16]


def cut(samples: Samples) -> list[Samples]:
    """Return *samples* (mono int16, 16 kHz) as pieces of :data:`PIECE_S` at most."""
    longest, shortest = int(PIECE_S * CAPTURE_RATE), int(SHORTEST_PIECE_S * CAPTURE_RATE)
    pieces: list[Samples] = []
    while len(samples) > longest:
        at = shortest + _quietest(samples[shortest:longest])
        pieces.append(samples[:at])
        samples = samples[at:]
    return [*pieces, samples] if len(samples) else pieces


def _quietest(samples: Samples) -> int:
    """Return the middle of the quietest stretch of :data:`_QUIET_MS`."""
    window, step = CAPTURE_RATE * _QUIET_MS // 1000, CAPTURE_BLOCK
    power = np.concatenate(([0.0], np.cumsum(samples.astype(np.float64) ** 2)))
    starts = np.arange(0, len(samples) - window, step)
    return int(starts[np.argmin(power[starts + window] - power[starts])]) + window // 2


@dataclass
class _Job:
    """A piece that a worker has been given."""

    worker: str
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Something has come of it."""
    answer: Transcribed | ClauseSynthesised | None = None
    error: str = ""


class SoundJobs:
    """Transcribes and synthesises.

    Args:
        capture, playback: the rings of the stream ``file``; nobody else uses them here.
        send: gives a command to a worker; returns whether it was ready.
        language: what to speak where none is asked for.
    """

    def __init__(
        self,
        capture: CaptureRing,
        playback: PlaybackRing,
        *,
        send: Callable[[str, Command], bool],
        language: str,
    ) -> None:
        self._capture = capture
        self._playback = playback
        self._playback.rate = RATE
        self._send = send
        self._language = language
        self._ids = itertools.count(_FIRST_ID)
        self._jobs: dict[int, _Job] = {}
        self._floor = asyncio.Event()
        self._floor.set()
        self._turns = {"stt": asyncio.Lock(), "tts": asyncio.Lock()}
        self._waiting = {"stt": 0, "tts": 0}

    def follow(self, event: Event) -> None:
        """Follow the event stream: whether somebody has the floor, whether workers live."""
        match event:
            case StateChanged(state="listening" | "thinking" | "speaking"):
                self._floor.clear()
            case StateChanged():
                self._floor.set()
            case WorkerChanged(worker=worker, status=status) if status != "ready":
                for job in self._jobs.values():
                    if job.worker == worker:
                        job.error = f"the worker {worker} was lost; try again in a moment"
                        job.changed.set()

    def take(self, event: Event) -> bool:
        """Take what a worker says; return whether it is about a job, and about no turn."""
        turn_id = getattr(event, "turn_id", 0)
        if turn_id < _FIRST_ID:
            return False
        job = self._jobs.get(turn_id)
        if job is None:
            return True
        match event:
            case Transcribed() | ClauseSynthesised():
                job.answer = event
            case SynthesisFailed():
                job.error = f"no voice could say it: {event.detail}"
        job.changed.set()
        return True

    async def transcribe(self, samples: Samples, language: str = "") -> tuple[str, str]:
        """Return what is said in *samples* (mono int16, 16 kHz), and in which language.

        *language* is one of those that are configured; empty: find out, by the first piece.

        Raises:
            UsageError: it is too long.
            ServiceError: there is no worker for it, it was lost, or too much waits already.
        """
        if len(samples) > LONGEST_S * CAPTURE_RATE:
            raise UsageError(f"the sound is too long; at most {LONGEST_S // 60} minutes can be")
        texts: list[str] = []
        async with self._turn("stt"):
            for piece in await asyncio.to_thread(cut, samples):
                heard = await self._transcribe(piece, language)
                if heard.text:
                    texts.append(heard.text.strip())
                    language = language or heard.language
        return " ".join(texts), language

    async def _transcribe(self, piece: Samples, language: str) -> Transcribed:
        await self._floor.wait()
        start = self._capture.position
        await self._write(piece)
        async with self._given("stt") as (turn_id, job):
            order = Transcribe(
                turn_id=turn_id,
                attempt=1,
                start=start,
                end=start + len(piece),
                language=language,
                stream=FILE,
            )
            self._give("stt", order)
            while not isinstance(job.answer, Transcribed):
                await self._progress(job)
            return job.answer

    async def _write(self, piece: Samples) -> None:
        """Copy a piece into the ring; everybody else gets on meanwhile."""
        padding = -len(piece) % CAPTURE_BLOCK
        pcm = piece.tobytes() + bytes(2 * padding)
        for number, at in enumerate(range(0, len(pcm), 2 * CAPTURE_BLOCK), 1):
            self._capture.write(pcm[at : at + 2 * CAPTURE_BLOCK])
            if number % _WRITTEN_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def synthesise(self, text: str, language: str = "") -> AsyncGenerator[tuple[int, bytes]]:
        """Yield *text* spoken, as it is ready: samples a second, and mono int16 PCM.

        Whoever may stop before its end closes the generator (``contextlib.aclosing``).

        Raises:
            UsageError: the text is too long.
            ServiceError: there is no worker for it, it was lost, or too much waits already.
        """
        from appliance.assistant.sentences import ClauseSplitter, for_speech
        from appliance.assistant.spoken_text import for_the_ear

        if len(text) > MAX_TEXT:
            raise UsageError(f"the text is too long; at most {MAX_TEXT} characters can be spoken")
        language = language or self._language
        splitter = ClauseSplitter()
        clauses = filter(None, map(for_speech, [*splitter.feed(text), *splitter.flush()]))
        async with self._turn("tts"):
            for clause in clauses:
                said = for_the_ear(clause, language)
                async with aclosing(self._synthesise(said, language)) as sound:
                    async for pcm in sound:
                        yield RATE, pcm

    async def _synthesise(self, text: str, language: str) -> AsyncGenerator[bytes]:
        """Have one clause spoken; it is whole when as many samples came as the worker says."""
        await self._floor.wait()
        loop = asyncio.get_running_loop()
        async with self._given("tts") as (turn_id, job):

            def sound_came() -> None:
                self._playback.clear_wakeup()
                job.changed.set()

            loop.add_reader(self._playback.wakeup_fd, sound_came)
            try:
                order = Speak(turn_id=turn_id, clause=1, text=text, language=language, stream=FILE)
                self._give("tts", order)
                samples = 0
                while not (
                    isinstance(job.answer, ClauseSynthesised) and samples >= job.answer.samples
                ):
                    blocks = (b for b in self._playback.drain() if b.turn_id == turn_id)
                    if pcm := b"".join(block.payload for block in blocks):
                        samples += len(pcm) // 2
                        yield pcm
                    else:
                        await self._progress(job)
            finally:
                loop.remove_reader(self._playback.wakeup_fd)

    # --- the order of jobs ---

    @asynccontextmanager
    async def _turn(self, worker: str) -> AsyncIterator[None]:
        """Wait for those that came before."""
        if self._waiting[worker] > MAX_WAITING:
            raise ServiceError("Luna is busy: too many sound files are waiting; try again later")
        self._waiting[worker] += 1
        try:
            async with self._turns[worker]:
                yield
        finally:
            self._waiting[worker] -= 1

    @asynccontextmanager
    async def _given(self, worker: str) -> AsyncIterator[tuple[int, _Job]]:
        """Keep the account of a piece; whoever gives it up takes the work back."""
        turn_id = next(self._ids)
        job = self._jobs[turn_id] = _Job(worker)
        try:
            yield turn_id, job
        finally:
            del self._jobs[turn_id]
            if job.answer is None:
                self._send(worker, Cancel(turn_id=turn_id))

    def _give(self, worker: str, command: Command) -> None:
        if not self._send(worker, command):
            raise ServiceError(f"the worker {worker} is not ready; try again in a moment")

    async def _progress(self, job: _Job) -> None:
        """Wait until something has come of a piece.

        Raises:
            ServiceError: nothing did, or its worker was lost.
        """
        try:
            async with asyncio.timeout(STUCK_S):
                await job.changed.wait()
        except TimeoutError as error:
            raise ServiceError(
                f"the worker {job.worker} made no progress for {STUCK_S:.0f} s; try again later"
            ) from error
        job.changed.clear()
        if job.error:
            raise ServiceError(job.error)
