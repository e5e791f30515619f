"""The audio worker's threads with a card made for the occasion: what it does when things fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from appliance.audio import process
from appliance.audio.device import Configure, Deliver, Format, Render
from appliance.audio.process import AudioWorker
from appliance.audio.ring_buffer import CaptureRing, PlaybackRing
from appliance.commands import PlayEarcon, PreparePlayback, SetMuted
from appliance.errors import AudioError
from appliance.events import (
    CaptureDropped,
    Event,
    Logged,
    MicrophoneChanged,
    SpeakerChanged,
)
from appliance.settings import AudioSettings

LIMIT_S = 20.0


class Card:
    """Opens what the test allows; delivers and renders only when the test says so."""

    def __init__(self) -> None:
        self.speaker_there = True
        self.fails_with: Exception | None = None
        self.calls: list[str] = []
        self.deliver: Deliver = lambda _raw: None
        self.render: Render = len

    def open_microphone(self, configure: Configure, deliver: Deliver) -> Format:
        self.calls.append("open_microphone")
        if self.fails_with is not None:
            raise self.fails_with
        self.deliver = deliver
        configure(opened := Format("microphone", 16_000, 1))
        return opened

    def close_microphone(self) -> None:
        self.calls.append("close_microphone")

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        self.calls.append("open_speaker")
        if not self.speaker_there:
            raise AudioError("there is no speaker")
        self.render = render
        configure(opened := Format("speaker", 48_000, 2))
        return opened

    def close_speaker(self) -> None:
        self.calls.append("close_speaker")

    def look_again(self) -> None:
        self.calls.append("look_again")


class Sent:
    """The worker's end of a channel; keeps what is sent."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Event) -> None:
        self.events.append(event)

    def until(self, where: Callable[[Event], bool]) -> Event:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            for event in list(self.events):
                if where(event):
                    return event
            time.sleep(0.01)
        raise AssertionError(f"no such event among {self.events}")


Start = Callable[..., tuple[AudioWorker, Sent]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the worker's threads on a card; no deafness unless the test asks for it."""
    capture, playback = CaptureRing(2.0), PlaybackRing(1.0)
    workers: list[AudioWorker] = []

    def build(card: Card, *, shut: bool = False, **settings: float) -> tuple[AudioWorker, Sent]:
        sent = Sent()
        capture.shut = shut
        chosen = AudioSettings(**{"deaf_after_s": 0.0, "zeros_after_s": 0.0} | settings)  # type: ignore[arg-type]
        workers.append(AudioWorker(sent, capture, playback, chosen, lambda: card))  # type: ignore[arg-type]
        return workers[-1], sent

    yield build
    for worker in workers:
        worker.close()
    capture.close()
    playback.close()


def microphone(status: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, MicrophoneChanged) and event.status == status


def speaker(status: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, SpeakerChanged) and event.status == status


def test_without_the_check_for_deafness_nothing_is_lost(start: Start) -> None:
    worker, sent = start(Card())
    worker.handle(PreparePlayback())
    sent.until(speaker("open"))
    time.sleep(0.5)
    assert not [e for e in sent.events if speaker("lost")(e) or microphone("deaf")(e)]


def test_sound_that_the_card_lost_is_an_event(start: Start) -> None:
    card = Card()
    worker, sent = start(card)
    sent.until(microphone("open"))
    card.deliver(b"")
    card.deliver(np.ones(320, np.int16).tobytes())
    dropped = sent.until(lambda event: isinstance(event, CaptureDropped))
    assert isinstance(dropped, CaptureDropped)
    assert (dropped.blocks, dropped.where) == (1, "device")
    assert worker.stats()["device_overflows"] == 1


def test_a_thread_that_fails_ends_the_worker(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would answer pings for ever, and hear nothing."""
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(process.os, "kill", lambda *call: killed.append(call))
    card = Card()
    card.fails_with = RuntimeError("unheard of")
    _worker, sent = start(card)
    logged = sent.until(lambda event: isinstance(event, Logged))
    assert isinstance(logged, Logged)
    assert "keeper" in logged.text
    assert "unheard of" in logged.text
    deadline = time.monotonic() + LIMIT_S
    while not killed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_a_speaker_plugged_in_while_the_microphone_is_open(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of devices is renewed only while nothing is open, so the microphone makes way."""
    cards = ["microphone"]
    monkeypatch.setattr(process, "hardware", lambda: cards[0])
    card = Card()
    card.speaker_there = False
    worker, sent = start(card)
    sent.until(microphone("open"))
    worker.handle(PreparePlayback())
    sent.until(speaker("missing"))
    assert "look_again" not in card.calls, "the microphone was disturbed for nothing"
    card.speaker_there, cards[0] = True, "microphone and speaker"
    sent.until(speaker("open"))
    assert card.calls.count("look_again") == 1
    deadline = time.monotonic() + LIMIT_S
    while card.calls.count("open_microphone") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert card.calls.count("open_microphone") == 2
    assert card.calls.index("close_microphone") < card.calls.index("look_again")


def test_earcons_are_not_kept_for_a_speaker_that_is_missing(start: Start) -> None:
    card = Card()
    card.speaker_there = False
    worker, sent = start(card)
    worker.handle(PlayEarcon(name="error"))
    sent.until(speaker("missing"))
    card.speaker_there = True
    sent.until(speaker("open"))
    out = np.ones((9_600, 2), np.int16)
    card.render(out)
    assert not out.any()


# --- muted ---------------------------------------------------------------------------------------


def sound(card: Card, seconds: float, loud: int = 1000) -> None:
    """Deliver 20 ms blocks as fast as a card that has caught up."""
    for _ in range(int(seconds * 50)):
        card.deliver(np.full(320, loud, np.int16).tobytes())


def pumped(worker: AudioWorker) -> None:
    """Wait until the pump has taken everything that was delivered."""
    deadline = time.monotonic() + LIMIT_S
    while worker.stats()["capture_staged"] and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05)


def test_while_muted_the_ring_stays_empty(start: Start) -> None:
    card = Card()
    worker, sent = start(card)
    sent.until(microphone("open"))
    worker.handle(SetMuted(muted=True))
    sound(card, 1.0)  # a card that does not stop at once
    sent.until(microphone("muted"))
    sound(card, 1.0)
    pumped(worker)
    assert worker._capture.blocks_written == 0
    assert card.calls[-1] == "close_microphone"
    sent.events.clear()
    worker.handle(SetMuted(muted=False))
    sent.until(microphone("open"))
    sound(card, 0.2)
    pumped(worker)
    assert worker._capture.blocks_written == 10


def test_a_switch_that_is_on_at_the_start_lets_no_frame_through(start: Start) -> None:
    """The ring is shut before the worker exists, so not even its first frame is captured."""
    card = Card()
    worker, sent = start(card, shut=True)
    sent.until(microphone("muted"))
    assert "open_microphone" not in card.calls
    worker.handle(SetMuted(muted=False))  # software has no say
    sound(card, 1.0)
    time.sleep(0.5)
    pumped(worker)
    assert "open_microphone" not in card.calls
    assert worker._capture.blocks_written == 0
    worker._capture.shut = False
    sent.until(microphone("open"))
    sound(card, 0.2)
    pumped(worker)
    assert worker._capture.blocks_written == 10
    worker._capture.shut = True
    sound(card, 0.2)
    sent.until(microphone("muted"))
    pumped(worker)
    assert worker._capture.blocks_written == 10
