"""What the light costs: from an event to the LED, and the processor time of each pattern.

A ring of twelve LEDs, the dearest layout: its frames are made and encoded, and go nowhere.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable

from appliance.events import StateChanged
from appliance.panel.apa102 import encode
from appliance.panel.device import Frame, Layout, Report
from appliance.panel.leds import TABLE
from appliance.panel.renderer import Layers, Look, Renderer


class Strip:
    """A ring on a hardware bus that takes the bytes and drops them."""

    layout = Layout("ring", 12)

    def __init__(self) -> None:
        self.shown: list[tuple[float, str]] = []

    async def start(self, report: Callable[[Report], None]) -> None:
        """There is nothing to start."""

    def show(self, frame: Frame) -> None:
        encode(frame.colours, frame.brightness)
        self.shown.append((time.monotonic(), frame.state))

    async def close(self) -> None:
        """There is nothing to close."""


def run(quick: bool) -> dict[str, float]:
    """Return milliseconds and per cent of a core."""
    return asyncio.run(_measure(50 if quick else 500, 1.0 if quick else 4.0))


async def _measure(changes: int, seconds: float) -> dict[str, float]:
    strip = Strip()
    layers = Layers()
    renderer = Renderer(strip, layers, Look())
    states = ["idle", "listening", "thinking", "speaking", "muted", "error"]
    late = []
    chance = random.Random(1)
    for number in range(changes):
        state = states[number % len(states)]
        began = time.monotonic()
        layers.apply(StateChanged(state=state), began)
        renderer.wake()
        await asyncio.sleep(chance.uniform(0.005, 0.03))
        late.append(min(at for at, shown in strip.shown if shown == state and at >= began) - began)
    costs = {}
    for pattern in TABLE:
        if pattern.name in ("starting", *states, "updating"):
            layers.apply(StateChanged(state=pattern.name), time.monotonic())
            renderer.wake()
            await asyncio.sleep(0.05)
            cpu = time.process_time()
            await asyncio.sleep(seconds)
            costs[pattern.name] = (time.process_time() - cpu) / seconds * 100
    renderer.stop()
    return {
        "event_to_led_median_ms": statistics.median(late) * 1000,
        "event_to_led_max_ms": max(late) * 1000,
        "cpu_percent_max": max(costs.values()),
        **{f"cpu_percent_{name}": cost for name, cost in costs.items()},
    }
