"""The configuration as frozen dataclasses: one class a section, the default beside each key.

Loading, environment and error reports are in :mod:`appliance.config`. These classes are handed
to the workers, so this module imports nothing heavy; limits are ``annotated_types``, which
pydantic checks when the file is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval, MaxLen, Predicate

Percent = Annotated[int, Interval(ge=0, le=100)]
Probability = Annotated[float, Interval(ge=0.0, le=1.0)]
Seconds = Annotated[float, Interval(ge=0.0, le=3600.0)]
Language = Literal["en", "pt"]
ContextTokens = Annotated[int, Interval(ge=512, le=131072)]
AnswerTokens = Annotated[int, Interval(ge=8, le=8192)]
Temperature = Annotated[float, Interval(ge=0.0, le=2.0)]
ProviderRole = Literal["chat", "code", "vision", "stt", "tts"]
RoutePolicy = Literal["local", "local_first", "cloud_first", "cloud"]
Price = Annotated[float, Interval(ge=0.0, le=10_000.0)]


def time_of_day(text: str) -> bool:
    """Return whether *text* is a time of day such as ``07:00``."""
    hours, colon, minutes = text.partition(":")
    digits = len(hours) == len(minutes) == 2 and (hours + minutes).isdecimal()  # noqa: PLR2004
    return bool(colon) and digits and int(hours) < 24 and int(minutes) < 60  # noqa: PLR2004


def web_address(text: str) -> bool:
    """Return whether *text* is empty or an address on the web."""
    return not text or text.startswith(("https://", "http://"))


TimeOfDay = Annotated[str, Predicate(time_of_day)]
MaybeTimeOfDay = Literal[""] | TimeOfDay
"""Empty: never."""
_STRICT = {"extra": "forbid"}


def rising(limits: tuple[float, float]) -> bool:
    """Return whether the second of two limits is not below the first."""
    return 0 <= limits[0] <= limits[1]


def falling(limits: tuple[float, float]) -> bool:
    """Return whether the second of two limits is not above the first."""
    return limits[0] >= limits[1] >= 0


Rising = Annotated[tuple[float, float], Predicate(rising)]
"""Above the first it is a warning, above the second it is critical."""
Falling = Annotated[tuple[float, float], Predicate(falling)]
"""The same with *below*."""


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
    """Until it is changed by voice, button or command; then that is remembered."""
    volume_limit: Annotated[int, Interval(ge=1, le=100)] = 100
    """It never becomes louder than this."""
    volume_step: Annotated[int, Interval(ge=1, le=50)] = 5
    """What one press of a volume button or one step of the knob changes."""
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
    speculate_ms: Annotated[int, Interval(ge=60, le=2000)] = 64
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
    """Name in the catalogue; empty: its default. It is loaded at the start and stays."""
    code_model: Annotated[str, MaxLen(200)] = ""
    """The same for questions about programs; loaded when one is asked."""
    vision_model: Annotated[str, MaxLen(200)] = ""
    """The same for questions about images; empty: the first that is installed."""
    memory_budget: Annotated[int, Interval(ge=5, le=95)] = 60
    """Per cent of the machine's memory that all loaded models may take together."""
    context_tokens: ContextTokens = 2048
    """Chat: question, history and answer together."""
    code_context_tokens: ContextTokens = 4096
    vision_context_tokens: ContextTokens = 4096
    max_tokens: AnswerTokens = 200
    """Length of a spoken answer at most."""
    code_max_tokens: AnswerTokens = 1024
    vision_max_tokens: AnswerTokens = 300
    temperature: Temperature = 0.3
    """Chat: 0 always takes the likeliest word."""
    code_temperature: Temperature = 0.1
    vision_temperature: Temperature = 0.2
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
class HistorySettings:
    """[history]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    enabled: bool = True
    """Keep conversations on the disk; without it they end with the service."""
    idle_minutes: Annotated[float, Interval(ge=0.0, le=525_600.0)] = 30.0
    """After a rest of so long the next question begins a new conversation; 0: never."""
    keep_days: Annotated[int, Interval(ge=0, le=36_500)] = 0
    """Conversations not used for so long are deleted; 0: never."""
    max_messages: Annotated[int, Interval(ge=0, le=10_000_000)] = 100_000
    """More than so many, and the oldest conversations are deleted; 0: no limit."""


@dataclass(frozen=True)
class CacheSettings:
    """[cache]: answers that are given again."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    enabled: bool = True
    """Answer a question from the cache when it depends on no time, device or conversation."""
    chat_hours: Annotated[float, Interval(ge=0.0, le=87_600.0)] = 168.0
    """How long an answer is good; 0: never kept."""
    code_hours: Annotated[float, Interval(ge=0.0, le=87_600.0)] = 168.0
    """The same for answers about programs."""
    max_entries: Annotated[int, Interval(ge=0, le=100_000)] = 1_000
    max_megabytes: Annotated[int, Interval(ge=1, le=1_000)] = 4


