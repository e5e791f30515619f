"""A browser as microphone and speaker: real rings, and what is asked of the state machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from appliance import page_sound
from appliance.audio.ring_buffer import BLOCK_MS, CAPTURE_BLOCK, CaptureRing, PlaybackRing
from appliance.commands import Cancel
from appliance.errors import ServiceError
from appliance.events import (
    Event,
    PagePressed,
    PageReleased,
    PlaybackFinished,
    PlaybackStarted,
    StopRequested,
    TurnEnded,
    TurnStarted,
)
from appliance.page_sound import MAX_SESSIONS, PageSession, PageSound
from appliance.page_turn import RATE

BLOCK = RATE * BLOCK_MS // 1000
"""Samples in a block of a reply."""


class Desk:
    """The page's sound, with a state machine that says yes to everything."""

    def __init__(self) -> None:
        self.capture, self.playback = CaptureRing(4.0), PlaybackRing(4.0)
        self.requested: list[Event] = []
        self.reported: list[Event] = []
        self.deaf = False
        self.turns = 0
        self.sound = PageSound(
            self.capture,
            self.playback,
            request=self._request,
            report=self._report,
            refusal=lambda: "not now",
        )
        self.sound.start()

    def _request(self, event: Event) -> None:
        self.requested.append(event)
        if isinstance(event, PagePressed) and not self.deaf:
            if self.turns:
                self.sound.send(Cancel(turn_id=self.turns))
            self.turns += 1
            self.sound.handle(TurnStarted(turn_id=self.turns, source="page"))
        elif isinstance(event, StopRequested):
            self.sound.send(Cancel(turn_id=self.turns))

    def _report(self, event: Event) -> None:
        self.reported.append(event)
        if isinstance(event, StopRequested):
            self.sound.send(Cancel(turn_id=self.turns))

    def reply(self, blocks: int, clause: int = 1, *, end: bool = True, turn: int = 0) -> None:
        """Put a reply into the ring, or a part of it."""
        sound = np.full(BLOCK, clause, np.int16).tobytes()
        for _ in range(blocks):
            assert self.playback.write(sound, turn_id=turn or self.turns, clause=clause)
        if end:
            self.playback.write(b"", turn_id=turn or self.turns, clause=clause, end=True)

    def said(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.reported if isinstance(event, kind)]

    async def until(self, kind: type[Event]) -> Any:
        """Return the first report of this kind."""
        async with asyncio.timeout(20):
            while not self.said(kind):
                await asyncio.sleep(0.01)
        return self.said(kind)[0]


class Reader:
    """The other end of a session: everything that was sent to the browser."""

    def __init__(self, session: PageSession) -> None:
        self.session = session
        self.messages: list[dict[str, Any]] = []
        self.pcm = b""
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.session.messages():
            if isinstance(message, bytes):
                self.pcm += message
            else:
                self.messages.append(message)

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.messages]

    async def until(self, kind: str) -> None:
        async with asyncio.timeout(20):
            while kind not in self.kinds():
                await asyncio.sleep(0.01)

    async def ended(self) -> None:
        async with asyncio.timeout(5):
            await self._task


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    yield made
    made.sound.stop()
    made.capture.close()
    made.playback.close()


async def test_what_is_said_lies_in_the_ring_in_whole_blocks(desk: Desk) -> None:
    session = desk.sound.connect()
    said = np.arange(1000, dtype=np.int16)
    session.sound(said.tobytes())  # nobody has pressed
    assert desk.capture.position == 0
    session.press()
    assert desk.requested == [PagePressed(position=0, at=desk.requested[0].at)]
    for at in range(0, 1000, 77):
        session.sound(said[at : at + 77].tobytes())
    assert desk.capture.position == 3 * CAPTURE_BLOCK
    session.release()
    assert desk.capture.position == 4 * CAPTURE_BLOCK
    heard = desk.capture.read_range(0, desk.capture.position)
    assert np.array_equal(heard[:1000], said)
    assert not heard[1000:].any()
    assert [event.turn_id for event in desk.said(PageReleased)] == [1]
    session.sound(said.tobytes())  # on its way when it was released
    session.release()
    assert desk.capture.position == 4 * CAPTURE_BLOCK
    assert len(desk.said(PageReleased)) == 1


async def test_a_reply_is_sent_and_ends_when_it_was_played(desk: Desk) -> None:
    session = desk.sound.connect()
    reader = Reader(session)
    session.press()
    session.release()
    desk.reply(3, clause=1, end=False)
    desk.reply(2, clause=2)
    await reader.until("end")
    assert reader.kinds() == ["ready", "turn", "audio", "end"]
    assert reader.messages[2] == {"type": "audio", "turn_id": 1, "rate": RATE}
    assert np.array_equal(
        np.frombuffer(reader.pcm, np.int16), np.repeat([1, 1, 1, 2, 2], BLOCK).astype(np.int16)
    )
    session.played(1, BLOCK, finished=False)
    session.played(1, BLOCK, finished=False)
    assert len(desk.said(PlaybackStarted)) == 1
    session.played(2, 5 * BLOCK, finished=True)  # no turn of this page's
    assert not desk.said(PlaybackFinished)
    session.played(1, 5 * BLOCK, finished=True)
    (done,) = desk.said(PlaybackFinished)
    assert (done.cut, done.clause, done.clause_samples, done.rate) == (False, 2, 2 * BLOCK, RATE)
    session.played(1, 5 * BLOCK, finished=True)
    assert len(desk.said(PlaybackFinished)) == 1


