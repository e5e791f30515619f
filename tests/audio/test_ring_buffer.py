"""The rings against models, against corruption, and between real processes."""

from __future__ import annotations

import multiprocessing
import os
import struct
import threading
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.audio.ring_buffer import (
    CAPTURE_BLOCK,
    CaptureRing,
    PlaybackRing,
    RingError,
)
from tests.service import shared_memory

BYTES = CAPTURE_BLOCK * 2
SECONDS = 1.0


def block(number: int) -> bytes:
    """A block that tells its number."""
    return struct.pack("<Q", number) * (BYTES // 8)


def number_of(data: bytes) -> int:
    """The number of a block, after checking that all of it belongs to it."""
    assert data == data[:8] * (BYTES // 8)
    return int(struct.unpack("<Q", data[:8])[0])


@pytest.fixture
def ring():
    made = CaptureRing(SECONDS, readers=("listen", "other"))
    yield made
    made.close()


def test_every_fill_level_against_a_deque(ring: CaptureRing) -> None:
    for fill in range(ring.slots * 2):
        model: deque[int] = deque(maxlen=ring.slots)
        reader = ring.reader("listen")
        first = ring.blocks_written
        for number in range(first, first + fill):
            ring.write(block(number))
            model.append(number)
        got = [number_of(data) for data in iter(reader.read, None)]
        if fill <= ring.slots:
            assert got == list(model)
            assert reader.overruns == 0
        else:
            # The oldest are gone, and they are counted; what is left is the end of the model.
            assert got == list(model)[-len(got) :]
            assert reader.overruns + len(got) == fill
            assert len(got) >= ring.slots - 10


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 120)),
            st.tuples(st.just("read"), st.integers(1, 120)),
            st.tuples(st.just("seek"), st.integers(0, 300)),
        ),
        max_size=40,
    )
)
def test_any_sequence_gives_blocks_in_order(steps: list[tuple[str, int]]) -> None:
    ring = CaptureRing(SECONDS)
    try:
        reader = ring.reader("listen")
        last = -1
        for kind, amount in steps:
            if kind == "write":
                for _ in range(amount):
                    ring.write(block(ring.blocks_written))
            elif kind == "seek":
                reader.seek(amount * CAPTURE_BLOCK)
                last = -1
            else:
                for _ in range(amount):
                    data = reader.read()
                    if data is None:
                        break
                    assert number_of(data) > last
                    last = number_of(data)
            assert 0 <= reader.position <= ring.position
    finally:
        ring.close()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 90), st.integers(0, 30_000), st.integers(0, 5_000))
def test_ranges(blocks: int, start: int, length: int) -> None:
    ring = CaptureRing(SECONDS)
    try:
        stream = np.arange(blocks * CAPTURE_BLOCK, dtype=np.int64).astype(np.int16)
        for i in range(blocks):
            ring.write(stream[i * CAPTURE_BLOCK : (i + 1) * CAPTURE_BLOCK].tobytes())
        try:
            samples = ring.read_range(start, start + length)
        except RingError:
            oldest = (ring.blocks_written - ring.slots) * CAPTURE_BLOCK
            assert start + length > ring.position or start < oldest
        else:
            assert np.array_equal(samples, stream[start : start + length])
    finally:
        ring.close()


def test_wrong_sizes_and_ranges(ring: CaptureRing) -> None:
    with pytest.raises(ValueError, match="640 bytes"):
        ring.write(b"short")
    with pytest.raises(RingError, match="not captured yet"):
        ring.read_range(0, 10)
    with pytest.raises(RingError, match="no such range"):
        ring.read_range(5, 4)
    for number in range(ring.slots + 20):
        ring.write(block(number))
    with pytest.raises(RingError, match="overwritten"):
        ring.read_range(0, 100)


def test_corrupt_block_is_never_delivered(ring: CaptureRing) -> None:
    reader = ring.reader("listen")
    for number in range(5):
        ring.write(block(number))
    segment = ring._segment
    at = 64 + 2 * segment._stride + 100
    segment._buffer[at] ^= 0x40
    assert [number_of(data) for data in iter(reader.read, None)] == [0, 1, 3, 4]
    assert reader.overruns == 1
    assert reader.retries == 1


def test_waiting_for_several_blocks(ring: CaptureRing) -> None:
    reader = ring.reader("other")
    assert not reader.wait(0.01, blocks=2)
    ring.write(block(0))
    assert not reader.wait(0.01, blocks=2)
    ring.write(block(1))
    assert reader.wait(0.01, blocks=2)


def test_a_wake_up_comes_with_the_last_of_several_blocks(ring: CaptureRing) -> None:
    reader = ring.reader("listen")
    woken = threading.Event()

    def wait() -> None:
        while not reader.wait(30.0, blocks=3):
            pass
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    ring.write(block(0))
    ring.write(block(1))
    assert not woken.wait(0.1)
    ring.write(block(2))
    assert woken.wait(30)
    thread.join()
    assert reader.depth == 3


