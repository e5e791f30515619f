"""What the page costs: a crowd of readers during spoken turns, one idle page, the first load.

The real service with real models on a virtual sound card; the readers are another process over
TCP, the page is opened by Debian's Chromium.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests import speech
from tests.service import Service
from tests.sound_card import VirtualSoundCard, virtual_sound_card
from tests.web.browser.chromium import Luna, Watched, chromium, pair

QUESTIONS = (
    "What is the capital of France?",
    "Which planet is closest to the sun?",
    "What is the largest ocean on Earth?",
    "Who wrote Romeo and Juliet?",
    "What is the boiling point of water?",
    "What is the capital of Portugal?",
    "What is a volcano?",
    "Who painted the Mona Lisa?",
)
LOAD_S = 60.0
"""The crowd stays at least so long."""
SETTLE_S = 5.0


def run(quick: bool) -> dict[str, float]:
    """Return the ratio of the times to the first sound, what was lost, and what the page costs."""
    with virtual_sound_card() as card, tempfile.TemporaryDirectory(prefix="luna-") as name:
        card.noise()
        folder = Path(name)
        luna = Luna(folder, {**card.env, "LUNA_CACHE__ENABLED": "false"})
        try:
            result = _crowd(luna, card, folder, QUESTIONS[:3] if quick else QUESTIONS)
            result |= _idle_page(luna, 10.0 if quick else 30.0)
            result |= _first_load(luna, 2 if quick else 5)
        finally:
            luna.stop()
    return result


def _crowd(
    luna: Luna, card: VirtualSoundCard, folder: Path, questions: tuple[str, ...]
) -> dict[str, float]:
    service = luna.service
    token = _token(luna)
    main = psutil.Process(service.process.pid)
    times: dict[bool, list[float]] = {False: [], True: []}
    drops = _drops(service)
    memory: list[float] = []
    loaded_s = 0.0
    _ask(service, card, folder, questions[0])  # what is loaded at the first turn is no part of it
    for question in questions:
        for crowded in (False, True):
            with _crowd_at(luna.origin, token, crowded):
                began = time.monotonic()
                times[crowded].append(_ask(service, card, folder, question))
                if crowded:
                    # So that all turns together see a crowd for a minute at least.
                    time.sleep(max(0.0, LOAD_S / len(questions) - (time.monotonic() - began)))
                    loaded_s += time.monotonic() - began
                    memory.append(main.memory_info().rss / 1e6)
            time.sleep(1.0)
    return {
        "crowd_seconds": loaded_s,
        "crowd_first_audio_ms": statistics.median(times[True]),
        "alone_first_audio_ms": statistics.median(times[False]),
        "crowd_ratio": statistics.median(times[True]) / statistics.median(times[False]),
        "crowd_drops": _drops(service) - drops,
        "crowd_memory_growth_mb": memory[-1] - memory[0],
    }


@contextmanager
def _crowd_at(url: str, token: str, present: bool) -> Iterator[None]:
    if not present:
        yield
        return
    crowd = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.web_load", url, token])
    try:
        time.sleep(SETTLE_S)
        yield
        assert crowd.poll() is None, "the crowd was turned away"
    finally:
        crowd.terminate()
        crowd.wait()


def _ask(service: Service, card: VirtualSoundCard, folder: Path, question: str) -> float:
    """Ask aloud; return milliseconds from the end of speech to the first sound."""
    wav = speech.say_to(folder / "question.wav", question)
    service.send("button_pressed")
    service.until_type("state_changed", state="listening")
    card.play(wav, wait=False)
    ended = service.until_type("turn_ended")[-1]
    assert ended["outcome"] == "answered", ended
    service.until_type("state_changed", state="idle")
    return float(ended["timings"]["first_audio_ms"])


def _drops(service: Service) -> float:
    stats = service.health()["workers"]
    return float(stats["audio"]["stats"]["device_overflows"] + stats["listen"]["stats"]["overruns"])


def _token(luna: Luna) -> str:
    """Have the box make a token, as `luna web tokens create` does."""
    import aiohttp

    async def make() -> str:
        folder = luna.service.env["XDG_RUNTIME_DIR"]
        connector = aiohttp.UnixConnector(os.path.join(folder, "luna/api.sock"))
        async with (
            aiohttp.ClientSession("http://luna", connector=connector) as web,
            web.post("/api/v1/tokens", json={"name": "crowd", "scope": "read"}) as answer,
        ):
            answer.raise_for_status()
            return str((await answer.json())["token"])

    return asyncio.run(make())


def _idle_page(luna: Luna, seconds: float) -> dict[str, float]:
    """Return what an open page costs the main process, beyond what it uses anyway."""
    main = psutil.Process(luna.service.process.pid)

    def load() -> float:
        before = main.cpu_times()
        time.sleep(seconds)
        after = main.cpu_times()
        return float(after.user + after.system - before.user - before.system) / seconds * 100

    with chromium() as browser:
        watched = Watched(browser, luna)
        pair(watched.page(), luna)
        time.sleep(2 * SETTLE_S)
        opened = load()
        watched.close()
    time.sleep(SETTLE_S)
    return {"idle_page_percent": opened - load(), "idle_main_percent": opened}


def _first_load(luna: Luna, times: int) -> dict[str, float]:
    """Return how long a fresh browser takes until the page can be used, and what it fetched."""
    ready: list[float] = []
    size = 0.0
    with chromium() as browser:
        watched = Watched(browser, luna)
        pair(watched.page(), luna)
        state = watched.context.storage_state()
        watched.close()
        for _ in range(times):
            watched = Watched(browser, luna, storage_state=state)
            page = watched.page()
            page.goto("/", wait_until="commit")
            page.locator(".state").wait_for()
            page.locator("textarea, input[type=text]").first.wait_for()
            ready.append(page.evaluate("performance.now()"))
            page.wait_for_timeout(500)
            size = page.evaluate(
                "performance.getEntries().reduce((sum, e) => sum + (e.transferSize || 0), 0)"
            )
            watched.close()
    return {"page_usable_ms": statistics.median(ready), "first_load_kb": size / 1000}
