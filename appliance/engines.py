"""Which implementation stands behind each worker: the real ones, fakes, or files for a sound card.

Each entry is a function without arguments that can be handed to a new process and builds the
engine there, so that nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from appliance import paths
from appliance.models.catalogue import load_catalogue
from appliance.settings import Settings


@dataclass(frozen=True)
class Engines:
    """Builders for the workers' engines; see the protocols beside each implementation."""

    sound_card: Callable[[], Any]
    wake_word: Callable[[], Any] | None
    voice_activity: Callable[[], Any]
    turn_model: Callable[[], Any] | None
    transcriber: Callable[[], Any]
    chat: Callable[[], Any]
    voices: Callable[..., Any]


def real(settings: Settings) -> Engines:
    """Return the engines that the settings and the catalogue name.

    Raises:
        ModelError: the catalogue is damaged, or a model's name is not in it.
    """
    from appliance.audio.device import PortAudioCard
    from appliance.listen.turn_model import SmartTurn
    from appliance.listen.vad import SileroVoiceActivity
    from appliance.listen.wake_word import MicroWakeWords
    from appliance.llm import process as llm
    from appliance.stt import whisper
    from appliance.tts import voices

    catalogue = load_catalogue()
    models_dir = paths.models_dir(settings.general.models_dir)
    languages = (settings.general.language, *settings.general.languages)
    languages = tuple(dict.fromkeys(languages))
    speech_model = catalogue.get(settings.stt.model or catalogue.default("stt")).name
    chat_model = catalogue.get(settings.llm.chat_model or catalogue.default("chat")).name
    listen, audio = settings.listen, settings.audio
    return Engines(
        sound_card=partial(PortAudioCard, audio.input_device, audio.output_device),
        wake_word=(
            partial(MicroWakeWords, listen.wake_words, listen.wake_threshold)
            if listen.wake_words
            else None
        ),
        voice_activity=SileroVoiceActivity,
        turn_model=(
            partial(SmartTurn, catalogue.default("endpoint"), models_dir)
            if listen.smart_turn
            else None
        ),
        transcriber=partial(whisper.load, speech_model, models_dir, languages, settings.stt.threads),
        chat=partial(
            llm.load, chat_model, models_dir, paths.cache_dir() / "prompts", settings.llm
        ),
        voices=partial(voices.load, models_dir=models_dir, languages=languages),
    )


def fake(settings: Settings) -> Engines:
    """Return engines that need no sound card and no model."""
    from appliance import fakes

    return Engines(
        sound_card=fakes.FakeSoundCard,
        wake_word=fakes.FakeWakeWord,
        voice_activity=fakes.FakeVoiceActivity,
        turn_model=fakes.FakeTurnModel,
        transcriber=fakes.FakeTranscriber,
        chat=fakes.FakeChatEngine,
        voices=partial(fakes.load_voices, language=settings.general.language),
    )


def with_files(engines: Engines, source: Path, target: Path) -> Engines:
    """Return *engines* with two files in the place of the sound card."""
    from appliance.audio.file_device import FileCard

    return replace(engines, sound_card=partial(FileCard, source, target))
