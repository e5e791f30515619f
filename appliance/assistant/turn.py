"""The vocabulary of the state machine: what the appliance is, and what it can want done."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from appliance.commands import BOX, Command


class State(StrEnum):
    """What the appliance is doing; LEDs, page and terminal derive from it."""

    STARTING = "starting"
    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    MUTED = "muted"
    ERROR = "error"
    UPDATING = "updating"


@dataclass(frozen=True)
class Turn:
    """One question and its answer, from the moment the microphone opens."""

    id: int
    source: str
    """``wake``, ``button``, ``follow_up``, ``speech``, ``page``, ``text`` or ``say``."""
    stream: str = BOX
    """Whose microphone and speaker it uses (see :mod:`appliance.commands`)."""
    request: str = ""
    spoken: bool = True
    """The reply goes to the speaker."""
    position: int = -1
    held: bool = False
    wait_s: float = 0.0
    attempt: int = 0
    """Numbers the transcriptions and generations of this turn; older ones are void."""
    start: int = -1
    end: int = -1
    text: str | None = None
    """What was said in ``[start, end)``; None until it is known."""
    language: str = ""
    language_probability: float = 0.0
    image: str = ""
    """A ``data:`` URL that came with a written question."""
    code_only: bool = False
    ended: bool = False
    """The person has finished."""
    replying: bool = False
    """A reply to ``text`` was begun."""
    released: bool = False
    """The reply may be heard."""
    sounding: bool = False
    """Something of the reply was played."""
    apologised: bool = False
    """Luna said that there will be no answer: nothing more is expected than the end of that."""


@dataclass(frozen=True)
class Options:
    """The settings that the transitions depend on."""

    wait_for_speech_s: float = 6.0
    follow_up_s: float = 6.0
    filler_after_s: float = 4.0
    give_up_after_s: float = 60.0
    barge_in_by_speech: bool = False
    required: frozenset[str] = frozenset({"audio", "listen"})
    """The workers without which the appliance cannot hear."""


@dataclass(frozen=True)
class Appliance:
    """Everything the next transition depends on."""

    options: Options = field(default_factory=Options)
    state: State = State.STARTING
    turn: Turn | None = None
    noise: Turn | None = None
    """Speech heard while Luna speaks: it may become the next turn, or prove to be a cough."""
    last_id: int = 0
    cancelled_id: int = 0
    ready: frozenset[str] = frozenset()
    lacking: frozenset[str] = frozenset()
    """Workers that cannot start, because a model is missing or damaged."""
    muted: bool = False
    updating: bool = False
    """An update is being written: Luna still answers, but must not lose her power."""
    started: bool = False
    """It has been able to hear at least once."""


# --- actions: commands for workers, and these for the coordinator ------------------------------


@dataclass(frozen=True)
class Send:
    """Send a command to a worker if it is ready."""

    worker: str
    """One of the workers, or ``page``, which plays what ``audio`` plays for the box."""
    command: Command


@dataclass(frozen=True)
class BeginTurn:
    """A turn has begun: tell the subscribers, keep its times."""

    turn: Turn


@dataclass(frozen=True)
class BeginReply:
    """Let the assistant answer; keep the answer back until ``ReleaseReply``."""

    turn: Turn


@dataclass(frozen=True)
class DropReply:
    """Forget the answer that was begun for this attempt."""

    turn_id: int
    attempt: int


@dataclass(frozen=True)
class ReleaseReply:
    """The question is certain: show it, and speak the answer as it comes."""

    turn: Turn


@dataclass(frozen=True)
class SpeakText:
    """Speak a given text as the whole reply."""

    turn_id: int
    text: str
    language: str


@dataclass(frozen=True)
class SpeakPhrase:
    """Speak one of Luna's own phrases (a key of the catalogues) within the reply."""

    turn_id: int
    key: str
    final: bool
    """Nothing follows it: the turn ends when it was played."""


@dataclass(frozen=True)
class RepeatSpeech:
    """The synthesis worker is new: send it the clauses again that it owes."""

    turn_id: int


@dataclass(frozen=True)
class SetTimer:
    """Fire ``TimerFired(name, turn_id)`` after so many seconds; replaces one of that name."""

    name: str
    turn_id: int
    seconds: float


@dataclass(frozen=True)
class EndTurn:
    """The turn is over: ``answered``, ``interrupted``, ``nothing_heard`` or ``failed``."""

    turn_id: int
    outcome: str


Action = (
    Send
    | BeginTurn
    | BeginReply
    | DropReply
    | ReleaseReply
    | SpeakText
    | SpeakPhrase
    | RepeatSpeech
    | SetTimer
    | EndTurn
)
Step = tuple[Appliance, list[Action]]
