"""The page as a microphone and a speaker: somebody talks to Luna through a browser.

What the browser captures goes into a capture ring of its own, which the same workers read; what
is to be played comes out of a playback ring of its own. To the state machine this is the player
``page``, as the ``audio`` worker is the player of the box: it takes ``Cancel`` and reports
``PlaybackStarted`` and ``PlaybackFinished``, here by what the browser says that it has played.
A browser that says nothing, or goes away, cannot hold up a turn.

Nothing here knows of HTTP. A connection has a :class:`PageSession`; only one of them speaks at a
time, and the samples are copied, never looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE, CaptureRing, PlaybackRing
from appliance.clock import monotonic
from appliance.commands import Cancel, Command
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
from appliance.page_turn import RATE, PageTurn

MAX_SESSIONS = 8
PRESS_LIMIT_S = 28.0
"""The longest utterance that can be transcribed; a longer press counts as released."""
HOLD_LIMIT_S = 35.0
"""A press that sends less sound than that is over as well some time."""
LEAD_S = 5.0
"""How far the browser is kept ahead of what it plays: a slow network is not heard, and what is
not sent yet need not be taken back."""
FRAME_BLOCKS = 10
"""Blocks in one message at most (200 ms)."""
START_WITHIN_S = 1.0
"""A browser that reports nothing for so long after the first sound is taken to play it."""
END_GRACE_S = 3.0
"""The same after the time that the rest must have taken."""
CUT_WITHIN_S = 0.4
"""How long a browser has to say how far it came when it was cut off. The coordinator writes the
history after a second."""

_BLOCK_BYTES = CAPTURE_BLOCK * 2

Outgoing = dict[str, Any] | bytes


class PageSound:
    """All browsers that may talk.

    Args:
        capture: the page's capture ring; nobody else writes it.
        playback: the page's playback ring; nobody else reads it.
        request: takes what a person wants; raises ServiceError where that is refused.
        report: takes what happened, for the state machine.
        refusal: returns what to say when Luna cannot listen.
    """

    def __init__(
        self,
        capture: CaptureRing,
        playback: PlaybackRing,
        *,
        request: Callable[[Event], None],
        report: Callable[[Event], None],
        refusal: Callable[[], str],
    ) -> None:
        self._capture = capture
        self._playback = playback
        self._playback.rate = RATE
        self._request = request
        self._report = report
        self._refusal = refusal
        self._sessions: set[PageSession] = set()
        self._pressing: PageSession | None = None
        self._rest = b""
        """Captured bytes that make no block yet."""
        self._current: PageTurn | None = None
        self._turns: dict[int, PageTurn] = {}
        """The current one, and those that were cut off and not reported yet."""

    def start(self) -> None:
        """Follow the playback ring."""
        asyncio.get_running_loop().add_reader(self._playback.wakeup_fd, self._sound_came)

    def stop(self) -> None:
        """Close all sessions."""
        asyncio.get_running_loop().remove_reader(self._playback.wakeup_fd)
        for session in list(self._sessions):
            session.close()
        for turn in self._turns.values():
            turn.forget(*list(turn.timers))

    def connect(self) -> PageSession:
        """Return a new session.

        Raises:
            ServiceError: there are too many.
        """
        if len(self._sessions) >= MAX_SESSIONS:
            raise ServiceError("too many browsers talk to Luna; close one of the pages").worded(
                "refusal.too_many_browsers"
            )
        session = PageSession(self)
        self._sessions.add(session)
        return session

    # --- from the coordinator ---

    def send(self, command: Command) -> bool:
        """Take a command for the player of the page's turns."""
        if isinstance(command, Cancel) and command.attempt == 0:
            turn = self._turns.get(command.turn_id)
            if turn is not None and not turn.cut:
                self._cut(turn)
        return True

    def handle(self, event: Event) -> None:
        """Follow the event stream."""
        match event:
            case TurnStarted(source="page") if self._pressing is not None:
                turn = PageTurn(event.turn_id, self._pressing)
                self._current = self._turns[turn.id] = turn
                turn.after("hold", HOLD_LIMIT_S, lambda: self._release(turn))
                turn.session.put({"type": "turn", "turn_id": turn.id})
            case TurnEnded(turn_id=turn_id) if turn_id in self._turns:
                turn = self._turns.pop(turn_id)
                turn.forget(*list(turn.timers))
                if self._current is turn:
                    self._current = None

    def _cut(self, turn: PageTurn) -> None:
        """Nothing more of a turn is to be heard; how far it came is told in a moment."""
        turn.cut = True
        if self._current is turn:
            self._current = None
        turn.forget("hold", "start", "end")
        turn.session.flush(turn.id)
        wait_s = CUT_WITHIN_S if turn.sent and turn.session in self._sessions else 0.0
        turn.after("cut", wait_s, lambda: self._finish(turn))

    # --- from the sessions ---

    def press(self, session: PageSession) -> None:
        """See :meth:`PageSession.press`."""
        before = self._current
        if before is not None and before.session is session and before.holding:
            return
        self._rest = b""
        self._pressing = session
        try:
            self._request(PagePressed(position=self._capture.position))
        finally:
            self._pressing = None
        if self._current is before or self._current is None:
            raise ServiceError(self._refusal()).worded("speech.cannot_listen")

    def sound(self, session: PageSession, pcm: bytes) -> None:
        """See :meth:`PageSession.sound`."""
        turn = self._current
        if turn is None or turn.session is not session or not turn.holding:
            return  # on its way when somebody else pressed, or the press was over
        turn.said += len(pcm) // 2
        self._write(self._rest + pcm)
        if turn.said >= PRESS_LIMIT_S * CAPTURE_RATE:
            self._release(turn)

    def _write(self, pcm: bytes) -> None:
        whole = len(pcm) - len(pcm) % _BLOCK_BYTES
        for at in range(0, whole, _BLOCK_BYTES):
            self._capture.write(pcm[at : at + _BLOCK_BYTES])
        self._rest = pcm[whole:]

    def release(self, session: PageSession) -> None:
        """See :meth:`PageSession.release`."""
        if self._current is not None and self._current.session is session:
            self._release(self._current)

    def _release(self, turn: PageTurn) -> None:
        if not turn.holding:
            return
        turn.holding = False
        turn.forget("hold")
        if self._rest:
            self._write(self._rest.ljust(_BLOCK_BYTES, b"\0"))
        self._report(PageReleased(turn_id=turn.id))

    def stop_turn(self) -> None:
        """See :meth:`PageSession.stop`."""
        self._request(StopRequested())

    def played(self, session: PageSession, turn_id: int, samples: int, *, finished: bool) -> None:
        """See :meth:`PageSession.played`."""
        turn = self._turns.get(turn_id)
        if turn is None or turn.session is not session:
            return
        further = turn.played < samples
        turn.played = max(turn.played, min(samples, turn.samples))
        turn.reported = True
        if turn.cut:
            if finished:
                self._finish(turn)
            return
        if samples:
            self._started(turn)
        if turn.ended and (finished or turn.played >= turn.samples):
            self._finish(turn)
        elif turn.ended and further:
            self._await_end(turn)

    def disconnect(self, session: PageSession) -> None:
        """See :meth:`PageSession.close`."""
        self._sessions.discard(session)
        for turn in list(self._turns.values()):
            if turn.session is session and turn.cut:
                self._finish(turn)
            elif turn.session is session:
                # Not by way of request(): nobody has pressed anything.
                self._report(StopRequested())

    # --- the reply ---

    def _sound_came(self) -> None:
        self._playback.clear_wakeup()
        if self._current is not None:
            self._current.session.wake()

    def next_sound(self, session: PageSession) -> tuple[list[Outgoing], float | None]:
        """Return what is to be sent to *session* now; else when there may be more of it."""
        turn = self._current
        if turn is None or turn.session is not session or turn.ended:
            return [], None
        if (early := turn.lead_s() - LEAD_S) > 0:
            return [], early
        pieces: list[bytes] = []
        while len(pieces) < FRAME_BLOCKS and not turn.ended:
            block = self._playback.read()
            if block is None:
                break
            if block.turn_id != turn.id:
                continue  # of a turn that was cut off
            turn.ended = block.end
            if block.payload:
                pieces.append(block.payload)
                samples = len(block.payload) // 2
                turn.sent[block.clause] = turn.sent.get(block.clause, 0) + samples
        messages: list[Outgoing] = []
        if pieces and not turn.first_sent_at:
            turn.first_sent_at = monotonic()
            turn.after("start", START_WITHIN_S, lambda: self._started(turn))
            messages.append({"type": "audio", "turn_id": turn.id, "rate": RATE})
        if pieces:
            messages.append(b"".join(pieces))
        if turn.ended:
            messages.append({"type": "end", "turn_id": turn.id})
            self._await_end(turn)
        return messages, None

    def _started(self, turn: PageTurn) -> None:
        turn.forget("start")
        if not turn.started:
            turn.started = True
            self._report(PlaybackStarted(turn_id=turn.id))

    def _await_end(self, turn: PageTurn) -> None:
        """Let the turn end when the browser must have played the rest, whether it says so or not.

        Without any sound there is nothing to wait for.
        """
        wait_s = turn.left_s() + END_GRACE_S if turn.sent else 0.0
        turn.after("end", wait_s, lambda: self._finish(turn))

    def _finish(self, turn: PageTurn) -> None:
        """The browser has played the reply, or as much of it as it was let."""
        turn.forget(*list(turn.timers))
        if self._turns.pop(turn.id, None) is None:
            return
        if self._current is turn:
            self._current = None
        if not turn.cut and not turn.reported:
            turn.played = turn.samples
        clause, samples = turn.place()
        self._report(
            PlaybackFinished(
                turn_id=turn.id, cut=turn.cut, clause=clause, clause_samples=samples, rate=RATE
            )
        )


