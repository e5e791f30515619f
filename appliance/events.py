"""What happened. Every event is a frozen dataclass; one stream feeds LEDs, page, terminal and log.

Events travel up: from the workers to the main process, and from there to every subscriber.
Orders travel down and are in :mod:`appliance.commands`. Both have the same JSON form, one
object a line, with the class name in ``type``::

    {"type":"wake_heard","at":81.25,"phrase":"okay_nabu","score":0.98,"position":123456}

``position``, ``start`` and ``end`` count samples of the capture stream (16 kHz) since the
service started; ``at`` is in seconds of ``CLOCK_MONOTONIC``, which all processes share.
"""

from __future__ import annotations

import builtins
import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from appliance.clock import monotonic
from appliance.errors import ServiceError


@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of events and commands."""

    registry: ClassVar[dict[str, builtins.type[Message]]] = {}
    type: ClassVar[str] = "message"

    at: float = field(default_factory=monotonic)

    def __init_subclass__(cls) -> None:
        cls.type = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        Message.registry[cls.type] = cls


def to_dict(message: Message) -> dict[str, Any]:
    """Return the JSON object of *message*, its ``type`` first."""
    return {"type": message.type, **asdict(message)}


def to_json(message: Message) -> str:
    """Return *message* as one line of JSON without a line break."""
    return json.dumps(to_dict(message), ensure_ascii=False, separators=(",", ":"))


def from_json(line: str | bytes) -> Message:
    """Return the message in *line*.

    Raises:
        ServiceError: the line is not JSON, names an unknown type or has wrong fields.
    """
    try:
        values = json.loads(line)
        cls = Message.registry[values.pop("type")]
        known = {f.name for f in fields(cls)}
        if unknown := set(values) - known:
            raise ServiceError(f"message {cls.type}: unknown field {sorted(unknown)[0]!r}")
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return cls(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(f"not a message of Luna's: {line[:80]!r} ({error})") from error


class Event(Message):
    """Something that happened."""


# --- workers -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ServiceStarted(Event):
    """Luna began; the first line of each of her logs."""

    version: str
    board: str = ""
    """What the machine calls itself; empty for a PC."""
    cores: int = 0
    memory_mb: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Ready(Event):
    """A worker can work; sent once by each process it ran in."""

    worker: str
    detail: str = ""
    """What it loaded, for a person: the model, the voice, the device."""
    load_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Pong(Event):
    """Answer to ``Ping``."""

    n: int
    busy_s: float = 0.0
    """How long the present job has run without progress; 0 when there is none."""
    stats: dict[str, float] = field(default_factory=dict)
    """Counters of the worker, for ``/health`` and metrics."""


@dataclass(frozen=True, kw_only=True)
class Logged(Event):
    """A worker has something for the log."""

    level: str
    """``debug``, ``info``, ``warning`` or ``error``."""
    text: str
    worker: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkerChanged(Event):
    """The supervisor started, lost or restarted a worker."""

    worker: str
    status: str
    """``starting``, ``ready``, ``failed`` (restart follows) or ``stopped``."""
    detail: str = ""
    pid: int = 0
    restarts: int = 0
    exit_code: int = 0
    """Of the process that failed; 4: a model is missing or damaged."""


# --- sound -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MicrophoneChanged(Event):
    """The microphone was opened, lost, or stopped delivering sound."""

    status: str
    """``open``, ``missing`` (none there), ``lost`` (unplugged), ``deaf`` or ``muted``."""
    device: str = ""
    rate: int = 0
    channels: int = 0
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class SpeakerChanged(Event):
    """The speaker was opened, closed, or lost."""

    status: str
    """``open``, ``closed`` (saving power), ``missing`` or ``lost``."""
    device: str = ""
    rate: int = 0
    channels: int = 0
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class CaptureDropped(Event):
    """Captured blocks were lost before a reader took them."""

    blocks: int
    where: str
    """``device`` (the sound card overflowed) or the name of the slow reader."""


@dataclass(frozen=True, kw_only=True)
class SoundMeasured(Event):
    """A tenth of a second of the microphone's sound; comes only while a client wants it.

    Levels are in dBFS: 0 is the loudest sine wave that fits (AES17). See ``docs/sound.md``.
    """

    level_db: float
    """Effective value (RMS) without the constant part."""
    peak_db: float
    noise_db: float
    """Noise floor of the last ten seconds."""
    offset: float
    """The constant part, as a part of full scale; it should be 0."""
    clipped: int
    """Samples at full scale."""
    silent: bool
    """Nothing but digital zeros, which no living microphone delivers."""
    scores: dict[str, float] = field(default_factory=dict)
    """The highest score of each wake word, 0 to 1."""
    limits: dict[str, float] = field(default_factory=dict)
    """The score above which each counts as heard."""


@dataclass(frozen=True, kw_only=True)
class PlaybackStarted(Event):
    """The first sample of a turn's reply left for the speaker."""

    turn_id: int


