"""The rings, and how each worker is started: its function, its rings, what it may do."""

from __future__ import annotations

from appliance import sound_jobs
from appliance.audio.ring_buffer import CaptureRing, PlaybackRing
from appliance.commands import BOX, FILE, PAGE
from appliance.engines import Engines
from appliance.settings import Settings
from appliance.supervisor import WorkerSpec

CAPTURE_SECONDS = 60.0
"""Longest utterance (28 s), and as much again for the workers to come back after a crash."""
PLAYBACK_SECONDS = 8.0


class Rings:
    """The rings by stream: the box's, those of browsers that talk, and those of sound files.

    Memory that nobody has written takes no room.
    """

    def __init__(self) -> None:
        # No worker waits for the sound of files: it is read when it is asked for.
        self.captures = {
            BOX: CaptureRing(CAPTURE_SECONDS),
            PAGE: CaptureRing(CAPTURE_SECONDS),
            FILE: CaptureRing(sound_jobs.RING_S, readers=()),
        }
        self.playbacks = {stream: PlaybackRing(PLAYBACK_SECONDS) for stream in (BOX, PAGE, FILE)}

    def close(self) -> None:
        """Give the memory back."""
        for capture in self.captures.values():
            capture.close()
        for playback in self.playbacks.values():
            playback.close()


def worker_spec(name: str, settings: Settings, engines: Engines, rings: Rings) -> WorkerSpec:
    """Return how a worker is started.

    The larger its model, the sooner it goes when memory runs out. A worker without a provider of
    its own gets no network: who asks a provider for words is the main process.
    """
    match name:
        case "audio":
            from appliance.audio import process as audio

            own = rings.captures[BOX], rings.playbacks[BOX]
            # A sound server that died can hold a call for ever; nothing it does takes this long.
            return WorkerSpec(
                name, audio.main, (*own, settings.audio, engines.sound_card), busy_limit_s=8.0
            )
        case "listen":
            from appliance.listen import process as listen

            heard = {stream: rings.captures[stream] for stream in (BOX, PAGE)}
            parts = engines.wake_word, engines.voice_activity, engines.turn_model
            return WorkerSpec(
                name, listen.main, (heard, settings.listen, *parts), oom_score_adj=100
            )
        case "stt":
            from appliance.stt import process as stt

            return WorkerSpec(
                name,
                stt.main,
                (rings.captures, engines.transcriber),
                oom_score_adj=300,
                network=name in engines.online,
            )
        case "tts":
            from appliance.tts import process as tts

            return WorkerSpec(
                name,
                tts.main,
                (rings.playbacks, settings.tts, engines.voices),
                oom_score_adj=300,
                network=name in engines.online,
            )
        case _:
            from appliance.llm import process as llm

            limit = settings.assistant.history_tokens
            return WorkerSpec(
                "llm",
                llm.main,
                (engines.language_models, limit),
                oom_score_adj=600,
                network=False,
            )
