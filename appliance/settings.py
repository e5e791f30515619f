"""The configuration as frozen dataclasses: one class a section, the default beside each key.

Loading, environment and error reports are in :mod:`appliance.config`. These classes are handed
to the workers, so this module imports nothing heavy; limits are ``annotated_types``, which
pydantic checks when the file is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, MaxLen

Percent = Annotated[int, Interval(ge=0, le=100)]
Probability = Annotated[float, Interval(ge=0.0, le=1.0)]
Seconds = Annotated[float, Interval(ge=0.0, le=3600.0)]
Language = Literal["en", "pt"]
_STRICT = {"extra": "forbid"}


@dataclass(frozen=True)
class GeneralSettings:
    """[general]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    language: Language = "en"
    """What Luna speaks when she cannot tell the speaker's language."""
    languages: tuple[Language, ...] = ("en", "pt")
    """What may be spoken to her."""
    data_dir: str = ""
    """All state; empty: /var/lib/luna for the service, else the user's data folder."""
    models_dir: str = ""
    """Model files; empty: /var/cache/luna/models for the service, else the user's cache."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True)
class AudioSettings:
    """[audio]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    input_device: str = ""
    """Part of the microphone's name as in `luna devices`; empty: the system's default."""
    output_device: str = ""
    """Part of the speaker's name; empty: the system's default."""
    volume: Percent = 80
    earcons: bool = True
    """Short signals when the wake word was heard and when something failed."""
    earcon_volume: Percent = 40
    deaf_after_s: Seconds = 1.0
    """No block for so long: the microphone is opened again."""
    zeros_after_s: Seconds = 10.0
    """Digital zeros for so long mean a dead microphone; 0 switches this check off."""
    speaker_idle_s: Seconds = 5.0
    """The speaker is closed after so long without sound; 0 keeps it open."""


@dataclass(frozen=True)
class ListenSettings:
    """[listen]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    wake_words: tuple[str, ...] = ("okay_nabu",)
    """Names of wake-word models; empty: only the button opens the microphone."""
    wake_threshold: Probability | None = None
    """Mean probability that counts as heard; unset: the model's own."""
    vad_threshold: Probability = 0.5
    pause_ms: Annotated[int, Interval(ge=60, le=2000)] = 200
    """Silence after which the end of the turn is considered."""
    speculate_ms: Annotated[int, Interval(ge=60, le=2000)] = 96
    """Silence after which transcription begins on the chance that the turn is over."""
    smart_turn: bool = True
    """Ask the end-of-turn model; without it the turn ends after `max_silence_ms`."""
    smart_turn_threshold: Probability = 0.5
    max_silence_ms: Annotated[int, Interval(ge=200, le=5000)] = 1200
    """Silence that ends the turn whatever the end-of-turn model says."""
    wait_for_speech_s: Seconds = 6.0
    follow_up_s: Seconds = 6.0
    """How long the microphone stays open after an answer that asks something; 0: not at all."""
    max_utterance_s: Annotated[float, Interval(ge=2.0, le=28.0)] = 28.0
    barge_in_by_speech: bool = False
    """Speech (not only wake word and button) interrupts Luna. Needs echo cancellation."""


@dataclass(frozen=True)
class SttSettings:
    """[stt]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    model: Annotated[str, MaxLen(200)] = ""
    """Name in the catalogue; empty: the default for this machine's memory."""
    threads: Annotated[int, Interval(ge=0, le=64)] = 0
    """0: all cores but none more than four."""


@dataclass(frozen=True)
class LlmSettings:
    """[llm]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    chat_model: Annotated[str, MaxLen(200)] = ""
    """Name in the catalogue; empty: its default."""
    context_tokens: Annotated[int, Interval(ge=512, le=131072)] = 2048
    max_tokens: Annotated[int, Interval(ge=8, le=8192)] = 200
    """Length of a spoken answer at most."""
    temperature: Annotated[float, Interval(ge=0.0, le=2.0)] = 0.3
    threads: Annotated[int, Interval(ge=0, le=64)] = 0
    """0: all cores but none more than four."""


@dataclass(frozen=True)
class TtsSettings:
    """[tts]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    voices: dict[Language, str] = field(default_factory=dict)
    """Voice by language, names in the catalogue or `espeak-ng`; unset: the catalogue's."""
    speed: Annotated[float, Interval(ge=0.5, le=2.0)] = 1.0


@dataclass(frozen=True)
class AssistantSettings:
    """[assistant]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    history_tokens: Annotated[int, Interval(ge=0, le=65536)] = 1000
    """Tokens of the conversation so far that go into a prompt."""
    filler_after_s: Seconds = 4.0
    """A reply that has not begun after so long is bridged with one short sentence; 0: never."""
    give_up_after_s: Annotated[float, Interval(ge=5.0, le=600.0)] = 60.0
    """A turn without any progress for so long ends with an apology."""


@dataclass(frozen=True)
class WebSettings:
    """[web]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    enabled: bool = True
    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    """Loopback only until pairing exists."""
    port: Annotated[int, Interval(ge=0, le=65535)] = 8080
    """0 chooses a free port."""


@dataclass(frozen=True)
class Settings:
    """The whole configuration."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    general: GeneralSettings = field(default_factory=GeneralSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    listen: ListenSettings = field(default_factory=ListenSettings)
    stt: SttSettings = field(default_factory=SttSettings)
    llm: LlmSettings = field(default_factory=LlmSettings)
    tts: TtsSettings = field(default_factory=TtsSettings)
    assistant: AssistantSettings = field(default_factory=AssistantSettings)
    web: WebSettings = field(default_factory=WebSettings)
