"""The way into the playback ring: resample, cut into blocks, wait while the ring is full."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from appliance.audio.ring_buffer import BLOCK_MS, PlaybackRing
from appliance.clock import monotonic

_AHEAD_BLOCKS = 1500
"""How far synthesis may run ahead of the ring: 30 s."""
_RECHECK_S = 0.1
"""How often a writer that waits for space looks whether its turn was cancelled."""

Samples = npt.NDArray[np.int16]
Report = Callable[[float], None]


def blocks(pieces: Iterator[Samples], rate: int, ring_rate: int) -> Iterator[bytes]:
    """Yield *pieces* (mono int16 at *rate*) as blocks of 20 ms at *ring_rate*.

    The resampler's state runs through the whole clause, so its pieces join without a seam. The
    last block may be shorter.
    """
    import soxr

    size = ring_rate * BLOCK_MS // 1000 * 2
    stream = soxr.ResampleStream(rate, ring_rate, 1, dtype="int16") if rate != ring_rate else None
    held = bytearray()
    for piece in pieces:
        held += (piece if stream is None else stream.resample_chunk(piece)).tobytes()
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if stream is not None:
        held += stream.resample_chunk(np.zeros(0, np.int16), last=True).tobytes()
    for at in range(0, len(held), size):
        yield bytes(held[at : at + size])


@dataclass(frozen=True)
class _Item:
    """A block, or (with a report) the end of a clause."""

    turn_id: int
    clause: int
    payload: bytes = b""
    rate: int = 0
    end: bool = False
    report: Report | None = None


class RingWriter:
    """Writes blocks in a thread of its own, in the order in which they were put.

    Any thread may cancel; one thread puts. After :meth:`cancel` has returned, nothing of that
    turn is written any more.
    """

    def __init__(self, ring: PlaybackRing) -> None:
        self._ring = ring
        self._changed = threading.Condition()
        self._items: deque[_Item] = deque()
        self._writing: _Item | None = None
        self._first_at = 0.0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="write", daemon=True)
        self._thread.start()

    @property
    def depth(self) -> int:
        """Blocks put but not written yet."""
        return len(self._items)

    def wait_room(self) -> None:
        """Wait while more than enough blocks lie here."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._items) < _AHEAD_BLOCKS or self._closing)

    def put(
        self, turn_id: int, clause: int, payload: bytes = b"", rate: int = 0, *, end: bool = False
    ) -> None:
        """Append a block; with *end* the empty one that ends the turn. Never waits."""
        with self._changed:
            self._items.append(_Item(turn_id, clause, payload, rate, end))
            self._changed.notify_all()

    def finish(self, turn_id: int, clause: int, report: Report) -> None:
        """Call *report* once all blocks of the clause are in the ring.

        Its argument is when the first of them was there (:func:`appliance.clock.monotonic`).
        """
        with self._changed:
            self._items.append(_Item(turn_id, clause, report=report))
            self._changed.notify_all()

    def cancel(self, turn_id: int) -> None:
        """Drop what was put for a turn, and release the thread if it waits with a block of it."""
        with self._changed:
            kept = [item for item in self._items if item.turn_id != turn_id]
            self._items.clear()
            self._items.extend(kept)
            if self._writing is not None and self._writing.turn_id == turn_id:
                self._writing = None
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._writing = None
            self._changed.notify_all()
        self._thread.join(2 * _RECHECK_S)

    def _work(self) -> None:
        clause = (0, 0)
        while (item := self._next()) is not None:
            if clause != (item.turn_id, item.clause):
                clause = (item.turn_id, item.clause)
                self._first_at = 0.0
            if item.report is None:
                self._write(item)
                continue
            try:
                item.report(self._first_at or monotonic())
            except EOFError:
                return  # the main process is gone; the message loop ends the worker

    def _next(self) -> _Item | None:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closing)
            if self._closing:
                return None
            self._writing = self._items.popleft()
            self._changed.notify_all()
            return self._writing

    def _write(self, item: _Item) -> None:
        """Write one block, however long the ring stays full, unless it is cancelled."""
        while True:
            with self._changed:
                if self._writing is not item:
                    return
                if self._ring.write(
                    item.payload,
                    turn_id=item.turn_id,
                    clause=item.clause,
                    rate=item.rate,
                    end=item.end,
                ):
                    if item.payload and not self._first_at:
                        self._first_at = monotonic()
                    self._writing = None
                    return
            self._ring.wait_space(_RECHECK_S)
