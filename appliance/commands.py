"""What is to be done. Commands travel down: from the main process to one worker.

They have the JSON form of events (see :mod:`appliance.events`). ``Cancel`` is the one message
that travels against the flow of a turn: whatever arrives late for a cancelled turn is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appliance.events import Message

BOX, PAGE, FILE = "", "page", "file"
"""Streams: whose microphone and speaker a command is about. The box's own; the browser's that
somebody talks through; sound from files and for files, which no turn waits for."""


class Command(Message):
    """An order for a worker."""


@dataclass(frozen=True, kw_only=True)
class Ping(Command):
    """Answer with ``Pong`` and the same number."""

    n: int


@dataclass(frozen=True, kw_only=True)
class Shutdown(Command):
    """Release everything and exit."""


@dataclass(frozen=True, kw_only=True)
class Cancel(Command):
    """Drop all work for a turn, or for one attempt of it."""

    turn_id: int
    attempt: int = 0
    """Only this attempt (a speculation that proved wrong); 0 means the whole turn."""


# --- audio -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PlayEarcon(Command):
    """Play a short signal at once, mixed over whatever is playing."""

    name: str
    """``wake``, ``error``, ``done`` or ``reminder``."""


@dataclass(frozen=True, kw_only=True)
class PlayTone(Command):
    """Play a test tone (see :mod:`appliance.audio.tone`), mixed over whatever is playing."""

    side: str = "both"
    """``both``, ``left`` or ``right``; a mono speaker plays them alike."""


@dataclass(frozen=True, kw_only=True)
class PreparePlayback(Command):
    """Open the speaker now: a reply is on its way."""


@dataclass(frozen=True, kw_only=True)
class PausePlayback(Command):
    """Fall silent but keep the place."""

    turn_id: int


@dataclass(frozen=True, kw_only=True)
class ResumePlayback(Command):
    """Go on where ``PausePlayback`` stopped."""

    turn_id: int


@dataclass(frozen=True, kw_only=True)
class SetMuted(Command):
    """Deliver no captured frames at all (``audio``), listen for nothing (``listen``)."""

    muted: bool


@dataclass(frozen=True, kw_only=True)
class SetVolume(Command):
    """Set the software volume."""

    percent: int


# --- listen ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class OpenMicrophone(Command):
    """Follow speech for a turn, from a position that may already lie in the past."""

    turn_id: int
    position: int = -1
    """Where to begin; -1 means now."""
    held: bool = False
    """A button is held: only its release (``CloseMicrophone``) ends the utterance."""
    wait_s: float = 6.0
    """How long to wait for speech before ``NothingHeard``."""
    stream: str = BOX


@dataclass(frozen=True, kw_only=True)
class CloseMicrophone(Command):
    """The button was released: the utterance ends here."""

    turn_id: int


@dataclass(frozen=True, kw_only=True)
class WatchForSpeech(Command):
    """Follow speech although Luna is speaking: it may be meant to interrupt her."""

    turn_id: int
    position: int = -1
    """Where to begin; -1 means now."""


@dataclass(frozen=True, kw_only=True)
class MeasureSound(Command):
    """Send ``SoundMeasured`` of the box's microphone for so long from now; 0 stops it."""

    seconds: float
    alone: bool = False
    """No wake word opens a turn meanwhile."""


# --- stt ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Transcribe(Command):
    """Transcribe a range of the capture stream."""

    turn_id: int
    attempt: int
    start: int
    end: int
    language: str = ""
    """Force this language; empty means: find out among the configured ones."""
    provider: str = ""
    """Have this provider do it; empty: the box itself."""
    stream: str = BOX


# --- llm ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Warm(Command):
    """Evaluate a prompt's beginning now, so that the next request finds it in the cache."""

    role: str
    """``chat``, ``code``, ``vision``, or ``classify`` for the instructions of ``Classify``."""
    messages: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Generate(Command):
    """Write the next message of a conversation. A newer request replaces one that waits."""

    turn_id: int
    attempt: int
    role: str
    messages: tuple[dict[str, Any], ...]
    """OpenAI form: ``{"role": "system" | "user" | "assistant", "content": str}``; of a question
    about an image the content is a list of parts (see :mod:`appliance.images`)."""
    max_tokens: int = 256
    temperature: float = 0.3
    continues: str = ""
    """The beginning of the answer that was given already: go on exactly after it."""
    whole: bool = False
    """Nothing of the conversation may be left out: one that is too long is refused."""


@dataclass(frozen=True, kw_only=True)
class Classify(Command):
    """Have the chat model answer with one of *choices*; ``Classified`` follows.

    It has a cache of its own, so that the conversation's stays.
    """

    turn_id: int
    messages: tuple[dict[str, Any], ...]
    choices: tuple[str, ...]
    """At least two words."""
    attempt: int = 0


# --- tts ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Speak(Command):
    """Synthesise a clause into the playback ring, after those before it."""

    turn_id: int
    clause: int
    """Counts from 1 within the turn."""
    text: str
    language: str
    provider: str = ""
    """Have this provider's voice do it; empty: the box's own."""
    stream: str = BOX


@dataclass(frozen=True, kw_only=True)
class EndSpeech(Command):
    """No more clauses for this turn: mark the end in the playback ring."""

    turn_id: int
    stream: str = BOX