@dataclass(frozen=True)
class KnowledgeSettings:
    """[knowledge]: the owner's documents."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    enabled: bool = True
    """Answer from the documents where they cover the question."""
    threshold: Probability = 0.6
    """Part of a question that a passage must have before the question counts as covered."""
    embedding_model: Annotated[str, MaxLen(200)] = ""
    """Model in the catalogue that also finds passages by meaning; empty: by words only."""


@dataclass(frozen=True)
class RemindersSettings:
    """[reminders]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    grace_minutes: Annotated[int, Interval(ge=1, le=1440)] = 60
    """A reminder that is later than this (the box was off) is listed as missed, not announced."""
    repeat_minutes: Annotated[float, Interval(ge=0.1, le=1440.0)] = 5.0
    """Between two announcements that nobody answers."""
    repeat_limit: Annotated[int, Interval(ge=1, le=100)] = 3
    """So many announcements at most."""
    snooze_minutes: Annotated[int, Interval(ge=1, le=1440)] = 10
    """How long "later" is."""
    quiet_from: MaybeTimeOfDay = ""
    """Quiet hours, such as `22:00` and `07:00`: reminders wait for their end; empty: none."""
    quiet_to: MaybeTimeOfDay = ""
    quiet_except: tuple[Literal["reminder", "timer", "alarm"], ...] = ("alarm", "timer")
    """What is announced in quiet hours all the same."""
    keep_days: Annotated[int, Interval(ge=1, le=3650)] = 90
    """What is done, cancelled or unanswered is forgotten after so long."""


@dataclass(frozen=True)
class JobsSettings:
    """[jobs]: what happens by itself."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    daily_report: MaybeTimeOfDay = "08:00"
    """When the report of the day is made; empty: never."""
    speak_report: bool = False
    """Say it aloud; it is on the page in any case."""
    budget_check_minutes: Annotated[int, Interval(ge=0, le=1440)] = 60
    """How often limits are looked at; 0: never."""
    maintenance: MaybeTimeOfDay = "03:30"
    """When storage is compacted, purged and backed up; empty: never."""


@dataclass(frozen=True)
class BackupSettings:
    """[backup]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    folder: Annotated[str, MaxLen(1000)] = ""
    """Where backups go; empty: `backups` in the data folder. Better: another disk."""
    keep: Annotated[int, Interval(ge=1, le=1000)] = 7
    """So many are kept; older ones are removed when a new one is made."""


