"""How fast this machine reads its memory: what limits the speed of a language model.

For each token a model of N bytes reads about N bytes, so that bandwidth / N is the most that it
can write.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from appliance.clock import monotonic

_BYTES = 64 << 20
"""Of each thread: far more than a cache of its own holds."""
_ROUNDS = 8


def cores(threads: int = 0) -> int:
    """Return the threads that models use: *threads*, or with 0 all cores but not more than four."""
    return threads or min(os.cpu_count() or 1, 4)


def memory_bandwidth(threads: int = 0, *, size: int = _BYTES, rounds: int = _ROUNDS) -> float:
    """Return bytes per second that *threads* (0: as models use) read together.

    Each thread looks for the greatest of its numbers, which is one pass over them and less work
    than they take to arrive. As in STREAM (J. D. McCalpin, 1995) the best of several rounds
    counts: everything that disturbs makes it slower.
    """
    import numpy as np

    count = cores(threads)
    vectors = [np.ones(size // 4, np.float32) for _ in range(count)]
    best = 0.0
    with ThreadPoolExecutor(count) as pool:
        for _ in range(rounds):
            began = monotonic()
            for result in [pool.submit(vector.max) for vector in vectors]:
                result.result()
            best = max(best, count * size / max(monotonic() - began, 1e-9))
    return best