@dataclass(frozen=True, kw_only=True)
class ChirpPlayed(Event):
    """The chirp of a loopback test has begun."""

    position: int
    """Where in the capture stream, had it been heard at once."""


@dataclass(frozen=True, kw_only=True)
class LoopbackMeasured(Event):
    """What came back of the chirp that `luna doctor` had played; nothing of what was heard."""

    request: str
    ok: bool
    text: str = ""
    """One sentence for the owner where it could not be played."""
    figures: dict[str, Any] = field(default_factory=dict)
    """See :class:`appliance.audio.loopback.Loopback`."""


@dataclass(frozen=True, kw_only=True)
class PlaybackFinished(Event):
    """The reply was played to its end, or cut off."""

    turn_id: int
    cut: bool
    clause: int = 0
    """Last clause of which something was played; 0 when nothing was."""
    clause_samples: int = 0
    """Samples of that clause played, at ``rate``."""
    rate: int = 0


# --- listening ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class WakeHeard(Event):
    """The wake word was recognised."""

    phrase: str
    score: float
    position: int
    """End of the wake word in the capture stream."""


@dataclass(frozen=True, kw_only=True)
class SpeechStarted(Event):
    """Somebody began to speak while the microphone was open."""

    turn_id: int
    position: int


@dataclass(frozen=True, kw_only=True)
class UtterancePaused(Event):
    """A short silence: the utterance may be over, so work on it may begin."""

    turn_id: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class SpeechResumed(Event):
    """The pause was none; what was begun on it is void."""

    turn_id: int
    position: int


@dataclass(frozen=True, kw_only=True)
class UtteranceEnded(Event):
    """The person has finished: the turn goes to Luna."""

    turn_id: int
    start: int
    end: int
    """End of speech (not of the silence after it)."""
    reason: str
    """``complete`` (the end-of-turn model says so), ``silence``, ``released`` or ``too_long``."""
    probability: float = -1.0
    """Of being complete, from the end-of-turn model; -1 when it was not asked."""
    silence_ms: float = 0.0
    """From the last speech to this decision, as far as the voice activity detection can tell."""


@dataclass(frozen=True, kw_only=True)
class NothingHeard(Event):
    """The microphone was open and nobody spoke."""

    turn_id: int


# --- thinking ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Transcribed(Event):
    """What was said, as far as speech recognition can tell."""

    turn_id: int
    attempt: int
    start: int
    end: int
    text: str
    """Empty when nothing intelligible was in it."""
    language: str = ""
    language_probability: float = 0.0
    confidence: float = 0.0
    """Mean log probability of the tokens (0 is certain, below -1 is poor)."""
    dropped: str = ""
    """Why a text was thrown away: ``silence``, ``invented`` or ``repetition``."""
    duration_ms: float = 0.0
    retried: bool = False
    """The short window was not trusted and the full window was used."""
    provider: str = ""
    """Who heard it; empty: the box itself."""


