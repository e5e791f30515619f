"""How soon Luna hears after her start, and what she costs while nobody speaks to her.

The real service with real models on a virtual sound card whose microphone carries faint noise.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import psutil

from tests.service import service
from tests.sound_card import virtual_sound_card


def run(quick: bool) -> dict[str, float]:
    """Return seconds from the start to "listening", and the idle load in percent of one core."""
    starts = []
    result: dict[str, float] = {}
    with virtual_sound_card() as card:
        card.noise()
        for number in range(3 if quick else 10):
            with tempfile.TemporaryDirectory(prefix="luna-") as name:
                began = time.monotonic()
                with service(Path(name), env=card.env) as luna:
                    idle = luna.until(_hears)[-1]
                    starts.append(idle["at"] - began)
                    if number == 0:
                        luna.until_ready()
                        result |= _idle_load(luna, 10.0 if quick else 60.0)
    result["listening_s"] = statistics.median(starts)
    result["listening_s_worst"] = max(starts)
    return result


def _hears(event: dict[str, object]) -> bool:
    return event["type"] == "state_changed" and event["state"] == "idle"


def _idle_load(luna: object, seconds: float) -> dict[str, float]:
    time.sleep(8)  # the speaker closes, caches settle
    workers = luna.health()["workers"]  # type: ignore[attr-defined]
    processes = {name: psutil.Process(workers[name]["pid"]) for name in workers}
    processes["main"] = psutil.Process(luna.process.pid)  # type: ignore[attr-defined]
    before = {name: _cpu(process) for name, process in processes.items()}
    time.sleep(seconds)
    load = {
        f"idle_{name}_percent": (_cpu(process) - before[name]) / seconds * 100
        for name, process in processes.items()
    }
    total = load["idle_audio_percent"] + load["idle_listen_percent"]
    return {"idle_cpu_percent": total, **load}


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
