"""The capture ring against ``multiprocessing.Queue``: wake-up latency, and no block lost.

Latency is from just before the writer hands over a 640-byte block to when a reader in another
process holds it. Ring and queue take turns block by block, so that whatever else the machine
does meets both alike. Settings: ``idle`` (nothing else of this benchmark's runs) and ``busy``
(two processes loop for ever). In both the ring's reader has the real-time priority that it has
in Luna, where that is permitted; in ``idle_plain`` and ``busy_plain`` it has none.
"""

from __future__ import annotations

import multiprocessing
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from appliance.audio.ring_buffer import CAPTURE_BLOCK, CaptureReader, CaptureRing
from appliance.realtime import hurry

BYTES = CAPTURE_BLOCK * 2
PACE_S = 0.001
"""From one block to the next; each of the two gets every second one."""
LIMIT_S = 60.0
SETTLE = 50
"""Blocks at the beginning that do not count: imports and page faults."""
RING_S = 4.0
GUARD = 16
"""Blocks that the paced writer stays clear of being overwritten."""

_CONTEXT = multiprocessing.get_context("spawn")


def run(quick: bool) -> dict[str, float]:
    """Return latencies in microseconds, their ratios, and what the integrity run lost."""
    blocks = 1_500 if quick else 10_000
    figures: dict[str, float] = {}
    for setting, busy, priority in (
        ("idle", 0, True),
        ("idle_plain", 0, False),
        ("busy", 2, True),
        ("busy_plain", 2, False),
    ):
        ring, queue = latencies(blocks, busy, priority)
        for name, values in (("ring", ring), ("queue", queue)):
            figures[f"{name}_p50_us_{setting}"] = float(np.percentile(values, 50)) / 1000
            figures[f"{name}_p99_us_{setting}"] = float(np.percentile(values, 99)) / 1000
        figures[f"p99_ratio_{setting}"] = float(np.percentile(ring, 99) / np.percentile(queue, 99))
    return figures | integrity(200_000 if quick else 10_000_000)


# --- latency ---


def latencies(blocks: int, busy: int, priority: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the wake-up latencies of ring and queue in nanoseconds, *blocks* of each."""
    with ExitStack() as stack:
        ring = CaptureRing(RING_S)
        stack.callback(ring.close)
        queue: Any = _CONTEXT.Queue()
        from_ring = stack.enter_context(_reader(_read_ring, ring, blocks, priority))
        from_queue = stack.enter_context(_reader(_read_queue, queue, blocks))
        for _ in range(busy):
            stack.enter_context(_process(_burn))
        _receive(from_ring)
        _receive(from_queue)
        for _ in range(blocks):
            time.sleep(PACE_S)
            ring.write(_stamped())
            time.sleep(PACE_S)
            queue.put(_stamped())
        return _receive(from_ring)[SETTLE:], _receive(from_queue)[SETTLE:]


def _stamped() -> bytes:
    return struct.pack("<Q", time.monotonic_ns()) + bytes(BYTES - 8)


def _age(block: bytes) -> int:
    return time.monotonic_ns() - int.from_bytes(block[:8], "little")


def _read_ring(answer: Connection, ring: CaptureRing, blocks: int, priority: bool) -> None:
    reader = ring.reader("listen")
    if priority:
        hurry()
    ages: list[int] = []
    answer.send("ready")
    while len(ages) < blocks:
        reader.wait(LIMIT_S)
        while (block := reader.read()) is not None:
            ages.append(_age(block))
    answer.send(np.array(ages))
    ring.close()


def _read_queue(answer: Connection, queue: Any, blocks: int) -> None:
    answer.send("ready")
    answer.send(np.array([_age(queue.get(timeout=LIMIT_S)) for _ in range(blocks)]))


def _burn(_answer: Connection) -> None:
    while True:
        pass


# --- integrity ---


def integrity(blocks: int) -> dict[str, float]:
    """Send *blocks* blocks to another process as fast as it takes them; count what is wrong.

    The writer stays behind the reader's published position, so nothing may be overwritten.
    """
    ring = CaptureRing(RING_S)
    taken: Any = _CONTEXT.RawValue("Q", 0)
    began = time.monotonic()
    try:
        with _reader(_check, ring, taken, blocks) as answer:
            _receive(answer)
            room = ring.slots - GUARD
            for number in range(blocks):
                while number - taken.value >= room:
                    time.sleep(0.0002)
                ring.write(_numbered(number))
            lost, corrupt, retries = _receive(answer)
    finally:
        ring.close()
    return {
        "blocks": float(blocks),
        "lost": float(lost),
        "corrupt": float(corrupt),
        "lost_or_corrupt": float(lost + corrupt),
        "retries": float(retries),
        "blocks_per_s": blocks / (time.monotonic() - began),
    }


def _numbered(number: int) -> bytes:
    """Return a block of which every byte depends on its number."""
    return struct.pack("<Q", number * 0x9E3779B97F4A7C15 % 2**64) * (BYTES // 8)


def _check(answer: Connection, ring: CaptureRing, taken: Any, blocks: int) -> None:
    reader: CaptureReader = ring.reader("listen")
    answer.send("ready")
    corrupt = 0
    while (number := reader.position // CAPTURE_BLOCK) < blocks:
        reader.wait(LIMIT_S)
        while (block := reader.read()) is not None:
            corrupt += block != _numbered(number)
            number = taken.value = reader.position // CAPTURE_BLOCK
    answer.send((reader.overruns, corrupt, reader.retries))
    ring.close()


# --- processes ---


@contextmanager
def _process(target: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Run *target* with a connection to answer on; it does not outlive the context."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process: BaseProcess = _CONTEXT.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


_reader = _process


def _receive(answer: Connection) -> Any:
    """Return what the other process says next.

    Raises:
        TimeoutError: it says nothing.
    """
    if not answer.poll(LIMIT_S):
        raise TimeoutError("the reader does not answer")
    return answer.recv()