@dataclass(frozen=True, kw_only=True)
class TranscriptionFailed(Event):
    """A provider could not say what was said; somebody else is asked."""

    turn_id: int
    attempt: int
    provider: str
    kind: str
    """Of :class:`~appliance.errors.ProviderError`."""
    detail: str
    retry_after_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class TokensGenerated(Event):
    """The language model wrote a piece of its answer."""

    turn_id: int
    attempt: int
    text: str


@dataclass(frozen=True, kw_only=True)
class GenerationFinished(Event):
    """The language model has stopped writing."""

    turn_id: int
    attempt: int
    reason: str
    """``stop``, ``length``, ``cancelled``, ``failed``, or ``unanswered``: nobody could answer, and
    the text says why."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """How many of the prompt's tokens were in the cache already."""
    completion_tokens: int = 0
    first_token_ms: float = 0.0
    tokens_per_second: float = 0.0
    detail: str = ""
    """One sentence for the owner when it failed."""
    source: str = ""
    """The end of the answer that names the document it is from. It is not kept in the
    conversation: a model that reads it there begins to name sources of its own invention."""


@dataclass(frozen=True, kw_only=True)
class ProviderChosen(Event):
    """The first token has decided who answers."""

    turn_id: int
    role: str
    provider: str
    model: str
    reason: str
    """``first``, ``next``, ``hedge`` or ``continues``."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why others were passed over: ``policy``, ``offline``, ``cooldown``, ``misconfigured``,
    ``unsupported``, ``quota``, ``uncounted``, ``no_credit``, ``deadline`` or ``error``, by
    provider."""
    first_token_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ProviderUsed(Event):
    """A provider that was asked is done, whether or not its answer was taken."""

    turn_id: int
    role: str
    provider: str
    model: str
    outcome: str
    """``finished``, ``cancelled``, or the kind of the error."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    """Counted by us: the provider said nothing."""
    cost: float = 0.0
    """By the owner's prices, in their currency."""
    first_token_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ProviderTested(Event):
    """`luna providers test` has asked a provider for one word."""

    provider: str
    ok: bool
    detail: str = ""
    """One sentence for the owner when it failed."""
    model: str = ""
    first_token_ms: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Classified(Event):
    """The language model chose one of the words of a ``Classify``."""

    turn_id: int
    attempt: int
    choice: str
    """Empty when it was cancelled or failed."""
    probability: float = 0.0
    """Its share of the probability that the model gives to all of the choices together."""
    duration_ms: float = 0.0
    detail: str = ""
    """One sentence for the owner when it failed."""


@dataclass(frozen=True, kw_only=True)
class ModelLoading(Event):
    """A local model that was not in memory is being loaded."""

    role: str
    model: str
    expected_s: float
    """From its size and the speed of the last load; -1 when nothing is known."""
    turn_id: int = 0
    """The turn that waits for it."""


@dataclass(frozen=True, kw_only=True)
class ModelLoaded(Event):
    """A local model is in memory."""

    role: str
    model: str
    load_ms: float
    memory_mb: float = 0.0
    """What all loaded models take together, about."""
    turn_id: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelUnloaded(Event):
    """A local model made room for another."""

    model: str
    memory_mb: float = 0.0
    """What the models that stay take together, about."""


# --- speaking ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ClauseSynthesised(Event):
    """A clause lies in the playback ring as a whole."""

    turn_id: int
    clause: int
    samples: int
    rate: int
    duration_ms: float
    first_audio_at: float
    """When its first block was in the playback ring (seconds, ``CLOCK_MONOTONIC``)."""
    voice: str = ""


@dataclass(frozen=True, kw_only=True)
class VoiceFailed(Event):
    """A provider could not speak a clause; the box's own voice does it."""

    turn_id: int
    clause: int
    provider: str
    kind: str
    """Of :class:`~appliance.errors.ProviderError`."""
    detail: str


@dataclass(frozen=True, kw_only=True)
class SynthesisFailed(Event):
    """A clause could not be spoken by any voice."""

    turn_id: int
    clause: int
    detail: str


