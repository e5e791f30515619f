"""Which voice speaks which language, and what speaks when that one cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from appliance.errors import ModelError
from appliance.models.catalogue import Catalogue, load_catalogue, verify
from appliance.settings import TtsSettings
from appliance.tts.espeak import NAME as ESPEAK
from appliance.tts.espeak import EspeakVoice
from appliance.tts.piper import PiperVoice, Voice


class Voices(Protocol):
    """All voices of the appliance."""

    @property
    def detail(self) -> str:
        """What is loaded, for a person."""

    def candidates(self, language: str) -> Iterator[Voice]:
        """Yield the voices for *language*, best first; the next is for when one fails."""


class InstalledVoices:
    """The voices named by the settings or the catalogue, and espeak-ng behind them.

    The first language's voice is loaded at once, another's when it is first needed. A voice
    that cannot be loaded is reported once, with the command that repairs it, and espeak-ng
    takes its place.

    Args:
        languages: the first is what Luna speaks when she cannot tell.
        warn: takes one sentence for the owner.

    Raises:
        ModelError: not even espeak-ng can speak the first language.
    """

    def __init__(
        self,
        settings: TtsSettings,
        warn: Callable[[str], None],
        *,
        models_dir: Path,
        languages: Sequence[str],
        catalogue: Catalogue,
    ) -> None:
        self._settings = settings
        self._warn = warn
        self._models_dir = models_dir
        self._languages = tuple(languages)
        self._catalogue = catalogue
        self._loaded: dict[str, Voice] = {}
        self._fallbacks: dict[str, Voice] = {}
        first = next(self.candidates(self._languages[0]), None)
        if first is None:
            raise ModelError(
                f"no voice can speak {self._languages[0]}: install the one in the catalogue with "
                "`luna models pull`, or the fallback with `sudo apt-get install espeak-ng`"
            )
        self.detail = f"{first.name} ({first.language}, {first.rate} Hz)"

    def candidates(self, language: str) -> Iterator[Voice]:
        """See :meth:`Voices.candidates`; a language that is not configured gets the first one."""
        if language not in self._languages:
            language = self._languages[0]
        if language not in self._loaded:
            try:
                self._loaded[language] = self._load(language)
            except ModelError as error:
                self._warn(f"{error}; {ESPEAK} speaks {language} in its place")
        voice = self._loaded.get(language)
        if voice is not None:
            yield voice
        if voice is None or voice.name != ESPEAK:
            try:
                if language not in self._fallbacks:
                    self._fallbacks[language] = EspeakVoice(language, self._settings.speed)
                self._loaded.setdefault(language, self._fallbacks[language])
                yield self._fallbacks[language]
            except ModelError as error:
                self._warn(str(error))

    def _load(self, language: str) -> Voice:
        """Return the wanted voice of *language*."""
        speed = self._settings.speed
        wanted = {str(key): name for key, name in self._settings.voices.items()}
        name = wanted.get(language) or self._catalogue.voice(language) or ESPEAK
        if name == ESPEAK:
            return EspeakVoice(language, speed)
        files = verify(self._catalogue.get(name), self._models_dir)
        model = next(path for path in files.values() if path.suffix == ".onnx")
        return PiperVoice(model, model.with_name(model.name + ".json"), name, language, speed)


def load(
    settings: TtsSettings,
    warn: Callable[[str], None],
    *,
    models_dir: Path,
    languages: Sequence[str],
) -> InstalledVoices:
    """Load the voices that *settings* ask for from the catalogue's models in *models_dir*."""
    return InstalledVoices(
        settings, warn, models_dir=models_dir, languages=languages, catalogue=load_catalogue()
    )
