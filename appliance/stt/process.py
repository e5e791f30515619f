"""The speech-to-text worker: transcribes ranges of the capture rings, one at a time.

The message loop only files jobs; a thread of its own works on them. A turn has at most one
job waiting, its newest: an older attempt was made for a pause that was none. Sound from files
waits until no turn does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from appliance.audio.ring_buffer import CAPTURE_RATE, CaptureRing, RingError
from appliance.clock import milliseconds_since, monotonic
from appliance.commands import FILE, Cancel, Command, Transcribe
from appliance.errors import LunaError, ProviderError
from appliance.events import Logged, Ready, Transcribed, TranscriptionFailed
from appliance.ipc import WorkerChannel
from appliance.stt.remote import WithProviders
from appliance.stt.whisper import FULL_WINDOW_S, Samples, Transcriber, Transcript
from appliance.worker import WorkerContext, serve

_JOIN_S = 0.5
"""How long the end waits for the running job; after that the process takes it along."""


def main(
    context: WorkerContext, rings: Mapping[str, CaptureRing], build: Callable[[], Transcriber]
) -> None:
    """Run the worker; *build* loads the model (see :func:`appliance.stt.whisper.load`).

    *rings* are the capture rings by stream.
    """

    def start(channel: WorkerChannel) -> SttWorker:
        began = monotonic()
        transcriber = build()
        worker = SttWorker(channel, rings, transcriber, context.name)
        channel.send(
            Ready(worker=context.name, detail=transcriber.name, load_ms=milliseconds_since(began))
        )
        return worker

    try:
        serve(context, start)
    finally:
        for ring in rings.values():
            ring.close()


@dataclass
class _Counters:
    """For ``/health``."""

    jobs: int = 0
    retries: int = 0
    dropped: int = 0
    failed: int = 0
    cancelled: int = 0
    work_ms: float = 0.0


class SttWorker:
    """Files jobs (message loop) and does them (own thread)."""

    def __init__(
        self,
        channel: WorkerChannel,
        rings: Mapping[str, CaptureRing],
        transcriber: Transcriber,
        name: str,
    ) -> None:
        self._channel = channel
        self._rings = rings
        self._transcriber = transcriber
        self._name = name
        self._changed = threading.Condition()
        self._waiting: dict[int, Transcribe] = {}
        self._running: Transcribe | None = None
        self._running_since = 0.0
        self._void = False
        self._closing = False
        self._counters = _Counters()
        self._thread = threading.Thread(target=self._work, name="transcribe", daemon=True)
        self._thread.start()

    # --- the message loop's side ---------------------------------------------------------

    def handle(self, command: Command) -> None:
        if isinstance(command, Transcribe):
            self._add(command)
        elif isinstance(command, Cancel):
            self._cancel(command)

    def _add(self, job: Transcribe) -> None:
        with self._changed:
            waiting = self._waiting.get(job.turn_id)
            if waiting is None or waiting.attempt <= job.attempt:
                self._waiting[job.turn_id] = job
                self._changed.notify()

    def _cancel(self, cancel: Cancel) -> None:
        with self._changed:
            waiting = self._waiting.get(cancel.turn_id)
            if waiting is not None and _concerns(cancel, waiting):
                del self._waiting[cancel.turn_id]
                self._counters.cancelled += 1
            if self._running is not None and _concerns(cancel, self._running):
                self._void = True

    def busy_s(self) -> float:
        with self._changed:
            return monotonic() - self._running_since if self._running is not None else 0.0

    def stats(self) -> dict[str, float]:
        with self._changed:
            return {"waiting": float(len(self._waiting)), **vars(self._counters)}

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._void = True
            self._changed.notify()
        self._thread.join(_JOIN_S)

    # --- the thread's side ---------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._next()) is not None:
            began = monotonic()
            try:
                transcript = self._transcribe(job)
                self._finish(job, transcript, milliseconds_since(began))
            except EOFError:
                return  # the main process is gone; the message loop ends the worker

    def _next(self) -> Transcribe | None:
        """Wait for a job and mark it as running; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            # min() takes the first of equals: jobs of turns in the order in which they came.
            job = self._waiting.pop(min(self._waiting, key=self._is_for_a_file))
            self._running = job
            self._running_since = monotonic()
            self._void = False
            return job

    def _is_for_a_file(self, turn_id: int) -> bool:
        return self._waiting[turn_id].stream == FILE

    def _transcribe(self, job: Transcribe) -> Transcript | None:
        """Return what was said; whatever goes wrong, the turn gets an answer.

        None: the provider that was to do it failed, and the main process knows.
        """
        try:
            if job.end - job.start > FULL_WINDOW_S * CAPTURE_RATE:
                self._log("warning", f"turn {job.turn_id}: only {FULL_WINDOW_S} s are transcribed")
            samples = self._rings[job.stream].read_range(job.start, job.end)
            if job.provider:
                return self._ask(job, samples)
            return self._transcriber.transcribe(samples, job.language)
        except RingError as error:
            self._log("warning", f"turn {job.turn_id}: the sound cannot be read: {error}")
        except (LunaError, RuntimeError, ValueError, MemoryError) as error:
            # CTranslate2 reports everything as RuntimeError or ValueError.
            self._log("error", f"turn {job.turn_id}: speech recognition failed: {error}")
        self._counters.failed += 1
        return Transcript("")

    def _ask(self, job: Transcribe, samples: Samples) -> Transcript | None:
        try:
            if not isinstance(self._transcriber, WithProviders):
                raise ProviderError(f"{job.provider} is not set up", kind="misconfigured")
            return self._transcriber.ask(job.provider, samples, job.language, job.turn_id)
        except ProviderError as error:
            self._channel.send(
                TranscriptionFailed(
                    turn_id=job.turn_id,
                    attempt=job.attempt,
                    provider=job.provider,
                    kind=error.kind,
                    detail=str(error),
                    retry_after_s=error.retry_after_s,
                )
            )
            return None

    def _finish(self, job: Transcribe, transcript: Transcript | None, duration_ms: float) -> None:
        counters = self._counters
        with self._changed:
            self._running = None
            counters.jobs += 1
            counters.work_ms += duration_ms
            if transcript is None:
                counters.failed += 1
                return
            counters.retries += transcript.retried
            counters.dropped += bool(transcript.dropped)
            if self._void:
                counters.cancelled += 1
                return
        self._channel.send(
            Transcribed(
                turn_id=job.turn_id,
                attempt=job.attempt,
                start=job.start,
                end=job.end,
                text=transcript.text,
                language=transcript.language,
                language_probability=transcript.language_probability,
                confidence=transcript.confidence,
                dropped=transcript.dropped,
                duration_ms=duration_ms,
                retried=transcript.retried,
                provider=job.provider,
            )
        )

    def _log(self, level: str, text: str) -> None:
        self._channel.send(Logged(level=level, text=text, worker=self._name))


def _concerns(cancel: Cancel, job: Transcribe) -> bool:
    return cancel.turn_id == job.turn_id and cancel.attempt in (0, job.attempt)
