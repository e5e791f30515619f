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
    catalogue = load_catalogue()
    models_dir = paths.models_dir(settings.general.models_dir)
    languages = tuple(dict.fromkeys((settings.general.language, *settings.general.languages)))
    speech_model = catalogue.get(settings.stt.model or catalogue.default("stt")).name
    chat_model = catalogue.get(settings.llm.chat_model or catalogue.default("chat")).name
    prompts_dir = paths.cache_dir() / "prompts"
    listen, audio = settings.listen, settings.audio
    wake_word = partial(_wake_word, listen.wake_words, listen.wake_threshold)
    turn_model = partial(_turn_model, catalogue.default("endpoint"), models_dir)
    return Engines(
        sound_card=partial(_sound_card, audio.input_device, audio.output_device),
        wake_word=wake_word if listen.wake_words else None,
        voice_activity=_voice_activity,
        turn_model=turn_model if listen.smart_turn else None,
        transcriber=partial(
            _transcriber, speech_model, models_dir, languages, settings.stt.threads
        ),
        chat=partial(_chat, chat_model, models_dir, prompts_dir, settings.llm),
        voices=partial(_voices, models_dir=models_dir, languages=languages),
    )


# Each runs in its worker's process and imports there, so that the main process stays light.


def _sound_card(*arguments: Any) -> Any:
    from appliance.audio.device import PortAudioCard

    return PortAudioCard(*arguments)


def _wake_word(*arguments: Any) -> Any:
    from appliance.listen.wake_word import MicroWakeWords

    return MicroWakeWords(*arguments)


def _voice_activity() -> Any:
    from appliance.listen.vad import SileroVoiceActivity

    return SileroVoiceActivity()


def _turn_model(*arguments: Any) -> Any:
    from appliance.listen.turn_model import SmartTurn

    return SmartTurn(*arguments)


def _transcriber(*arguments: Any) -> Any:
    from appliance.stt import whisper

    return whisper.load(*arguments)


def _chat(*arguments: Any) -> Any:
    from appliance.llm import process

    return process.load(*arguments)


def _voices(*arguments: Any, **options: Any) -> Any:
    from appliance.tts import voices

    return voices.load(*arguments, **options)


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
