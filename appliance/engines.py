"""Which implementation stands behind each worker: the real ones, fakes, or files for a sound card.

Each entry is a function without arguments that can be handed to a new process and builds the
engine there, so that nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import paths
from appliance.llm.roles import is_installed, role_models
from appliance.missing_models import Missing, missing
from appliance.models.catalogue import load_catalogue, verify
from appliance.settings import PanelSettings, Settings

if TYPE_CHECKING:
    from appliance.knowledge.embeddings import LlamaEmbedder


def _panels(settings: PanelSettings) -> Mapping[str, Any]:
    from appliance.panel.build import build

    return build(settings)


def _mock_panels(settings: PanelSettings) -> Mapping[str, Any]:
    from appliance.panel.build import build
    from appliance.panel.gpio import mock_pins

    return build(settings, mock_pins)


@dataclass(frozen=True)
class Engines:
    """Builders for the workers' engines; see the protocols beside each implementation."""

    sound_card: Callable[[], Any]
    wake_word: Callable[[], Any] | None
    voice_activity: Callable[[], Any]
    turn_model: Callable[[], Any] | None
    transcriber: Callable[[], Any]
    language_models: Callable[[], Any]
    model_names: Mapping[str, str]
    """Of the language model by role; none for a role whose model is not installed."""
    voices: Callable[..., Any]
    online: frozenset[str] = frozenset()
    """Workers that ask providers of the owner's, and so need the network: ``stt``, ``tts``."""
    missing_models: Callable[[], Missing] = Missing
    """Says which models these engines lack."""
    panels: Callable[[PanelSettings], Mapping[str, Any]] = _panels
    """The panels by name; these live in the main process."""


def real(settings: Settings) -> Engines:
    """Return the engines that the settings and the catalogue name.

    Raises:
        ModelError: the catalogue is damaged, or a model's name is not in it.
    """
    catalogue = load_catalogue()
    models_dir = paths.models_dir(settings.general.models_dir)
    languages = tuple(dict.fromkeys((settings.general.language, *settings.general.languages)))
    speech_model = catalogue.get(settings.stt.model or catalogue.default("stt")).name
    roles = role_models(settings.llm, catalogue, models_dir)
    prompts_dir = paths.cache_dir() / "prompts"
    listen, audio = settings.listen, settings.audio
    wake_word = partial(_wake_word, listen.wake_words, listen.wake_threshold)
    turn_model = partial(_turn_model, catalogue.default("endpoint"), models_dir)
    return Engines(
        sound_card=partial(_sound_card, audio.input_device, audio.output_device),
        wake_word=wake_word if listen.wake_words else None,
        voice_activity=_voice_activity,
        turn_model=turn_model if listen.smart_turn else None,
        transcriber=_with_providers(
            settings,
            partial(_transcriber, speech_model, models_dir, languages, settings.stt.threads),
        ),
        language_models=partial(_language_models, roles, models_dir, prompts_dir, settings.llm),
        model_names={
            role: found.model.name
            for role, found in roles.items()
            if is_installed(found.model, models_dir)
        },
        voices=_with_voices(settings, partial(_voices, models_dir=models_dir, languages=languages)),
        online=_online(settings),
        missing_models=partial(missing, settings, catalogue, models_dir),
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


def _with_providers(settings: Settings, build: Callable[[], Any]) -> Callable[[], Any]:
    """Return what builds a transcriber that can also ask the owner's providers, if any can."""
    return partial(_remote_transcriber, settings, build) if _wanted(settings, "stt") else build


def _with_voices(settings: Settings, build: Callable[..., Any]) -> Callable[..., Any]:
    """Return what builds voices that know those of the owner's providers, if there are any."""
    return partial(_remote_voices, settings, build) if _wanted(settings, "tts") else build


def _wanted(settings: Settings, role: str) -> bool:
    """Return whether anybody but the box may have to do with *role*."""
    routing = settings.routing
    policies = {str(name): policy for name, policy in routing.policy.items()}
    return role in map(str, routing.provider) or policies.get(role) in ("cloud_first", "cloud")


def _online(settings: Settings) -> frozenset[str]:
    """Return the workers that may have to ask somebody."""
    return frozenset(role for role in ("stt", "tts") if _wanted(settings, role))


def _remote_voices(settings: Settings, build: Callable[..., Any], *arguments: Any) -> Any:
    from appliance.providers.assembly import usable
    from appliance.providers.blocking import BlockingVoice
    from appliance.tts.remote import WithProviders

    remotes = {
        name: {language: BlockingVoice(provider, key, language) for language in provider.voices}
        for name, (provider, key) in usable(settings, "tts").items()
    }
    return WithProviders(build(*arguments), remotes)


def _remote_transcriber(settings: Settings, build: Callable[[], Any]) -> Any:
    from appliance.providers.assembly import usable
    from appliance.providers.blocking import BlockingTranscriber
    from appliance.stt.remote import WithProviders

    remotes = {
        name: BlockingTranscriber(provider, key)
        for name, (provider, key) in usable(settings, "stt").items()
    }
    languages = (settings.general.language, *settings.general.languages)
    return WithProviders(build(), remotes, languages)


def _language_models(*arguments: Any) -> Any:
    from appliance.llm import process

    return process.load(*arguments)


def _voices(*arguments: Any, **options: Any) -> Any:
    from appliance.tts import voices

    return voices.load(*arguments, **options)


def embedder(settings: Settings, limit_s: float | None = None) -> LlamaEmbedder | None:
    """Return the model for embeddings, if one is configured; it is loaded when it is needed.

    Raises:
        ModelError: the catalogue does not know it.
    """
    name = settings.knowledge.embedding_model
    if not name:
        return None
    from appliance.knowledge.embeddings import LIMIT_S, LlamaEmbedder

    model = load_catalogue().get(name)
    models_dir = paths.models_dir(settings.general.models_dir)

    def find() -> Path:
        (path,) = verify(model, models_dir).values()
        return path

    return LlamaEmbedder(find, name, limit_s=limit_s or LIMIT_S)


def fake(settings: Settings) -> Engines:
    """Return engines that need no sound card and no model."""
    from appliance import fakes

    return Engines(
        sound_card=fakes.FakeSoundCard,
        wake_word=fakes.FakeWakeWord,
        voice_activity=fakes.FakeVoiceActivity,
        turn_model=fakes.FakeTurnModel,
        transcriber=_with_providers(settings, fakes.FakeTranscriber),
        language_models=fakes.load_language_models,
        model_names=dict.fromkeys(("chat", "code", "vision"), "fake"),
        voices=_with_voices(
            settings, partial(fakes.load_voices, language=settings.general.language)
        ),
        online=_online(settings),
        panels=_mock_panels,
    )


def with_files(engines: Engines, source: Path, target: Path) -> Engines:
    """Return *engines* with two files in the place of the sound card."""
    from appliance.audio.file_device import FileCard

    return replace(engines, sound_card=partial(FileCard, source, target))