def test_readers_do_not_disturb_each_other(ring: CaptureRing) -> None:
    first, second = ring.reader("listen"), ring.reader("other")
    ring.write(block(0))
    assert first.wait(1.0)
    assert first.read() == block(0)
    assert second.wait(1.0)
    assert second.read() == block(0)
    assert not first.wait(0.01)


# --- playback ---


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=40))
def test_playback_is_a_bounded_queue(steps: list[tuple[bool, int]]) -> None:
    ring = PlaybackRing(0.5)
    model: deque[bytes] = deque()
    try:
        for writing, amount in steps:
            for i in range(amount):
                if writing:
                    payload = os.urandom(2 * i)
                    accepted = ring.write(payload, turn_id=7, clause=i, rate=22_050)
                    assert accepted == (len(model) < ring.slots)
                    if accepted:
                        model.append(payload)
                else:
                    got = ring.read()
                    if not model:
                        assert got is None
                    else:
                        assert got is not None
                        assert got.payload == model.popleft()
                        assert (got.turn_id, got.rate, got.end) == (7, 22_050, False)
            assert ring.depth == len(model)
    finally:
        ring.close()


def test_back_pressure() -> None:
    ring = PlaybackRing(0.1)
    try:
        while ring.write(b"ab", turn_id=1, clause=1):
            pass
        assert not ring.wait_space(0.02)
        assert ring.read() is not None
        assert ring.wait_space(0.02)
        assert ring.write(b"", turn_id=1, clause=1, end=True)
        assert [b.end for b in ring.drain()][-1]
    finally:
        ring.close()


def test_a_corrupt_playback_block_is_dropped_and_the_rest_played() -> None:
    ring = PlaybackRing(0.5)
    try:
        for number in range(3):
            assert ring.write(block(number), turn_id=1, clause=1)
        segment = ring._segment
        segment._buffer[64 + segment._stride + 100] ^= 0x40
        assert [number_of(got.payload) for got in ring.drain()] == [0, 2]
        assert (ring.retries, ring.corrupt, ring.depth) == (1, 1, 0)
    finally:
        ring.close()


# --- between processes ---


def _read_all(ring: CaptureRing, wanted: int, result: object) -> None:
    reader = ring.reader("listen")
    reader.seek(0)
    last, got = -1, 0
    while got + reader.overruns < wanted:
        reader.wait(1.0)
        while (data := reader.read()) is not None:
            number = number_of(data)
            assert number > last
            last, got = number, got + 1
    result.send((got, reader.overruns))  # type: ignore[attr-defined]
    ring.close()


def test_between_two_processes() -> None:
    """A reader in another process sees every block whole, or counts it as lost."""
    before = shared_memory()
    ring = CaptureRing(4.0)
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    wanted = 100_000
    process = context.Process(target=_read_all, args=(ring, wanted, send))
    process.start()
    for number in range(wanted):
        ring.write(block(number))
    assert receive.poll(120)
    got, lost = receive.recv()
    process.join(10)
    assert process.exitcode == 0
    assert got + lost == wanted
    ring.close()
    assert shared_memory() == before


def _play_all(ring: PlaybackRing, result: object) -> None:
    numbers = []
    while True:
        ring.wait_data(1.0)
        for got in ring.drain():
            if got.end:
                result.send((numbers, got.turn_id))  # type: ignore[attr-defined]
                ring.close()
                return
            numbers.append(number_of(got.payload))
            assert got.clause == numbers[-1] % 100


def test_playback_between_two_processes() -> None:
    """The writer waits while the ring is full, so the other process misses nothing."""
    before = shared_memory()
    ring = PlaybackRing(0.5)
    ring.rate = 48_000
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_play_all, args=(ring, send))
    process.start()
    wanted = 5_000
    for number in range(wanted):
        while not ring.write(block(number), turn_id=3, clause=number % 100):
            ring.wait_space(1.0)
    while not ring.write(b"", turn_id=3, clause=0, end=True):
        ring.wait_space(1.0)
    assert receive.poll(60)
    assert receive.recv() == (list(range(wanted)), 3)
    process.join(10)
    assert process.exitcode == 0
    ring.close()
    assert shared_memory() == before


def test_what_a_dead_reader_leaves_the_next_one_takes() -> None:
    """A worker that is restarted gets the same ring, and goes on where the header says."""
    ring = PlaybackRing(0.5)
    try:
        for number in range(3):
            assert ring.write(block(number), turn_id=1, clause=1)
        assert ring.read() is not None
        copy = PlaybackRing.__new__(PlaybackRing)
        copy.__setstate__(ring.__getstate__())
        got = copy.read()
        assert got is not None
        assert number_of(got.payload) == 1
        assert ring.depth == 1
        copy._segment.close()
    finally:
        ring.close()