async def test_cut_off_by_stop_and_how_much_was_heard(desk: Desk) -> None:
    session = desk.sound.connect()
    reader = Reader(session)
    session.press()
    session.release()
    desk.reply(3, clause=1, end=False)
    desk.reply(40, clause=2, end=False)
    await reader.until("audio")
    session.played(1, 2 * BLOCK, finished=False)
    session.stop()
    await reader.until("flush")
    came = len(reader.pcm)
    desk.reply(5, clause=3, turn=1)  # the voice has not heard of it yet
    assert not desk.said(PlaybackFinished)
    session.played(1, 10**12, finished=False)  # more than was sent
    session.played(1, 4 * BLOCK, finished=True)
    (cut,) = desk.said(PlaybackFinished)
    assert (cut.turn_id, cut.cut) == (1, True)
    assert cut.clause in (1, 2)
    desk.sound.handle(TurnEnded(turn_id=1, source="page", outcome="interrupted"))
    # Nothing that is left of it reaches the next turn.
    session.press()
    desk.reply(1, clause=1)
    await reader.until("end")
    assert len(reader.pcm) - came == 2 * BLOCK
    assert reader.messages[-1] == {"type": "end", "turn_id": 2}


async def test_another_page_takes_over(desk: Desk) -> None:
    first, second = desk.sound.connect(), desk.sound.connect()
    readers = Reader(first), Reader(second)
    first.press()
    first.sound(bytes(2 * CAPTURE_BLOCK + 100))
    second.press()
    await readers[0].until("flush")
    first.sound(bytes(20 * CAPTURE_BLOCK))
    first.release()
    assert desk.capture.position == CAPTURE_BLOCK
    assert not desk.said(PageReleased)
    second.sound(np.ones(CAPTURE_BLOCK, np.int16).tobytes())
    assert desk.capture.read_range(CAPTURE_BLOCK, 2 * CAPTURE_BLOCK).all()
    second.release()
    desk.reply(2)
    await readers[1].until("end")
    assert readers[0].pcm == b""
    assert readers[0].kinds() == ["ready", "turn", "flush"]
    assert (await desk.until(PlaybackFinished)).turn_id == 1


async def test_a_page_that_says_nothing_ends_by_the_clock(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sound, "START_WITHIN_S", 0.01)
    monkeypatch.setattr(page_sound, "END_GRACE_S", 0.01)
    session = desk.sound.connect()
    reader = Reader(session)
    session.press()
    session.release()
    desk.reply(10)
    await reader.until("end")
    await desk.until(PlaybackStarted)
    done = await desk.until(PlaybackFinished)
    assert (done.cut, done.clause, done.clause_samples) == (False, 1, 10 * BLOCK)


async def test_a_reply_without_sound_ends_at_once(desk: Desk) -> None:
    session = desk.sound.connect()
    reader = Reader(session)
    session.press()
    session.release()
    desk.reply(0)
    await reader.until("end")
    done = await desk.until(PlaybackFinished)
    assert (done.cut, done.clause) == (False, 0)


async def test_the_browser_is_not_sent_much_more_than_it_can_play(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_sound, "LEAD_S", 0.4)
    session = desk.sound.connect()
    reader = Reader(session)
    session.press()
    desk.reply(150)  # three seconds
    await reader.until("audio")
    await asyncio.sleep(0.1)
    assert desk.playback.depth > 75
    await reader.until("end")
    assert len(reader.pcm) == 2 * 150 * BLOCK


@pytest.mark.parametrize("sounding", [True, False])
async def test_a_page_that_goes_takes_its_turn_along(desk: Desk, sounding: bool) -> None:
    session, other = desk.sound.connect(), desk.sound.connect()
    reader = Reader(session)
    session.press()
    if sounding:
        desk.reply(20, end=False)
        await reader.until("audio")
        session.played(1, BLOCK // 2, finished=False)
    other.close()
    assert not desk.said(StopRequested)
    session.close()
    session.close()
    await reader.ended()
    assert len(desk.said(StopRequested)) == 1
    cut = await desk.until(PlaybackFinished)
    assert (cut.cut, cut.clause_samples) == (True, BLOCK // 2 if sounding else 0)


async def test_a_press_ends_some_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_sound, "PRESS_LIMIT_S", 0.5)
    session = desk.sound.connect()
    session.press()
    session.sound(bytes(2 * 8000))
    session.sound(bytes(2 * 8000))
    assert desk.capture.position == 8000
    assert len(desk.said(PageReleased)) == 1
    monkeypatch.setattr(page_sound, "HOLD_LIMIT_S", 0.02)
    session.press()
    async with asyncio.timeout(5):
        while len(desk.said(PageReleased)) < 2:
            await asyncio.sleep(0.01)


async def test_what_is_refused(desk: Desk) -> None:
    sessions = [desk.sound.connect() for _ in range(MAX_SESSIONS)]
    with pytest.raises(ServiceError, match="too many"):
        desk.sound.connect()
    desk.deaf = True
    with pytest.raises(ServiceError, match="not now"):
        sessions[0].press()
    desk.deaf = False
    sessions[0].press()
    sessions[0].press()  # held already
    assert desk.turns == 1
    sessions[1].close()
    desk.sound.connect()


async def test_turns_of_the_box_do_not_concern_it(desk: Desk) -> None:
    session = desk.sound.connect()
    reader = Reader(session)
    desk.sound.handle(TurnStarted(turn_id=5, source="wake"))
    desk.sound.send(Cancel(turn_id=5))
    desk.sound.handle(TurnEnded(turn_id=5, source="wake", outcome="interrupted"))
    session.played(5, 10, finished=True)
    session.release()
    await reader.until("ready")
    assert reader.kinds() == ["ready"]
    assert desk.reported == []
