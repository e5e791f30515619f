from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from appliance.audio.ring_buffer import CAPTURE_BLOCK, CaptureRing
from appliance.commands import BOX, FILE, PAGE, Cancel, Transcribe
from appliance.errors import ModelError, ProviderError
from appliance.events import Logged, Message, Transcribed, TranscriptionFailed
from appliance.ipc import WorkerChannel, channel_pair
from appliance.stt.process import SttWorker
from appliance.stt.remote import WithProviders
from appliance.stt.whisper import Transcript
from tests.tts.harness import until


class Echo:
    """Says how many samples it got; waits for a permit before each answer."""

    name = "echo"

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.permits = threading.Semaphore(1000)
        self.error: Exception | None = None

    def transcribe(self, samples: npt.NDArray[np.int16], language: str = "") -> Transcript:
        self.started.release()
        self.permits.acquire()
        if self.error is not None:
            raise self.error
        return Transcript(f"{len(samples)} samples", language or "en", 1.0, -0.1)

    def hold(self) -> None:
        """Let nothing through from now on."""
        while self.permits.acquire(blocking=False):
            pass


class Bench:
    def __init__(self) -> None:
        self.rings = {stream: CaptureRing(1.0) for stream in (BOX, PAGE, FILE)}
        for number, ring in enumerate(self.rings.values(), 1):
            for _ in range(10 * number):
                ring.write(bytes(2 * CAPTURE_BLOCK))
        self.ring = self.rings[BOX]
        ours, theirs = channel_pair()
        self.main = WorkerChannel(ours)
        self._worker_end = WorkerChannel(theirs)
        self.echo = Echo()
        self.worker = SttWorker(self._worker_end, self.rings, self.echo, "stt")

    def ask(self, turn_id: int, attempt: int, start: int = 0, end: int = 1000) -> None:
        self.worker.handle(Transcribe(turn_id=turn_id, attempt=attempt, start=start, end=end))

    def next(self, timeout: float = 10.0) -> Message:
        message = self.main.receive(timeout)
        assert message is not None, "no event came"
        return message

    def nothing_more(self) -> bool:
        return self.main.receive(0.2) is None

    def close(self) -> None:
        self.echo.permits.release(1000)
        self.worker.close()
        self.main.close()
        self._worker_end.close()
        for ring in self.rings.values():
            ring.close()


@contextmanager
def bench() -> Iterator[Bench]:
    made = Bench()
    try:
        yield made
    finally:
        made.close()


def test_a_range_of_the_ring_is_transcribed() -> None:
    with bench() as b:
        b.worker.handle(Transcribe(turn_id=1, attempt=2, start=100, end=900, language="pt"))
        event = b.next()
    assert isinstance(event, Transcribed)
    assert (event.turn_id, event.attempt, event.start, event.end) == (1, 2, 100, 900)
    assert (event.text, event.language) == ("800 samples", "pt")
    assert event.duration_ms > 0


def test_an_empty_range_is_answered() -> None:
    with bench() as b:
        b.ask(1, 1, 500, 500)
        assert b.next().text == "0 samples"


def test_the_newest_attempt_replaces_one_that_waits() -> None:
    with bench() as b:
        b.echo.hold()
        b.ask(1, 1)
        assert b.echo.started.acquire(timeout=5)
        for attempt in (2, 3, 4):
            b.ask(1, attempt, 0, attempt * 100)
        b.ask(1, 2)  # out of order
        assert b.worker.stats()["waiting"] == 1
        b.echo.permits.release(10)
        assert [b.next().attempt, b.next().attempt] == [1, 4]
        assert b.nothing_more()


def test_cancel_drops_what_waits_and_what_runs() -> None:
    with bench() as b:
        b.echo.hold()
        b.ask(1, 1)
        assert b.echo.started.acquire(timeout=5)
        b.ask(1, 2)
        b.ask(2, 1)
        b.worker.handle(Cancel(turn_id=1))
        b.echo.permits.release(10)
        assert b.next().turn_id == 2
        assert b.nothing_more()
        assert b.worker.stats()["cancelled"] == 2


def test_cancel_of_one_attempt_spares_the_other() -> None:
    with bench() as b:
        b.echo.hold()
        b.ask(1, 1)
        assert b.echo.started.acquire(timeout=5)
        b.ask(1, 2)
        b.worker.handle(Cancel(turn_id=1, attempt=1))
        b.echo.permits.release(10)
        assert b.next().attempt == 2
        assert b.nothing_more()