@dataclass(frozen=True)
class UpdateSettings:
    """[update]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    url: Annotated[str, MaxLen(2000), Predicate(web_address)] = ""
    """Where the newest update bundle lies (``https://...``); empty: nowhere."""


@dataclass(frozen=True)
class WebSettings:
    """[web]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    enabled: bool = True
    host: Literal["127.0.0.1", "::1", "localhost"] = "127.0.0.1"
    """The address on this machine itself."""
    port: Annotated[int, Interval(ge=0, le=65535)] = 8080
    """0 chooses a free port."""
    lan: bool = True
    """Answer on the LAN too, once a password is set or a device is paired."""
    https_port: Annotated[int, Interval(ge=0, le=65535)] = 8443
    """Of the LAN, once there is a certificate (`luna web cert make`); 0 chooses a free one."""
    names: tuple[Annotated[str, MaxLen(253)], ...] = ()
    """Further host names under which the page is reached, such as `luna.example.org`."""


@dataclass(frozen=True)
class PanelSettings:
    """[panel]: buttons, LEDs and mute switch."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    enabled: bool = True
    board: Annotated[str, MaxLen(64)] = ""
    """Profile of the board, as in `luna board list`; empty: nothing on GPIO lines."""
    serial_port: Annotated[str, MaxLen(200)] = ""
    """Device file of a panel on a serial port; empty: found by its USB id."""
    serial_usb_ids: tuple[Annotated[str, MaxLen(100)], ...] = ()
    """USB ids of serial panels, `VENDOR:PRODUCT` or `VENDOR:PRODUCT:SERIAL`; empty: none is
    looked for, unless the board is one."""
    talk: Literal["turn", "hold"] = "turn"
    """A press of the button opens the microphone until the end of the turn is heard, or while it
    is held."""
    bounce_ms: Annotated[int, Interval(ge=1, le=200)] = 25
    """Contacts are read after so long."""
    short_press_s: Annotated[float, Interval(ge=0.1, le=0.9)] = 0.6
    double_press_s: Annotated[float, Interval(ge=0.1, le=2.0)] = 0.35
    """Longest pause between the two presses of a double press."""
    mute_press_s: Annotated[float, Interval(ge=1.0, le=4.0)] = 3.0
    """Held for so long and let go: the microphone is switched off or on."""
    shutdown_press_s: Annotated[float, Interval(ge=5.0, le=60.0)] = 10.0
    """Held for so long: the box shuts down."""
    brightness: Percent = 60
    """Of the LEDs, as the eye sees it."""
    night_brightness: Percent = 15
    """The same by night; 0: dark."""
    night_from: TimeOfDay = "22:00"
    night_to: TimeOfDay = "07:00"
    """The same as `night_from`: there is no night."""
    idle_light: bool = False
    """Show one dim LED while Luna waits, instead of none."""


@dataclass(frozen=True)
class ProviderSettings:
    """[providers.NAME]: a cloud service or a server on the LAN.

    What is unset comes from the table of known providers (`groq`, `openai`, `ollama`, ...). Keys
    are never written here: `NAME_API_KEY` in the environment or as a systemd credential.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    enabled: bool = True
    base_url: Annotated[str, MaxLen(300)] = ""
    """Address up to and without `/chat/completions`."""
    lan: bool | None = None
    """It stands in the house: no price, no limit, asked before the cloud."""
    models: dict[ProviderRole, str] = field(default_factory=dict)
    """Model by role: `{ chat = "...", code = "...", vision = "...", stt = "...", tts = "..." }`."""
    voices: dict[Language, str] = field(default_factory=dict)
    """Voice by language, of a provider that speaks."""
    supports: tuple[Literal["stream", "usage", "tools", "vision"], ...] | None = None
    """What it can do; `usage`: it counts the tokens of a stream when asked to."""
    continues: Literal["instruction", "trailing", "prefix", "continue_final"] | None = None
    """How it is asked to go on with an answer that was begun elsewhere."""
    extra: dict[str, Any] = field(default_factory=dict)
    """More fields for each request, such as `{ reasoning_effort = "none" }`."""
    context_tokens: Annotated[int, Interval(ge=512, le=10_000_000)] | None = None
    max_output_tokens: Annotated[int, Interval(ge=8, le=1_000_000)] | None = None
    image_tokens: Annotated[int, Interval(ge=0, le=100_000)] | None = None
    """What one image counts at most."""
    connect_timeout_s: Annotated[float, Interval(ge=0.05, le=60.0)] | None = None
    first_token_timeout_s: Annotated[float, Interval(ge=0.1, le=600.0)] | None = None
    """Deadline of the first words; then the next provider is asked."""
    between_tokens_timeout_s: Annotated[float, Interval(ge=0.1, le=600.0)] | None = None
    total_timeout_s: Annotated[float, Interval(ge=0.1, le=3600.0)] | None = None
    price_input: Price | None = None
    """US dollars for a million tokens of prompt."""
    price_output: Price | None = None
    price_cached: Price | None = None
    """The same for prompt tokens that the provider had in its cache."""
    redact: bool = False
    """Replace names and numbers by placeholders on the way out, and back on the way in."""
    daily_limit_tokens: Annotated[int, Interval(ge=0, le=1_000_000_000)] | None = None
    """Tokens a day at most, in and out; unset: 100,000, on the LAN none."""
    daily_limit_requests: Annotated[int, Interval(ge=0, le=1_000_000_000)] | None = None
    """Requests a day at most; unset: no limit."""
    daily_limit_usd: Annotated[float, Interval(ge=0.0, le=1_000_000.0)] | None = None
    """US dollars a day at most, by the prices above; unset: no limit."""


@dataclass(frozen=True)
class PrivacySettings:
    """[privacy]"""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    redact: tuple[Annotated[str, MaxLen(200)], ...] = ()
    """Names and numbers that providers with `redact = true` never see."""
    log_outbound: bool = True
    """Keep on this box what was sent to providers; `luna providers log` shows it."""
    log_days: Annotated[int, Interval(ge=1, le=365)] = 30
    log_megabytes: Annotated[int, Interval(ge=1, le=1000)] = 16


@dataclass(frozen=True)
class RoutingSettings:
    """[routing]: who answers, and what happens when they do not."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    policy: dict[ProviderRole, RoutePolicy] = field(default_factory=dict)
    """By role: `local` (nothing leaves the box), `local_first` (when unset), `cloud_first`,
    `cloud`."""
    provider: dict[ProviderRole, Annotated[str, MaxLen(64)]] = field(default_factory=dict)
    """By role: who is asked before all others, `local` or a provider's name."""
    order: tuple[Annotated[str, MaxLen(64)], ...] = ()
    """Providers in the order in which they are asked; those not named follow, and servers on
    the LAN always come before the cloud."""
    local_first_token_s: Seconds = 20.0
    """Deadline of the local model's first words: loading it may take long."""
    start_within_s: Annotated[float, Interval(ge=1.0, le=600.0)] = 30.0
    """No further provider is asked when its words would come later than this."""
    degraded_s: Annotated[float, Interval(ge=1.0, le=86_400.0)] = 60.0
    """A provider that fails is left alone for so long, and twice as long at each relapse."""
    degraded_longest_s: Annotated[float, Interval(ge=1.0, le=86_400.0)] = 3600.0
    """The limit of that; also how long one with a wrong key is left alone."""
    failures: Annotated[int, Interval(ge=1, le=100)] = 3
    """So many failures within `failure_window_s` are enough; one 429 always is."""
    failure_window_s: Annotated[float, Interval(ge=1.0, le=86_400.0)] = 900.0


@dataclass(frozen=True)
class ThresholdSettings:
    """[thresholds]: beyond the first figure it is a warning, beyond the second it is critical.

    The names are those of :data:`appliance.thresholds.CHECKS`.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    stt_s: Rising = (1.0, 3.0)
    """Seconds of a transcription; the median of the last three to five turns, as for the three
    below."""
    first_token_s: Rising = (3.0, 8.0)
    """From the end of speech to the first word of the answer."""
    synthesis_s: Rising = (1.0, 3.0)
    """From the first clause to its first sound."""
    end_to_end_s: Rising = (5.0, 10.0)
    """From the end of speech to the first sound from the speaker."""
    capture_queue: Rising = (50.0, 100.0)
    """Blocks of 20 ms that wait to be listened to."""
    capture_drops: Rising = (0.0, 10.0)
    """Captured blocks that were lost in the last ten minutes."""
    playback_gaps: Rising = (0.0, 10.0)
    """Gaps in speech in the last ten minutes."""
    workers_down: Rising = (0.0, 0.0)
    """Parts of Luna that have failed and are not back yet."""
    restarts: Rising = (1.0, 4.0)
    """Restarts of parts of Luna in the last hour."""
    models_missing: Rising = (0.0, 1000.0)
    """Models that are used and not installed."""
    microphone_down: Rising = (0.0, 0.0)
    """1 when there is no microphone, or it is dead."""
    speaker_down: Rising = (0.0, 1.0)
    """1 when there is no speaker."""
    temperature_c: Rising = (75.0, 82.0)
    """Of the processor, degrees Celsius. A Raspberry Pi slows down from 80 on."""
    throttled: Rising = (0.0, 1.0)
    """Reasons for which the processor is slowed down now (heat, low voltage)."""
    cpu_wait_percent: Rising = (60.0, 90.0)
    """Share of the last minute in which some program waited for the processor; it is judged only
    while something is late."""
    memory_free_percent: Falling = (12.0, 5.0)
    disk_free_mb: Falling = (500.0, 100.0)
    """On the disk of the data folder or of the models, whichever has less."""
    data_unwritable: Rising = (0.0, 0.0)
    """1 while the data folder cannot be written."""
    clock_doubted: Rising = (0.0, 1.0)
    """1 while the clock is not believed."""
    network_down: Rising = (0.0, 1.0)
    """1 without a network, where providers in the cloud are configured."""
    setup_problems: Rising = (0.0, 1000.0)
    """Lines of the files on an image's boot partition that could not be used."""


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
    history: HistorySettings = field(default_factory=HistorySettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    knowledge: KnowledgeSettings = field(default_factory=KnowledgeSettings)
    web: WebSettings = field(default_factory=WebSettings)
    reminders: RemindersSettings = field(default_factory=RemindersSettings)
    jobs: JobsSettings = field(default_factory=JobsSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    update: UpdateSettings = field(default_factory=UpdateSettings)
    routing: RoutingSettings = field(default_factory=RoutingSettings)
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    panel: PanelSettings = field(default_factory=PanelSettings)
    thresholds: ThresholdSettings = field(default_factory=ThresholdSettings)
    providers: dict[str, ProviderSettings] = field(default_factory=dict)
    """By name."""