# --- what a subscriber sees of the appliance ------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StateChanged(Event):
    """The appliance is in another state; LEDs, page and terminal derive from this alone."""

    state: str
    turn_id: int = 0
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class TurnStarted(Event):
    """A turn began."""

    turn_id: int
    source: str
    """``wake``, ``button``, ``follow_up``, ``speech``, ``page``, ``text`` or ``say``."""
    request: str = ""
    """The mark that a client gave its written request, so that it knows its turn."""


@dataclass(frozen=True, kw_only=True)
class Heard(Event):
    """The question of a turn, once it is certain."""

    turn_id: int
    text: str
    language: str


@dataclass(frozen=True, kw_only=True)
class Status(Event):
    """Reply stream: what is going on, for a person."""

    turn_id: int
    text: str


@dataclass(frozen=True, kw_only=True)
class AgentSwitch(Event):
    """Reply stream: which role and provider answers."""

    turn_id: int
    role: str
    provider: str
    model: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ToolCall(Event):
    """Reply stream: a built-in tool was used."""

    turn_id: int
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Content(Event):
    """Reply stream: a piece of the answer."""

    turn_id: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Complete(Event):
    """Reply stream: the answer is whole (or as much of it as was given)."""

    turn_id: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Error(Event):
    """Reply stream: why there is no answer."""

    turn_id: int
    text: str


@dataclass(frozen=True, kw_only=True)
class TurnEnded(Event):
    """A turn is over, with its timings."""

    turn_id: int
    source: str
    outcome: str
    """``answered``, ``interrupted``, ``nothing_heard`` or ``failed``."""
    question: str = ""
    answer: str = ""
    """What was really said (voice) or written (text)."""
    language: str = ""
    model: str = ""
    provider: str = ""
    """Who answered: ``local``, a provider's name, or ``luna`` herself, ``cache``,
    ``documents``."""
    role: str = ""
    timings: dict[str, float] = field(default_factory=dict)
    """Milliseconds: see ``docs/events.md``; also ``tokens_per_second`` and ``ring_overruns``."""


@dataclass(frozen=True, kw_only=True)
class Snapshot(Event):
    """Everything a new subscriber needs before the changes."""

    state: str
    detail: str = ""
    turn_id: int = 0
    version: str = ""
    muted: bool = False
    workers: dict[str, Any] = field(default_factory=dict)
    microphone: dict[str, Any] = field(default_factory=dict)
    speaker: dict[str, Any] = field(default_factory=dict)
    last_turn: dict[str, Any] = field(default_factory=dict)
    uptime_s: float = 0.0
    volume: int = 0
    """Percent."""
    mute_switch: bool = False
    """The hardware switch is on: nothing else switches the microphone on."""
    vitals: dict[str, Any] = field(default_factory=dict)
    """The last ``Vitals``."""


@dataclass(frozen=True, kw_only=True)
class Vitals(Event):
    """How the box is: what was measured, and what is to be thought of it."""

    level: str
    """The worst of all: ``ok``, ``warning`` or ``critical``."""
    findings: tuple[dict[str, Any], ...] = ()
    """What is not well, the worst first: ``name``, ``level``, ``value``, ``limit``, ``text_key``
    and ``values`` for the text's placeholders."""
    measured: dict[str, Any] = field(default_factory=dict)
    """All figures that are judged, by name: ``value`` and ``level``; see ``[thresholds]``."""
    rings: dict[str, float] = field(default_factory=dict)
    """Counters of both rings since the service started."""
    workers_mb: dict[str, float] = field(default_factory=dict)
    """Memory of each worker, and of ``main``; what is shared counts in part."""
    machine: dict[str, Any] = field(default_factory=dict)
    """See :class:`appliance.vitals.Machine`."""
    version: str = ""
    slot: str = ""
    """Which of the image's slots runs; empty where there are none."""


@dataclass(frozen=True, kw_only=True)
class FindingChanged(Event):
    """A figure has another level than the log knows; for the log alone."""

    name: str
    level: str
    value: float
    limit: float
    text: str
    """One sentence for the owner."""


