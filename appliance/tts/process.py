"""The text-to-speech worker: clauses in, blocks of the playback rings out, in order.

One thread synthesises ahead; one for each ring writes to it and waits while it is full. The
message loop does neither, so pings and ``Cancel`` are served while a ring's reader is slow or
dead. What is for files waits until no turn has anything to say.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from appliance.audio.ring_buffer import PlaybackRing
from appliance.clock import milliseconds_since, monotonic
from appliance.commands import BOX, FILE, Cancel, Command, EndSpeech, Speak
from appliance.errors import LunaError, ProviderError
from appliance.events import ClauseSynthesised, Logged, Ready, SynthesisFailed, VoiceFailed
from appliance.ipc import WorkerChannel
from appliance.settings import TtsSettings
from appliance.tts.piper import Voice
from appliance.tts.remote import WithProviders
from appliance.tts.voices import Voices
from appliance.tts.writer import RingWriter, blocks
from appliance.worker import WorkerContext, serve

_RATE_WAIT_S = 2.0
"""How long a first clause waits for the speaker to be opened and its rate to be known."""
_RATE_CHECK_S = 0.01
_NO_TURN = 0
_CANCELLED_KEPT = 64
_JOIN_S = 0.5

Report = Callable[[str], None]


def main(
    context: WorkerContext,
    rings: Mapping[str, PlaybackRing],
    settings: TtsSettings,
    build: Callable[[TtsSettings, Report], Voices],
) -> None:
    """Run the worker; *build* loads the voices (see :func:`appliance.tts.voices.load`).

    Its second argument takes a warning for the owner, one sentence. *rings* are the playback
    rings by stream.
    """

    def start(channel: WorkerChannel) -> TtsWorker:
        began = monotonic()

        def warn(text: str) -> None:
            channel.send(Logged(level="warning", text=text, worker=context.name))

        voices = build(settings, warn)
        worker = TtsWorker(channel, rings, voices)
        channel.send(
            Ready(worker=context.name, detail=voices.detail, load_ms=milliseconds_since(began))
        )
        return worker

    try:
        serve(context, start)
    finally:
        for ring in rings.values():
            ring.close()


class TtsWorker:
    """Files clauses (message loop), synthesises them (own thread), writes them (others)."""

    def __init__(
        self, channel: WorkerChannel, rings: Mapping[str, PlaybackRing], voices: Voices
    ) -> None:
        self._channel = channel
        self._rings = rings
        self._voices = voices
        self._changed = threading.Condition()
        self._jobs: deque[Speak | EndSpeech] = deque()
        self._cancelled: deque[int] = deque(maxlen=_CANCELLED_KEPT)
        self._progress_at = 0.0
        """When the running job last got further; 0 when none runs or the ring is full."""
        self._closing = False
        self._last_clause = 0
        self._rate_missing = False
        """A speaker was waited for in vain: until there is one, nothing waits again."""
        self._clauses = 0
        self._failed = 0
        self._work_ms = 0.0
        self._writers = {stream: RingWriter(ring) for stream, ring in rings.items()}
        self._thread = threading.Thread(target=self._work, name="synthesise", daemon=True)
        self._thread.start()

    # --- the message loop's side ---------------------------------------------------------

    def handle(self, command: Command) -> None:
        if isinstance(command, Speak | EndSpeech):
            with self._changed:
                if command.turn_id not in self._cancelled:
                    self._jobs.append(command)
                    self._changed.notify_all()
        elif isinstance(command, Cancel) and command.attempt == 0:
            # A single attempt is cancelled only while nothing of it has been spoken.
            self._cancel(command.turn_id)

    def _cancel(self, turn_id: int) -> None:
        with self._changed:
            self._cancelled.append(turn_id)
            kept = [job for job in self._jobs if job.turn_id != turn_id]
            self._jobs.clear()
            self._jobs.extend(kept)
            self._changed.notify_all()
        for writer in self._writers.values():
            writer.cancel(turn_id)

    def busy_s(self) -> float:
        since = self._progress_at
        return monotonic() - since if since else 0.0

    def stats(self) -> dict[str, float]:
        return {
            "waiting": float(len(self._jobs)),
            "clauses": float(self._clauses),
            "failed": float(self._failed),
            "work_ms": self._work_ms,
            "unwritten_blocks": float(sum(writer.depth for writer in self._writers.values())),
            "ring_depth": float(self._rings[BOX].depth),
        }

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for writer in self._writers.values():
            writer.close()
        self._thread.join(_JOIN_S)

    # --- the synthesis thread's side -----------------------------------------------------

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                if isinstance(job, EndSpeech):
                    self._put(job, self._last_clause, end=True)
                else:
                    self._speak(job)
            except EOFError:
                return  # the main process is gone; the message loop ends the worker
            self._progress_at = 0.0

    def _next(self) -> Speak | EndSpeech | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing)
            if self._closing:
                return None
            self._progress_at = monotonic()
            # min() takes the first of equals: what is for a turn, in order, then the rest.
            job = min(self._jobs, key=lambda job: job.stream == FILE)
            self._jobs.remove(job)
            return job

    def _speak(self, job: Speak) -> None:
        """Say one clause with the best voice that can.

        A voice that fails in the middle is followed by the next from the clause's beginning:
        better some words twice than never.
        """
        self._last_clause = job.clause
        reason = "no voice is installed"
        for voice in self._candidates(job):
            try:
                self._say(job, voice)
                return
            except ProviderError as error:
                self._report(job, error)
            except LunaError as error:
                reason = str(error)
        self._failed += 1
        self._channel.send(SynthesisFailed(turn_id=job.turn_id, clause=job.clause, detail=reason))

    def _candidates(self, job: Speak) -> Iterator[Voice]:
        if job.provider and isinstance(self._voices, WithProviders):
            voice = self._voices.of(job.provider, job.language)
            if voice is not None:
                yield voice
        yield from self._voices.candidates(job.language)

    def _report(self, job: Speak, error: ProviderError) -> None:
        self._channel.send(
            VoiceFailed(
                turn_id=job.turn_id,
                clause=job.clause,
                provider=job.provider,
                kind=error.kind,
                detail=str(error),
            )
        )

    def _say(self, job: Speak, voice: Voice) -> None:
        rate = self._ring_rate(job) or voice.rate
        sound = blocks(voice.synthesise(job.text), voice.rate, rate)
        size, work_ms = 0, 0.0
        while True:
            began = monotonic()
            payload = next(sound, None)
            work_ms += milliseconds_since(began)
            if payload is None:
                break
            size += len(payload)
            if not self._put(job, job.clause, payload, rate):
                return  # cancelled
        self._clauses += 1
        self._work_ms += work_ms

        def written(first_audio_at: float) -> None:
            self._channel.send(
                ClauseSynthesised(
                    turn_id=job.turn_id,
                    clause=job.clause,
                    samples=size // 2,
                    rate=rate,
                    duration_ms=work_ms,
                    first_audio_at=first_audio_at,
                    voice=voice.name,
                )
            )

        with self._changed:
            if not self._void(job.turn_id):
                self._writers[job.stream].finish(job.turn_id, job.clause, written)

    def _ring_rate(self, job: Speak) -> int:
        """Return the rate at which the ring is to be filled; 0 when no speaker says one.

        Until a speaker was opened its rate is not known, and sound in the ring is what opens
        it: an empty block of no turn rings the bell.
        """
        ring = self._rings[job.stream]
        if not ring.rate and not self._rate_missing:
            self._put(replace(job, turn_id=_NO_TURN), 0)
            until = monotonic() + _RATE_WAIT_S
            with self._changed:
                while not ring.rate and monotonic() < until:
                    if self._void(job.turn_id):
                        break
                    self._progress_at = monotonic()
                    self._changed.wait(_RATE_CHECK_S)
                else:
                    self._rate_missing = not ring.rate
        return ring.rate

    def _put(
        self,
        job: Speak | EndSpeech,
        clause: int,
        payload: bytes = b"",
        rate: int = 0,
        *,
        end: bool = False,
    ) -> bool:
        """Hand a block to the writer; return False when the turn was cancelled."""
        writer = self._writers[job.stream]
        self._progress_at = 0.0  # to wait for the ring is not to hang
        writer.wait_room()
        self._progress_at = monotonic()
        with self._changed:  # so that a cancel comes before or after, never in between
            if self._void(job.turn_id):
                return False
            writer.put(job.turn_id, clause, payload, rate, end=end)
            return True

    def _void(self, turn_id: int) -> bool:
        """Return whether nothing of a turn is wanted any more. The lock is held."""
        return self._closing or turn_id in self._cancelled
