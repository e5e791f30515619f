"""The loopback test of the running service, which holds the sound card: for `luna doctor`.

The audio worker plays the chirp and says where in the capture stream that was; what came back is
read from the capture ring and measured here. Only the figures leave this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict

from appliance.audio.loopback import BEFORE_S, CHIRP, CHIRP_S, LONGEST_DELAY_S, measure
from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE, CaptureRing, RingError
from appliance.commands import Command, PlayEarcon, PreparePlayback
from appliance.errors import ServiceError
from appliance.events import (
    ChirpPlayed,
    Event,
    LoopbackMeasured,
    LoopbackRequested,
    Snapshot,
    SpeakerChanged,
)
from appliance.texts import text

BEGIN_LIMIT_S = 5.0
"""A speaker that was asleep has begun to play within less."""
_STALLED_S = 2.0
"""So much later than expected, and the microphone is not delivering."""
_QUIET = frozenset({"idle", "muted"})
"""States in which nobody is being listened to or spoken to."""


class LoopbackTest:
    """Has the chirp played, one test at a time.

    Args:
        capture: what the microphone hears.
        send: gives a command to a worker; returns whether it was ready.
        publish: takes the ``LoopbackMeasured``.
    """

    def __init__(
        self,
        capture: CaptureRing,
        send: Callable[[str, Command], bool],
        publish: Callable[[Event], None],
    ) -> None:
        self._capture = capture
        self._send = send
        self._publish = publish
        self._played: asyncio.Future[int] | None = None
        self._task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Drop a test that is going on."""
        if self._task:
            self._task.cancel()

    def take(self, event: Event) -> bool:
        """Take what the audio worker says; return whether it is for this test alone."""
        waiting = self._played is not None and not self._played.done()
        if isinstance(event, SpeakerChanged) and event.status == "missing" and waiting:
            assert self._played is not None
            self._played.set_exception(ServiceError(event.detail))
        if not isinstance(event, ChirpPlayed):
            return False
        if self._played is not None and not self._played.done():
            self._played.set_result(event.position)
        return True

    def request(self, request: LoopbackRequested, snapshot: Snapshot) -> None:
        """Begin a test; ``LoopbackMeasured`` follows.

        Raises:
            ServiceError: there cannot be one now.
        """
        if self._task is not None and not self._task.done():
            raise ServiceError("another loopback test is going on; try again in a moment")
        if snapshot.muted or snapshot.mute_switch:
            raise ServiceError("the microphone is muted; switch it on with `luna mute off`")
        if snapshot.state not in _QUIET:
            raise ServiceError("Luna is busy with somebody; try again in a moment")
        self._task = asyncio.create_task(self._run(request.request), name="loopback-test")

    async def _run(self, request: str) -> None:
        try:
            figures = await self._measured()
        except (ServiceError, RingError) as error:
            self._publish(LoopbackMeasured(request=request, ok=False, text=str(error)))
        else:
            self._publish(LoopbackMeasured(request=request, ok=True, figures=figures))

    async def _measured(self) -> dict[str, object]:
        self._played = asyncio.get_running_loop().create_future()
        ready = self._send("audio", PreparePlayback())
        await asyncio.sleep(BEFORE_S)  # what is heard now is the noise of the room
        if not (ready and self._send("audio", PlayEarcon(name=CHIRP))):
            raise ServiceError(text("doctor.sound.worker", "en"))
        try:
            async with asyncio.timeout(BEGIN_LIMIT_S):
                position = await self._played
        except TimeoutError as error:
            raise ServiceError(text("doctor.sound.not_played", "en")) from error
        begin = max(0, position - int(BEFORE_S * CAPTURE_RATE))
        end = position + int((CHIRP_S + LONGEST_DELAY_S) * CAPTURE_RATE)
        # Whole blocks are published; the last one must be.
        end = -(-end // CAPTURE_BLOCK) * CAPTURE_BLOCK
        try:
            async with asyncio.timeout(CHIRP_S + LONGEST_DELAY_S + _STALLED_S):
                while self._capture.position < end:  # noqa: ASYNC110 - the ring wakes one reader
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise ServiceError(text("doctor.sound.no_blocks", "en")) from error
        heard = self._capture.read_range(begin, end)
        return asdict(await asyncio.to_thread(measure, heard, position - begin))
