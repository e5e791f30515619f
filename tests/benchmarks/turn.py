"""From the end of speech to the first sample of the answer in the playback ring.

Luna runs whole: five processes, both rings, a recording as the microphone in real time, the
button opening it before each question. The naive pipeline (:mod:`tests.benchmarks.naive`)
answers each question right after Luna did, in the same run, while Luna is idle.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from appliance import engines
from appliance.app import App
from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE
from appliance.clock import monotonic
from appliance.events import ButtonPressed, TurnEnded, UtteranceEnded
from appliance.settings import Settings
from tests.room_card import RoomCard

QUESTIONS = (
    "What is the capital of France?",
    "What is two plus two?",
    "Who wrote Romeo and Juliet?",
    "What is the tallest mountain in the world?",
    "Which planet is closest to the sun?",
    "Why is the sky blue?",
    "How do I boil an egg?",
    "What does photosynthesis mean?",
    "How many days are there in a leap year?",
    "What is the largest ocean on Earth?",
    "Tell me a joke.",
    "What language do they speak in Brazil?",
    "How far away is the moon?",
    "What is the opposite of hot?",
    "Can you explain how a battery works in simple words?",
    "What is the chemical symbol for gold?",
    "Who painted the Mona Lisa?",
    "How many legs does a spider have?",
    "What is the boiling point of water?",
    "Give me a tip for a good night's sleep.",
    "What colour do you get when you mix blue and yellow?",
    "Which animal is the fastest on land?",
    "What is the capital of Portugal?",
    "How long does it take to cook rice?",
    "What is ten minus three?",
    "Name three fruits.",
    "What is a volcano?",
    "Is a tomato a fruit or a vegetable?",
    "When is the best time to plant roses?",
    "What should I wear when it rains?",
)
SNR_DB = 25.0
QUIET_S = 3.0
"""Quiet around each question in the recording that the naive pipeline gets."""


def run(quick: bool) -> dict[str, float]:
    """Return medians and p95 in ms, and the ratios."""
    return asyncio.run(_run(QUESTIONS[:6] if quick else QUESTIONS))


async def _run(questions: tuple[str, ...]) -> dict[str, float]:
    # Not at the top: every worker of Luna imports the main module of this process.
    from tests.benchmarks.naive import NaivePipeline
    from tests.benchmarks.speech_clips import english_voice, noisy, spoken

    voice = english_voice()
    generator = np.random.default_rng(3)
    settings = Settings()
    settings = replace(
        settings,
        listen=replace(settings.listen, follow_up_s=0.0),
        audio=replace(settings.audio, speaker_idle_s=0.0, zeros_after_s=0.0, earcons=False),
    )
    naive = NaivePipeline(settings.llm.max_tokens, settings.llm.temperature)
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Every answer is written by the model, and the owner's conversation is left alone.
        settings = replace(
            settings,
            general=replace(settings.general, data_dir=name),
            cache=replace(settings.cache, enabled=False),
        )
        parts = replace(engines.real(settings), sound_card=partial(RoomCard, folder))
        async with App(settings, parts) as app:
            await app.ready()
            await asyncio.sleep(2)
            for number, question in enumerate(questions):
                speech = spoken(voice, question)
                quiet = np.zeros(int(QUIET_S * CAPTURE_RATE), np.float32)
                samples = noisy(np.concatenate((speech, quiet)), SNR_DB, generator)
                # `spoken` leaves 150 ms after the last audible sample.
                speech_end = len(speech) - CAPTURE_RATE * 15 // 100
                row = await _ask(app, folder, number, samples, speech_end)
                other = await asyncio.to_thread(naive.turn, samples, speech_end)
                row |= {f"naive_{key}": v for key, v in vars(other).items() if key != "answer"}
                rows.append(row)
                print(
                    f"{question:55} {row['first_audio_ms']:6.0f} {other.first_audio_ms:6.0f}",
                    file=sys.stderr,
                    flush=True,
                )
    return _summary(rows)


async def _ask(
    app: App, folder: Path, number: int, samples: np.ndarray, speech_end: int
) -> dict[str, float]:
    """Say one question to Luna and return her times."""
    moments: dict[str, float] = {}

    def note(event: object) -> None:
        if isinstance(event, UtteranceEnded):
            moments["endpoint"] = event.at
            moments["reason_complete"] = float(event.reason == "complete")

    app.bus.listen(note)
    events = app.events()
    await anext(events)
    app.request(ButtonPressed())
    started = RoomCard.say(folder, number, samples)
    while not started.exists():
        await asyncio.sleep(0.005)
    # The block number with which the recording began; when it was captured tells the rest.
    first_block = int(started.read_text())
    async with asyncio.timeout(60):
        async for event in events:
            if isinstance(event, TurnEnded):
                break
    ended_position = first_block * CAPTURE_BLOCK + speech_end
    speech_ended = monotonic() - (app.capture.position - ended_position) / CAPTURE_RATE
    timings = event.timings
    # The turn's own clock starts at the end of speech as voice activity saw it; this one at the
    # true end, known from the recording.
    base = event.at - timings["total_ms"] / 1000
    shift = (base - speech_ended) * 1000
    return {
        "first_audio_ms": timings["first_audio_ms"] + shift,
        "endpoint_ms": (moments["endpoint"] - speech_ended) * 1000,
        "stt_ms": timings["stt_ms"],
        "first_token_ms": timings["first_token_ms"] + shift,
        "complete": moments["reason_complete"],
    }


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    result: dict[str, float] = {"questions": len(rows)}
    for key in rows[0]:
        values = [row[key] for row in rows]
        result[f"{key}_median"] = statistics.median(values)
        result[f"{key}_p95"] = statistics.quantiles(values, n=20)[-1]
    result["median_ratio"] = result["first_audio_ms_median"] / result["naive_first_audio_ms_median"]
    result["p95_ratio"] = result["first_audio_ms_p95"] / result["naive_first_audio_ms_p95"]
    return result
