"""The way from speaker to microphone of the virtual sound card, of known length and loudness."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.sound_card import VirtualSoundCard


def pactl(card: VirtualSoundCard, *words: str) -> str:
    """Give the sound server an order; return what it says."""
    done = subprocess.run(
        ["pactl", *words], env=card.env, check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()


@contextmanager
def loop(card: VirtualSoundCard, latency_ms: int = 100, decibels: int = 0) -> Iterator[None]:
    """Let the microphone hear the speaker, *latency_ms* later and so much louder or softer."""
    module = pactl(
        card,
        "load-module",
        "module-loopback",
        "source=luna_speaker.monitor",
        "sink=luna_mic_feed",
        f"latency_msec={latency_ms}",
    )
    if decibels:
        pactl(card, "set-sink-volume", "luna_mic_feed", f"{decibels:+d}dB")
    try:
        yield
    finally:
        pactl(card, "unload-module", module)
        pactl(card, "set-sink-volume", "luna_mic_feed", "100%")