@dataclass(frozen=True, kw_only=True)
class QuotaWarning(Event):
    """A provider's daily limit is nearly or wholly used; once a day for each limit and percent."""

    provider: str
    limit: str
    """Which limit: ``tokens``, ``requests`` or ``cost``."""
    percent: int
    """80, or 100: the limit is reached, or no room is left for a request that was wanted."""
    used: float
    allowed: float
    """Like ``used`` in tokens, requests, or US dollars."""
    day: str
    """``YYYY-MM-DD`` in the owner's time zone."""
    resets_at: str
    """ISO 8601 with the zone's offset."""


@dataclass(frozen=True, kw_only=True)
class NetworkChanged(Event):
    """The network came or went."""

    online: bool


@dataclass(frozen=True, kw_only=True)
class PanelChanged(Event):
    """A front panel works, or does not."""

    name: str
    status: str
    """``connected``, ``lost`` (it may come back) or ``failed``."""
    detail: str = ""
    """One sentence: what is wrong and what to do."""


# --- reminders, time and jobs ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ReminderDue(Event):
    """Reminders are announced now; the same occurrences may come again until they are answered."""

    reminders: tuple[int, ...]
    occurrences: tuple[str, ...]
    """Their ids, in the order of *reminders*: the same when one is announced again."""
    text: str
    """What is said."""
    language: str
    late: bool = False
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class ReminderChanged(Event):
    """A reminder is stored in another state."""

    reminder: int
    change: str
    """``added``, ``changed``, ``announced``, ``snoozed``, ``done``, ``cancelled`` or
    ``unanswered``."""
    row: dict[str, Any] = field(default_factory=dict)
    """The reminder as in `luna reminders show --json`."""


@dataclass(frozen=True, kw_only=True)
class ReminderMissed(Event):
    """Occurrences of a reminder came while they could not be announced, and are too old now."""

    reminder: int
    count: int
    text: str
    due: str
    """The last of them: ISO 8601, UTC; empty when no clock was set."""


@dataclass(frozen=True, kw_only=True)
class ClockChanged(Event):
    """The wall clock was set, or is believed or doubted from now on."""

    trusted: bool
    reason: str = ""
    """Why it is doubted: ``implausible``, ``behind`` or ``leapt``; reminders for times of day
    wait until then."""
    jump_s: float = 0.0
    """How far it was set, beyond the time that really went by."""


@dataclass(frozen=True, kw_only=True)
class RemindersRequested(Event):
    """A client wants something of the reminders."""

    action: str
    """``list``, ``show``, ``add``, ``say``, ``change``, ``snooze``, ``done``, ``cancel`` or
    ``cancel_all``."""
    numbers: tuple[int, ...] = ()
    text: str = ""
    """What to add, or when; of ``say`` a whole sentence, as it would be spoken."""
    language: str = ""
    everything: bool = False
    """Of ``list``: also what is over."""
    always: bool = False
    """Of ``add``: to be said in quiet hours too."""
    request: str = ""


@dataclass(frozen=True, kw_only=True)
class RemindersAnswered(Event):
    """The answer to a ``RemindersRequested``."""

    request: str
    ok: bool
    text: str
    """One sentence for the owner."""
    rows: tuple[dict[str, Any], ...] = ()
    expects_answer: bool = False
    exit_code: int = 0


@dataclass(frozen=True, kw_only=True)
class JobRequested(Event):
    """A scheduled job shall run now."""

    name: str
    request: str = ""


@dataclass(frozen=True, kw_only=True)
class JobFinished(Event):
    """A scheduled job is over."""

    name: str
    ok: bool
    text: str
    """Its result, for the owner; or why it failed."""
    took_s: float = 0.0
    request: str = ""


# --- what people ask for ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ButtonPressed(Event):
    """Push-to-talk began: a real button, the space bar, or `luna listen`."""

    held: bool = False
    """It will be released: only then the utterance ends."""
    position: int = -1
    """Where in the capture stream it was pressed; -1 means now."""