class PageSession:
    """One browser; made by :meth:`PageSound.connect`. Samples are mono int16 at 16 kHz."""

    def __init__(self, page: PageSound) -> None:
        self._page = page
        self._outgoing: deque[Outgoing] = deque([{"type": "ready"}])
        self._awake = asyncio.Event()
        self._closed = False

    def press(self) -> None:
        """The talk button was pressed: a turn begins, and whatever Luna was doing gives way.

        Raises:
            ServiceError: Luna cannot listen now.
        """
        self._page.press(self)

    def sound(self, pcm: bytes) -> None:
        """Take what the browser has captured: whole samples, any number of them."""
        self._page.sound(self, pcm)

    def release(self) -> None:
        """The talk button was let go: what was said so far is the question."""
        self._page.release(self)

    def stop(self) -> None:
        """Luna shall stop whatever she is doing.

        Raises:
            ServiceError: she is still starting.
        """
        self._page.stop_turn()

    def played(self, turn_id: int, samples: int, *, finished: bool) -> None:
        """The browser has played so many samples of a reply; *finished*: no more will follow."""
        self._page.played(self, turn_id, samples, finished=finished)

    def close(self) -> None:
        """The browser has gone: a turn of its own is cancelled."""
        if not self._closed:
            self._closed = True
            self._awake.set()
            self._page.disconnect(self)

    async def messages(self) -> AsyncIterator[Outgoing]:
        """Yield what is to be sent to the browser, until :meth:`close`; bytes are sound.

        Who takes them slowly holds up the sound of nobody else.
        """
        while not self._closed:
            self._awake.clear()
            wait_s = None
            if not self._outgoing:
                sound, wait_s = self._page.next_sound(self)
                self._outgoing.extend(sound)
            if self._outgoing:
                yield self._outgoing.popleft()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._awake.wait()

    # --- for PageSound ---

    def put(self, message: dict[str, Any]) -> None:
        """Send *message* next."""
        self._outgoing.append(message)
        self.wake()

    def flush(self, turn_id: int) -> None:
        """Send no more sound, and have the browser drop what it has of it."""
        kept = [message for message in self._outgoing if isinstance(message, dict)]
        self._outgoing.clear()
        self._outgoing.extend(kept)
        self.put({"type": "flush", "turn_id": turn_id})

    def wake(self) -> None:
        """There may be something to send."""
        self._awake.set()
