"""The two shared-memory rings: capture (one writer, many readers) and playback (one of each).

A ring is a segment of ``multiprocessing.shared_memory``: a small header, then fixed slots.
Each slot holds one block with its sequence number and a CRC-32 over number and payload. A
reader copies the slot and then checks both. That makes the ring correct without a lock and
without a compiled core, also where memory order is weak (ARM): a block that was torn, or is
not there yet although the header says so, fails the check and is read once more.

Wake-ups are eventfds, one per reader, so nothing polls. Rings are made in the main process
and handed to the workers as process arguments; a worker that is restarted gets the same ring
and goes on at the position that the header holds.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import reduction, shared_memory
from typing import Any

import numpy as np
import numpy.typing as npt

CAPTURE_RATE = 16_000
"""Samples per second of the capture stream, mono int16."""
BLOCK_MS = 20
CAPTURE_BLOCK = CAPTURE_RATE * BLOCK_MS // 1000
"""Samples in one capture block (320)."""
MAX_PLAYBACK_RATE = 192_000

_HEADER_BYTES = 64
_RETRIES = 200
_GUARD = 8
"""Blocks a reader keeps between itself and the writer when it resynchronises."""


class RingError(Exception):
    """The wanted samples are gone, or have not come in time."""


class EventFd:
    """A counter to wait for, shared between processes; pickled only as a process argument."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) if fd is None else fd
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)

    def set(self) -> None:
        """Wake the waiter. Never blocks: a full counter is as good as a new wake-up."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_write(self.fd, 1)

    def wait(self, timeout: float | None) -> bool:
        """Wait up to *timeout* seconds (None: for ever); return whether it was set. Clears it."""
        if not self._poll.poll(None if timeout is None else timeout * 1000.0):
            return False
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        return True

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __reduce__(self) -> tuple[Any, ...]:
        return _eventfd_from, (reduction.DupFd(self.fd),)


def _eventfd_from(duplicate: Any) -> EventFd:
    return EventFd(duplicate.detach())


class _Segment:
    """Shared memory with a header of eight 64-bit words, and numbered, checksummed slots."""

    def __init__(self, slots: int, meta: struct.Struct, payload_bytes: int, name: str = "") -> None:
        self.slots = slots
        self._meta = meta
        self._stride = (meta.size + payload_bytes + 7) // 8 * 8
        size = _HEADER_BYTES + slots * self._stride
        if name:
            self._memory = shared_memory.SharedMemory(name=name)
        else:
            self._memory = shared_memory.SharedMemory(
                name=f"luna_{os.getpid()}_{os.urandom(4).hex()}", create=True, size=size
            )
        self._owner = not name
        assert self._memory.buf is not None
        self._buffer: memoryview = self._memory.buf
        self.words = self._buffer[:_HEADER_BYTES].cast("Q")

    @property
    def name(self) -> str:
        return self._memory.name

    def put(self, number: int, payload: memoryview | bytes, *meta: int) -> None:
        """Store block *number*: payload first, then its header; the caller publishes it."""
        at = _HEADER_BYTES + number % self.slots * self._stride
        body = at + self._meta.size
        self._buffer[body : body + len(payload)] = payload
        crc = zlib.crc32(payload, number & 0xFFFFFFFF)
        self._meta.pack_into(self._buffer, at, number, crc, len(payload), *meta)

    def get(self, number: int) -> tuple[tuple[int, ...], bytes] | None:
        """Return header and payload of block *number*, or None when the check fails."""
        at = _HEADER_BYTES + number % self.slots * self._stride
        copy = bytes(self._buffer[at : at + self._stride])
        header = self._meta.unpack_from(copy)
        length = header[2]
        if header[0] != number or length > self._stride - self._meta.size:
            return None
        payload = copy[self._meta.size : self._meta.size + length]
        if zlib.crc32(payload, number & 0xFFFFFFFF) != header[1]:
            return None
        return header, payload

    def number_at(self, number: int) -> int:
        """Return the sequence number now in the slot of block *number*."""
        at = _HEADER_BYTES + number % self.slots * self._stride
        return int.from_bytes(self._buffer[at : at + 8], "little")

    def close(self) -> None:
        """Detach; the process that made the segment also removes it."""
        self.words.release()
        self._buffer = memoryview(b"")
        self._memory.close()
        if self._owner:
            with contextlib.suppress(FileNotFoundError):
                self._memory.unlink()


_CAPTURE_META = struct.Struct("<QII")  # number, crc, bytes
_HEAD, _TAIL, _RATE, _FIRST_READER = 0, 1, 2, 3
_SHUT = 1
"""The capture ring has no tail; this word says that nothing may be written."""
"""Words of the header; from the last on, the block number at which each reader wants to wake."""
MAX_READERS = 8 - _FIRST_READER


class CaptureRing:
    """Captured sound: 20 ms blocks, 16 kHz, mono int16; the oldest is overwritten.

    The writer never waits for a reader. Word 0 of the header counts the blocks written.
    """

    def __init__(self, seconds: float, readers: tuple[str, ...] = ("listen",)) -> None:
        slots = max(4 * _GUARD, int(seconds * 1000) // BLOCK_MS)
        if len(readers) > MAX_READERS:
            raise ValueError(f"a capture ring has {MAX_READERS} readers at most")
        self._segment = _Segment(slots, _CAPTURE_META, CAPTURE_BLOCK * 2)
        self._wakeups = {name: EventFd() for name in readers}

    def __getstate__(self) -> dict[str, Any]:
        return {"s": self._segment.slots, "n": self._segment.name, "w": self._wakeups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._segment = _Segment(state["s"], _CAPTURE_META, CAPTURE_BLOCK * 2, state["n"])
        self._wakeups = state["w"]

    @property
    def slots(self) -> int:
        """How many blocks the ring holds."""
        return self._segment.slots

    @property
    def blocks_written(self) -> int:
        return self._segment.words[_HEAD]

    @property
    def position(self) -> int:
        """Samples written since the ring was made: the end of the capture stream."""
        return self.blocks_written * CAPTURE_BLOCK

    @property
    def shut(self) -> bool:
        """The microphone is muted: blocks are dropped, whoever writes them.

        The main process says so here, so that it holds before a worker has heard of it, and for
        one that has just been started.
        """
        return bool(self._segment.words[_SHUT])

    @shut.setter
    def shut(self, value: bool) -> None:
        self._segment.words[_SHUT] = value

    def write(self, block: memoryview | bytes) -> None:
        """Append one block of 640 bytes and wake the readers. One process, one thread only.

        Raises:
            ValueError: the block has another size.
        """
        if len(block) != CAPTURE_BLOCK * 2:
            raise ValueError(f"a capture block has {CAPTURE_BLOCK * 2} bytes, not {len(block)}")
        if self.shut:
            return
        number = self._segment.words[_HEAD]
        self._segment.put(number, block)
        self._segment.words[_HEAD] = number + 1
        for word, wakeup in enumerate(self._wakeups.values(), _FIRST_READER):
            # A reader that wants several blocks at once is not woken for each of them.
            if number + 1 >= self._segment.words[word]:
                wakeup.set()

    def reader(self, name: str) -> CaptureReader:
        """Return the reader *name* (one of those the ring was made with), placed at the end."""
        word = _FIRST_READER + list(self._wakeups).index(name)
        return CaptureReader(self, self._segment, self._wakeups[name], word)

    def read_range(self, start: int, end: int) -> npt.NDArray[np.int16]:
        """Return a copy of the samples ``[start, end)``; positions as in :attr:`position`.

        Raises:
            RingError: a part is overwritten already, or not captured yet.
        """
        if start < 0 or end < start:
            raise RingError(f"no such range: {start} to {end}")
        first, last = start // CAPTURE_BLOCK, -(-end // CAPTURE_BLOCK)
        if last > self.blocks_written:
            raise RingError(f"samples up to {end} are not captured yet (at {self.position})")
        parts: list[bytes] = []
        for number in range(first, last):
            block = _read_checked(self._segment, number)
            if block is None:
                raise RingError(f"samples from {start} are overwritten (at {self.position})")
            parts.append(block[1])
        samples = np.frombuffer(b"".join(parts), np.int16)
        return samples[start - first * CAPTURE_BLOCK : end - first * CAPTURE_BLOCK].copy()

    def close(self) -> None:
        self._segment.close()
        for wakeup in self._wakeups.values():
            wakeup.close()


def _read_checked(segment: _Segment, number: int) -> tuple[tuple[int, ...], bytes] | None:
    """Read a published block, again while its check fails; None when it was overwritten."""
    for _ in range(_RETRIES):
        block = segment.get(number)
        if block is not None:
            return block
        if segment.number_at(number) > number:
            return None
        os.sched_yield()
    return None


class CaptureReader:
    """One reader's place in the capture ring; counts what it lost."""

    def __init__(self, ring: CaptureRing, segment: _Segment, wakeup: EventFd, word: int) -> None:
        self._ring = ring
        self._segment = segment
        self._wakeup = wakeup
        self._word = word
        self._next = ring.blocks_written
        self.overruns = 0
        """Blocks overwritten before they were read."""
        self.retries = 0
        """Reads whose check failed at first."""

    @property
    def position(self) -> int:
        """Position of the next sample to be read."""
        return self._next * CAPTURE_BLOCK

    @property
    def depth(self) -> int:
        """Blocks written but not read yet."""
        return self._ring.blocks_written - self._next

    def seek(self, position: int) -> None:
        """Go to the block that holds sample *position*; what is gone counts as overrun on read."""
        self._next = min(max(position, 0) // CAPTURE_BLOCK, self._ring.blocks_written)

    def wait(self, timeout: float | None = None, blocks: int = 1) -> bool:
        """Wait up to *timeout* seconds until *blocks* blocks can be read; return whether they can.

        A wake-up that was meant for a block already read ends the wait early: call it in a loop.
        """
        if self.depth >= blocks:
            return True
        self._segment.words[self._word] = self._next + blocks
        return self.depth >= blocks or (self._wakeup.wait(timeout) and self.depth >= blocks)

    def wake(self) -> None:
        """End the present wait, or the next one. Any thread of the reading process may do it."""
        self._wakeup.set()

    def read(self) -> bytes | None:
        """Return the next block (640 bytes), or None when there is none yet. Never waits."""
        head = self._ring.blocks_written
        while self._next < head:
            block = self._segment.get(self._next)
            if block is None:
                self.retries += 1
                block = _read_checked(self._segment, self._next)
            if block is not None:
                self._next += 1
                return block[1]
            head = self._ring.blocks_written
            resumed = max(self._next + 1, head - self._segment.slots + _GUARD)
            self.overruns += resumed - self._next
            self._next = resumed
        return None


_PLAYBACK_META = struct.Struct("<QIIQIII")  # number, crc, bytes, turn, clause, flags, rate
END_OF_SPEECH = 1
"""Flag of the last (empty) block of a turn."""


@dataclass(frozen=True)
class PlaybackBlock:
    """Up to 20 ms of a reply, mono int16."""

    turn_id: int
    clause: int
    end: bool
    rate: int
    """Samples per second that the writer made it for."""
    payload: bytes


class PlaybackRing:
    """Sound to be played: one writer, one reader; the writer waits while the ring is full.

    Blocks are at the sound card's rate: the reader sets :attr:`rate` when it opens the card and
    the writer resamples to it. Header words: blocks written, blocks read, rate.
    """

    def __init__(self, seconds: float) -> None:
        self._segment = _Segment(
            max(4, int(seconds * 1000) // BLOCK_MS), _PLAYBACK_META, self._max_payload()
        )
        self._space = EventFd()
        self._data = EventFd()
        self._start_counting()

    def _start_counting(self) -> None:
        self.retries = 0
        """Reads whose check failed at first; counted by the reading process."""
        self.corrupt = 0
        """Blocks that were dropped because their check went on failing."""

    @staticmethod
    def _max_payload() -> int:
        return MAX_PLAYBACK_RATE * BLOCK_MS // 1000 * 2

    def __getstate__(self) -> dict[str, Any]:
        names = self._segment.slots, self._segment.name
        return {"s": names, "space": self._space, "data": self._data}

    def __setstate__(self, state: dict[str, Any]) -> None:
        slots, name = state["s"]
        self._segment = _Segment(slots, _PLAYBACK_META, self._max_payload(), name)
        self._space = state["space"]
        self._data = state["data"]
        self._start_counting()

    @property
    def rate(self) -> int:
        """Samples per second of the blocks; 0 until a speaker was opened."""
        return self._segment.words[_RATE]

    @rate.setter
    def rate(self, rate: int) -> None:
        self._segment.words[_RATE] = rate

    @property
    def depth(self) -> int:
        """Blocks written but not read yet."""
        return self._segment.words[_HEAD] - self._segment.words[_TAIL]

    @property
    def slots(self) -> int:
        return self._segment.slots

    def write(
        self,
        payload: memoryview | bytes,
        *,
        turn_id: int,
        clause: int,
        rate: int = 0,
        end: bool = False,
    ) -> bool:
        """Append a block; return False at once when the ring is full (see :meth:`wait_space`).

        *rate* is what the payload was made for; 0 means the ring's present :attr:`rate`.
        """
        number = self._segment.words[_HEAD]
        if number - self._segment.words[_TAIL] >= self._segment.slots:
            return False
        flags = END_OF_SPEECH if end else 0
        self._segment.put(number, payload, turn_id, clause, flags, rate or self.rate)
        self._segment.words[_HEAD] = number + 1
        self._data.set()
        return True

    def wait_space(self, timeout: float | None) -> bool:
        """Wait up to *timeout* seconds for the reader to take a block (the back-pressure)."""
        return self._space.wait(timeout)

    def wait_data(self, timeout: float | None) -> bool:
        """Wait up to *timeout* seconds for the writer to add a block."""
        return self.depth > 0 or self._data.wait(timeout)

    def read(self) -> PlaybackBlock | None:
        """Take the next block, or return None when there is none. Never waits."""
        while (number := self._segment.words[_TAIL]) < self._segment.words[_HEAD]:
            block = self._segment.get(number)
            if block is None:
                self.retries += 1
                block = _read_checked(self._segment, number)
            self._segment.words[_TAIL] = number + 1
            self._space.set()
            if block is None:
                self.corrupt += 1
                continue
            header, payload = block
            end = bool(header[5] & END_OF_SPEECH)
            return PlaybackBlock(header[3], header[4], end, header[6], payload)
        return None

    @property
    def wakeup_fd(self) -> int:
        """What an event loop can watch: readable when blocks have come since it was cleared."""
        return self._data.fd

    def clear_wakeup(self) -> None:
        """Say that the blocks which are there now will be looked at."""
        self._data.wait(0)

    def drain(self) -> Iterator[PlaybackBlock]:
        """Take all blocks that are there now."""
        while (block := self.read()) is not None:
            yield block

    def close(self) -> None:
        self._segment.close()
        self._space.close()
        self._data.close()