def test_sound_that_is_gone_or_not_there_yet_gives_an_empty_text_and_a_warning() -> None:
    with bench() as b:
        b.ask(1, 1, 0, 9_999)
        warning, event = b.next(), b.next()
    assert isinstance(warning, Logged)
    assert warning.level == "warning"
    assert "not captured yet" in warning.text
    assert isinstance(event, Transcribed)
    assert event.text == ""


def test_a_failing_model_does_not_kill_the_worker() -> None:
    with bench() as b:
        b.echo.error = RuntimeError("out of memory")
        b.ask(1, 1)
        error, event = b.next(), b.next()
        assert isinstance(error, Logged)
        assert "out of memory" in error.text
        assert event.text == ""
        b.echo.error = ModelError("broken")
        b.ask(2, 1)
        assert (b.next().level, b.next().text) == ("error", "")
        b.echo.error = None
        b.ask(3, 1)
        assert b.next().text == "1000 samples"
        assert b.worker.stats()["failed"] == 2


def test_a_long_job_is_visible_as_busy() -> None:
    with bench() as b:
        assert b.worker.busy_s() == 0.0
        b.echo.hold()
        b.ask(1, 1)
        assert until(lambda: b.worker.busy_s() > 0.05)
        b.echo.permits.release()
        b.next()
        assert b.worker.busy_s() == 0.0


def test_it_closes_in_the_middle_of_a_job() -> None:
    with bench() as b:
        b.echo.hold()
        b.ask(1, 1)
        assert b.echo.started.acquire(timeout=5)
        b.worker.close()
        b.echo.permits.release(10)
        assert b.nothing_more()


class Far:
    """A provider that hears Spanish, or fails."""

    def __init__(self, error: ProviderError | None = None) -> None:
        self.error = error

    def transcribe(self, pcm: bytes, language: str, turn_id: int) -> tuple[str, str]:
        if self.error is not None:
            raise self.error
        return f"{len(pcm)} bytes of turn {turn_id}", "es"


def test_a_provider_that_the_command_names() -> None:
    broken = ProviderError("far is tired", kind="rate_limited", retry_after_s=3.0)
    with bench() as b:
        b.worker._transcriber = WithProviders(b.echo, {"far": Far(), "tired": Far(broken)}, ("en",))
        job = Transcribe(turn_id=1, attempt=2, start=100, end=900)
        b.worker.handle(replace(job, provider="far"))
        event = b.next()
        assert isinstance(event, Transcribed)
        assert (event.text, event.provider) == ("1600 bytes of turn 1", "far")
        assert event.language == "", "nobody here speaks it"
        b.worker.handle(replace(job, provider="tired"))
        b.worker.handle(replace(job, turn_id=2, provider="unknown"))
        b.worker.handle(replace(job, turn_id=3))
        first, second, third = b.next(), b.next(), b.next()
        assert isinstance(first, TranscriptionFailed)
        assert (first.provider, first.kind, first.retry_after_s) == ("tired", "rate_limited", 3.0)
        assert isinstance(second, TranscriptionFailed)
        assert second.kind == "misconfigured"
        assert isinstance(third, Transcribed)
        assert (third.text, third.provider) == ("800 samples", "")
        assert b.worker.stats()["failed"] == 2


def test_each_stream_has_its_ring_and_files_come_last() -> None:
    with bench() as b:
        b.echo.hold()
        b.ask(1, 1)
        assert b.echo.started.acquire(timeout=5)
        end = b.rings[FILE].position
        b.worker.handle(Transcribe(turn_id=1 << 32, attempt=1, start=0, end=end, stream=FILE))
        end = b.rings[PAGE].position
        b.worker.handle(Transcribe(turn_id=2, attempt=1, start=0, end=end, stream=PAGE))
        b.ask(3, 1, 0, b.ring.position)
        b.echo.permits.release(10)
        heard = [b.next() for _ in range(4)]
    assert [event.turn_id for event in heard] == [1, 2, 3, 1 << 32]
    texts = [f"{10 * number * CAPTURE_BLOCK} samples" for number in (2, 1, 3)]
    assert [event.text for event in heard[1:]] == texts