@dataclass(frozen=True, kw_only=True)
class ButtonReleased(Event):
    """Push-to-talk ended."""


@dataclass(frozen=True, kw_only=True)
class PagePressed(Event):
    """Push-to-talk began in a browser; the page itself says so, no client can."""

    position: int
    """Where in the page's capture stream it was pressed."""


@dataclass(frozen=True, kw_only=True)
class PageReleased(Event):
    """Push-to-talk ended in a browser: all that was said lies in the page's capture stream."""

    turn_id: int


@dataclass(frozen=True, kw_only=True)
class TextAsked(Event):
    """A question in writing."""

    text: str
    turn_id: int = 0
    """Given when the turn begins."""
    speak: bool = False
    """Answer aloud as well."""
    image: str = ""
    """A picture that the question is about: a ``data:`` URL of :mod:`appliance.images`. It is
    not shown to subscribers."""
    code_only: bool = False
    """Answer with code alone."""
    request: str = ""


@dataclass(frozen=True, kw_only=True)
class SayRequested(Event):
    """A text to be spoken as it is."""

    text: str
    turn_id: int = 0
    language: str = ""
    request: str = ""


@dataclass(frozen=True, kw_only=True)
class UpdateProgress(Event):
    """How far an update is; while one is at work the state is ``updating``."""

    stage: str
    """``writing`` the idle slot, ``checking`` what it holds, then ``restarting`` or ``done``
    (someone restarts later); or ``failed``."""
    percent: int = 0


@dataclass(frozen=True, kw_only=True)
class StopRequested(Event):
    """Whatever Luna is doing, she shall stop."""


@dataclass(frozen=True, kw_only=True)
class MuteRequested(Event):
    """The microphone shall be switched off or on."""

    muted: bool


@dataclass(frozen=True, kw_only=True)
class VolumeRequested(Event):
    """The volume shall be another one."""

    percent: int = -1
    """The volume itself; -1: by ``step`` instead."""
    step: int = 0
    """Steps up (positive) or down, of the size that is configured."""


@dataclass(frozen=True, kw_only=True)
class LanguageRequested(Event):
    """Luna shall speak another language where she cannot tell the speaker's."""

    language: str
    turn_id: int = 0
    """The turn whose answer is the first in it."""


@dataclass(frozen=True, kw_only=True)
class MuteSwitched(Event):
    """The hardware mute switch was moved; while it is on, nothing else switches the microphone."""

    muted: bool


@dataclass(frozen=True, kw_only=True)
class RepeatRequested(Event):
    """Luna shall say again what she said last."""


@dataclass(frozen=True, kw_only=True)
class PairingRequested(Event):
    """A device shall be paired with the page.

    Its code is spoken in the room; nobody who follows the events learns it.
    """


@dataclass(frozen=True, kw_only=True)
class ShutdownRequested(Event):
    """The whole box shall be shut down cleanly."""


@dataclass(frozen=True, kw_only=True)
class MeterRequested(Event):
    """A client wants ``SoundMeasured`` for a few seconds; it asks again for more."""

    seconds: float
    alone: bool = False
    """No wake word opens a turn meanwhile."""


@dataclass(frozen=True, kw_only=True)
class ToneRequested(Event):
    """The speaker shall play a test tone."""

    side: str = "both"
    """``both``, ``left`` or ``right``."""


@dataclass(frozen=True, kw_only=True)
class RestartRequested(Event):
    """A worker shall be killed, so that a new one takes its place."""

    worker: str


@dataclass(frozen=True, kw_only=True)
class LoopbackRequested(Event):
    """A chirp shall be played and looked for in what the microphone hears."""

    request: str


@dataclass(frozen=True, kw_only=True)
class ProviderTestRequested(Event):
    """One provider shall be asked for one word, to see whether it works."""

    provider: str


@dataclass(frozen=True, kw_only=True)
class TimerFired(Event):
    """A timer of the turn ran out."""

    name: str
    turn_id: int
