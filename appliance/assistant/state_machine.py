"""The appliance as a pure function: ``step(appliance, event) -> (appliance, actions)``.

Nothing here waits, reads a clock or talks to a process. The coordinator feeds it every event
and carries out the actions in order. A worker that comes back after a crash is simply an event:
:func:`_resume` repeats whatever was asked of it and has not been answered.

A turn passes through these steps; those marked * may happen before it is certain that the
person has finished, and are undone without a trace if she has not::

    open microphone -> pause -> transcribe* -> begin reply* -> utterance ended -> release reply
"""

from __future__ import annotations

from dataclasses import replace

from appliance.assistant.turn import (
    Action,
    Appliance,
    BeginReply,
    BeginTurn,
    DropReply,
    EndTurn,
    ReleaseReply,
    RepeatSpeech,
    Send,
    SetTimer,
    SpeakPhrase,
    SpeakText,
    State,
    Step,
    Turn,
)
from appliance.commands import (
    BOX,
    PAGE,
    Cancel,
    CloseMicrophone,
    OpenMicrophone,
    PausePlayback,
    PlayEarcon,
    PreparePlayback,
    ResumePlayback,
    SetMuted,
    Transcribe,
    WatchForSpeech,
)
from appliance.errors import ModelError
from appliance.events import (
    ButtonPressed,
    ButtonReleased,
    ClauseSynthesised,
    Event,
    GenerationFinished,
    MuteRequested,
    NothingHeard,
    PagePressed,
    PageReleased,
    PlaybackFinished,
    PlaybackStarted,
    RepeatRequested,
    SayRequested,
    SpeechResumed,
    SpeechStarted,
    StopRequested,
    TextAsked,
    TimerFired,
    TokensGenerated,
    Transcribed,
    UpdateProgress,
    UtteranceEnded,
    UtterancePaused,
    WakeHeard,
    WorkerChanged,
)

RESUME_AFTER_S = 2.0
"""A reply paused by a noise goes on after so long without anything intelligible."""
LISTENING_LIMIT_S = 60.0
"""An open microphone that no worker closes any more is given up so long after the wait for speech;
the longest utterance takes half of it."""
APOLOGY_LIMIT_S = 15.0
"""An apology must not hang for ever either."""

UPDATE_SILENCE_S = 120.0
"""An update that says nothing for so long has ended without a word."""


def step(appliance: Appliance, event: Event) -> Step:  # noqa: PLR0912 - one case an event
    """Return the appliance after *event*, and what is to be done, in order."""
    match event:
        case WorkerChanged():
            return _worker_changed(appliance, event)
        case MuteRequested():
            return _mute(appliance, event.muted)
        case StopRequested() | RepeatRequested():
            return _stop(appliance)
        case WakeHeard():
            return _open(appliance, "wake", position=event.position)
        case ButtonPressed():
            return _open(appliance, "button", event.position, event.held)
        case ButtonReleased():
            return _released(appliance, BOX)
        case PagePressed():
            return _open(appliance, "page", event.position, held=True, stream=PAGE)
        case PageReleased():
            return _page_released(appliance, event)
        case TextAsked():
            return _text_asked(appliance, event)
        case SayRequested():
            return _say(appliance, event)
        case SpeechStarted():
            return _speech_started(appliance, event)
        case UtterancePaused():
            return _for_turn(appliance, event.turn_id, lambda t: _paused(t, event))
        case SpeechResumed():
            return _for_turn(appliance, event.turn_id, _resumed)
        case Transcribed():
            return _transcribed(appliance, event)
        case UtteranceEnded():
            return _utterance_ended(appliance, event)
        case NothingHeard():
            return _nothing_heard(appliance, event.turn_id)
        case TokensGenerated() | ClauseSynthesised():
            return _progressed(appliance, event.turn_id)
        case GenerationFinished():
            return _generation_finished(appliance, event)
        case PlaybackStarted():
            return _playback_started(appliance, event)
        case PlaybackFinished():
            return _playback_finished(appliance, event)
        case UpdateProgress():
            return _update_progressed(appliance, event)
        case TimerFired():
            return _timer_fired(appliance, event)
    return appliance, []


# --- helpers -----------------------------------------------------------------------------------


def _resting(appliance: Appliance) -> State:
    """Return the state of an appliance without a turn."""
    if appliance.updating:
        return State.UPDATING
    if appliance.muted:
        return State.MUTED
    if appliance.options.required <= appliance.ready:
        return State.IDLE
    return State.ERROR if appliance.started else State.STARTING


def _rest(appliance: Appliance) -> Appliance:
    """Return the appliance without a turn."""
    appliance = replace(appliance, turn=None, noise=None)
    state = _resting(appliance)
    return replace(appliance, state=state, started=appliance.started or state is State.IDLE)


def _for_turn(appliance: Appliance, turn_id: int, change: object) -> Step:
    """Apply ``change(turn) -> (turn, actions)`` to the turn or the noise with this id."""
    for name in ("turn", "noise"):
        turn = getattr(appliance, name)
        if turn is not None and turn.id == turn_id:
            new, actions = change(turn)  # type: ignore[operator]
            return replace(appliance, **{name: new}), actions
    return appliance, []


def _cancel(turn: Turn) -> list[Action]:
    """Stop all work for a turn everywhere."""
    order = Cancel(turn_id=turn.id)
    return [Send(worker, order) for worker in (_player(turn), "tts", "llm", "stt", "listen")]


def _player(turn: Turn) -> str:
    """Return who plays the reply of a turn."""
    return turn.stream or "audio"


def _earcon(turn: Turn, name: str) -> list[Action]:
    """Play a signal to whoever is at the box; the page shows what it means."""
    return [] if turn.stream else [Send("audio", PlayEarcon(name=name))]


def _interrupt(appliance: Appliance) -> Step:
    """End the present turn, if there is one, because something else is wanted."""
    turn, actions = appliance.turn, []
    if turn is not None:
        actions = [*_cancel(turn), EndTurn(turn.id, "interrupted")]
        appliance = replace(appliance, cancelled_id=turn.id)
    if appliance.noise is not None:
        actions += [*_cancel(appliance.noise), EndTurn(appliance.noise.id, "interrupted")]
        appliance = replace(appliance, cancelled_id=appliance.noise.id)
    return _rest(appliance), actions


# --- beginnings --------------------------------------------------------------------------------


def _open(
    appliance: Appliance,
    source: str,
    position: int = -1,
    held: bool = False,
    stream: str = BOX,
) -> Step:
    """Open the microphone; whatever Luna was doing gives way (barge-in)."""
    if source == "wake" and appliance.state is State.LISTENING:
        return appliance, []
    deaf = not _can_hear(appliance, stream)
    actions: list[Action] = []
    if not deaf or appliance.state is State.SPEAKING:
        appliance, actions = _interrupt(appliance)
    turn = Turn(
        id=appliance.last_id + 1,
        source=source,
        stream=stream,
        position=position,
        held=held,
        wait_s=(
            appliance.options.follow_up_s
            if source == "follow_up"
            else appliance.options.wait_for_speech_s
        ),
    )
    if deaf:
        return appliance, [*actions, *_earcon(turn, "error")]
    actions += [BeginTurn(turn), *_listen_to(turn)]
    if source == "wake":
        actions += _earcon(turn, "wake")
    if not stream:
        actions.append(Send("audio", PreparePlayback()))
    actions.append(SetTimer("give_up", turn.id, turn.wait_s + LISTENING_LIMIT_S))
    return (
        replace(appliance, state=State.LISTENING, turn=turn, last_id=turn.id),
        actions,
    )


def _can_hear(appliance: Appliance, stream: str) -> bool:
    """Return whether a microphone can be opened; the mute button is about the box's own."""
    if stream:
        return "listen" in appliance.ready
    return not appliance.muted and {"listen", "audio"} <= appliance.ready


def _listen_to(turn: Turn) -> list[Action]:
    order = OpenMicrophone(
        turn_id=turn.id,
        position=turn.position,
        held=turn.held or bool(turn.stream),
        wait_s=turn.wait_s,
        stream=turn.stream,
    )
    if not turn.stream or turn.held:
        return [Send("listen", order)]
    # A browser sends nothing after the release: no silence would ever end the utterance.
    return [Send("listen", order), Send("listen", CloseMicrophone(turn_id=turn.id))]


def _text_asked(appliance: Appliance, event: TextAsked) -> Step:
    appliance, actions = _interrupt(appliance)
    turn = Turn(
        id=event.turn_id,
        source="text",
        request=event.request,
        spoken=event.speak,
        attempt=1,
        text=event.text,
        image=event.image,
        code_only=event.code_only,
        ended=True,
        replying=True,
        released=True,
    )
    actions += [BeginTurn(turn), BeginReply(turn), ReleaseReply(turn)]
    actions += _deadlines(appliance, turn)
    return replace(appliance, state=State.THINKING, turn=turn, last_id=turn.id), actions


def _say(appliance: Appliance, event: SayRequested) -> Step:
    appliance, actions = _interrupt(appliance)
    turn = Turn(id=event.turn_id, source="say", request=event.request, ended=True, released=True)
    actions += [
        BeginTurn(turn),
        Send("audio", PreparePlayback()),
        SpeakText(turn.id, event.text, event.language),
        SetTimer("give_up", turn.id, appliance.options.give_up_after_s),
    ]
    return replace(appliance, state=State.THINKING, turn=turn, last_id=turn.id), actions


# --- while somebody speaks ---------------------------------------------------------------------


def _paused(turn: Turn, event: UtterancePaused) -> tuple[Turn, list[Action]]:
    """Transcribe on the chance that this was all."""
    turn, actions = _resumed(turn)
    turn = replace(turn, attempt=turn.attempt + 1, start=event.start, end=event.end)
    return turn, [*actions, _transcribe(turn)]


def _resumed(turn: Turn) -> tuple[Turn, list[Action]]:
    """Speech goes on: what was begun on the pause is void."""
    actions: list[Action] = []
    if turn.start >= 0:
        order = Cancel(turn_id=turn.id, attempt=turn.attempt)
        actions.append(Send("stt", order))
        if turn.replying:
            actions += [Send("llm", order), DropReply(turn.id, turn.attempt)]
    return replace(turn, start=-1, end=-1, text=None, replying=False), actions


def _transcribe(turn: Turn) -> Action:
    return Send(
        "stt",
        Transcribe(
            turn_id=turn.id,
            attempt=turn.attempt,
            start=turn.start,
            end=turn.end,
            stream=turn.stream,
        ),
    )


def _page_released(appliance: Appliance, event: PageReleased) -> Step:
    turn = appliance.turn
    if turn is None or turn.id != event.turn_id:
        return appliance, []
    return _released(appliance, PAGE)


def _released(appliance: Appliance, stream: str) -> Step:
    """The button that opened the microphone *stream* was let go."""
    turn = appliance.turn
    if turn is None or turn.stream != stream or not turn.held or turn.ended:
        return appliance, []
    # A listen worker that is just being replaced will not wait for a release that has been.
    appliance = replace(appliance, turn=replace(turn, held=False))
    return appliance, [Send("listen", CloseMicrophone(turn_id=turn.id))]


def _awaits(turn: Turn, event: Transcribed) -> bool:
    """Return whether this is the transcript of the latest pause, and nothing was said since."""
    return turn.attempt == event.attempt and turn.start >= 0 and turn.text is None


def _with_words(turn: Turn, event: Transcribed) -> Turn:
    return replace(
        turn,
        text=event.text,
        language=event.language,
        language_probability=event.language_probability,
    )


def _transcribed(appliance: Appliance, event: Transcribed) -> Step:
    if appliance.noise is not None and appliance.noise.id == event.turn_id:
        return _noise_transcribed(appliance, appliance.noise, event)
    turn = appliance.turn
    if turn is None or turn.id != event.turn_id or not _awaits(turn, event):
        return appliance, []
    if turn.apologised:
        return appliance, []
    turn = _with_words(turn, event)
    actions: list[Action] = []
    if turn.text:
        turn = replace(turn, replying=True)
        actions.append(BeginReply(turn))
    appliance = replace(appliance, turn=turn)
    if turn.ended:
        appliance, more = _settle(appliance, turn)
        actions += more
    return appliance, actions


def _utterance_ended(appliance: Appliance, event: UtteranceEnded) -> Step:
    noise = appliance.noise
    if noise is not None and noise.id == event.turn_id:
        noise = replace(noise, ended=True)
        if noise.text is not None:
            return _noise_judged(appliance, noise)
        if (noise.start, noise.end) != (event.start, event.end):
            noise = replace(
                noise, attempt=noise.attempt + 1, start=event.start, end=event.end, ended=True
            )
            return replace(appliance, noise=noise), [_transcribe(noise)]
        return replace(appliance, noise=noise), []
    turn = appliance.turn
    if turn is None or turn.id != event.turn_id or turn.ended:
        return appliance, []
    actions: list[Action] = []
    if (turn.start, turn.end) != (event.start, event.end):
        turn, actions = _resumed(turn)
        turn = replace(turn, attempt=turn.attempt + 1, start=event.start, end=event.end)
        actions.append(_transcribe(turn))
    turn = replace(turn, ended=True)
    appliance = replace(appliance, state=State.THINKING, turn=turn)
    actions += _deadlines(appliance, turn)
    if turn.text is not None:
        appliance, more = _settle(appliance, turn)
        actions += more
    return appliance, actions


def _deadlines(appliance: Appliance, turn: Turn) -> list[Action]:
    actions: list[Action] = [SetTimer("give_up", turn.id, appliance.options.give_up_after_s)]
    if appliance.options.filler_after_s and turn.spoken:
        actions.append(SetTimer("filler", turn.id, appliance.options.filler_after_s))
    return actions


def _settle(appliance: Appliance, turn: Turn) -> Step:
    """The question is certain: let the answer out, or end a turn in which nothing was said."""
    if not turn.text:
        return _unheard(appliance, turn)
    # A speculation that failed is tried once more, now that it matters.
    begin = [] if turn.replying else [BeginReply(turn)]
    turn = replace(turn, replying=True, released=True)
    return replace(appliance, turn=turn), [*begin, ReleaseReply(turn)]


def _nothing_heard(appliance: Appliance, turn_id: int) -> Step:
    if appliance.noise is not None and appliance.noise.id == turn_id:
        return _go_on(appliance)
    turn = appliance.turn
    if turn is None or turn.id != turn_id or turn.ended:
        return appliance, []
    if turn.text:
        # A new listen worker took over after the question; the old one knew that it was one.
        turn = replace(turn, ended=True)
        appliance = replace(appliance, state=State.THINKING, turn=turn)
        appliance, actions = _settle(appliance, turn)
        return appliance, [*_deadlines(appliance, turn), *actions]
    return _unheard(appliance, turn)


def _unheard(appliance: Appliance, turn: Turn) -> Step:
    signal = _earcon(turn, "done") if turn.source != "follow_up" else []
    return _rest(appliance), [*signal, EndTurn(turn.id, "nothing_heard")]


# --- the reply ---------------------------------------------------------------------------------


def _generation_finished(appliance: Appliance, event: GenerationFinished) -> Step:
    turn = appliance.turn
    if turn is None or turn.id != event.turn_id or turn.attempt != event.attempt:
        return appliance, []
    if turn.apologised or not turn.replying:
        return appliance, []
    if event.reason == "failed":
        if not turn.released:
            turn = replace(turn, replying=False)
            return replace(appliance, turn=turn), [DropReply(turn.id, turn.attempt)]
        return _apologise(appliance, turn, "speech.failed")
    if event.reason != "cancelled" and turn.released and not turn.spoken:
        return _rest(appliance), [EndTurn(turn.id, "answered")]
    return appliance, []


def _progressed(appliance: Appliance, turn_id: int) -> Step:
    """Something came of a turn: it is given up only if nothing comes from now on."""
    turn = appliance.turn
    if turn is None or turn.id != turn_id or not turn.released:
        return appliance, []
    if turn.apologised:
        return appliance, [SetTimer("end", turn.id, APOLOGY_LIMIT_S)]
    return appliance, [SetTimer("give_up", turn.id, appliance.options.give_up_after_s)]


def _apologise(appliance: Appliance, turn: Turn, key: str) -> Step:
    """Say honestly that there will be no answer; without a voice the error signal must do."""
    actions: list[Action] = [Send("llm", Cancel(turn_id=turn.id))]
    if turn.spoken and "tts" in appliance.ready and turn.ended:
        turn = replace(turn, apologised=True, released=True)
        actions += [
            SpeakPhrase(turn.id, key, final=True),
            SetTimer("end", turn.id, APOLOGY_LIMIT_S),
        ]
        return replace(appliance, turn=turn), actions
    return _fail(appliance, turn, actions)


def _fail(appliance: Appliance, turn: Turn, before: list[Action] | None = None) -> Step:
    actions = [*(before or []), *_cancel(turn), *_earcon(turn, "error")]
    if appliance.noise is not None:
        actions += _cancel(appliance.noise)
    appliance = _rest(replace(appliance, cancelled_id=turn.id))
    return appliance, [*actions, EndTurn(turn.id, "failed")]


def _playback_started(appliance: Appliance, event: PlaybackStarted) -> Step:
    turn = appliance.turn
    if turn is None or turn.id != event.turn_id:
        return appliance, []
    turn = replace(turn, sounding=True)
    appliance = replace(appliance, state=State.SPEAKING, turn=turn)
    return _watch(appliance)


def _watch(appliance: Appliance) -> Step:
    """Follow speech while Luna speaks; it gets a turn number of its own."""
    wanted = appliance.options.barge_in_by_speech and not appliance.muted
    elsewhere = appliance.turn is not None and appliance.turn.stream
    if not wanted or elsewhere or appliance.noise is not None:
        return appliance, []
    noise = Turn(id=appliance.last_id + 1, source="speech")
    return (
        replace(appliance, noise=noise, last_id=noise.id),
        [Send("listen", WatchForSpeech(turn_id=noise.id))],
    )


def _playback_finished(appliance: Appliance, event: PlaybackFinished) -> Step:
    turn = appliance.turn
    if turn is None or turn.id != event.turn_id or event.cut:
        return appliance, []
    actions: list[Action] = []
    if appliance.noise is not None:
        actions += _cancel(appliance.noise)
    return _rest(appliance), [*actions, EndTurn(turn.id, "answered")]


def follow_up(appliance: Appliance) -> Step:
    """Open the microphone without a wake word, after an answer that asked something."""
    if appliance.state is not State.IDLE or not appliance.options.follow_up_s:
        return appliance, []
    return _open(appliance, "follow_up")


# --- speech while Luna speaks ------------------------------------------------------------------


def _speech_started(appliance: Appliance, event: SpeechStarted) -> Step:
    noise, turn = appliance.noise, appliance.turn
    if turn is not None and turn.id == event.turn_id and turn.position < 0:
        # From here a new listen worker can hear it again.
        return replace(appliance, turn=replace(turn, position=event.position)), []
    if noise is None or turn is None or noise.id != event.turn_id:
        return appliance, []
    return (
        replace(appliance, noise=replace(noise, position=event.position)),
        [
            Send("audio", PausePlayback(turn_id=turn.id)),
            SetTimer("resume", noise.id, RESUME_AFTER_S),
        ],
    )


def _noise_transcribed(appliance: Appliance, noise: Turn, event: Transcribed) -> Step:
    if not _awaits(noise, event):
        return appliance, []
    return _noise_judged(appliance, _with_words(noise, event))


def _noise_judged(appliance: Appliance, noise: Turn) -> Step:
    """Words make it the next turn; a cough or an "uh-huh" lets the reply go on."""
    if not noise.text or is_backchannel(noise.text):
        if noise.ended:
            return _go_on(appliance)
        return replace(appliance, noise=noise), []
    old = appliance.turn
    actions: list[Action] = [BeginTurn(noise)]
    if old is not None:
        actions = [*_cancel(old), EndTurn(old.id, "interrupted"), *actions]
        appliance = replace(appliance, cancelled_id=old.id)
    noise = replace(noise, replying=True)
    state = State.THINKING if noise.ended else State.LISTENING
    appliance = replace(appliance, turn=noise, noise=None, state=state)
    actions.append(BeginReply(noise))
    if noise.ended:
        actions += _deadlines(appliance, noise)
        appliance, more = _settle(appliance, noise)
        actions += more
    return appliance, actions


def _go_on(appliance: Appliance) -> Step:
    """It was nothing: the reply goes on where it stopped."""
    turn, noise = appliance.turn, appliance.noise
    if turn is None or noise is None:
        return appliance, []
    actions: list[Action] = [
        Send("listen", Cancel(turn_id=noise.id)),
        Send("stt", Cancel(turn_id=noise.id)),
        Send("audio", ResumePlayback(turn_id=turn.id)),
    ]
    appliance, watch = _watch(replace(appliance, noise=None))
    return appliance, [*actions, *watch]


_BACKCHANNELS = frozenset(
    (
        *("uh huh", "mm hmm", "mhm", "hmm", "hm", "mm", "uh", "um", "ah", "oh", "yeah", "yes"),
        *("ok", "okay", "right", "i see", "aham", "ahã", "uhum", "hum", "é", "sim", "tá"),
        *("certo", "isso", "entendi"),
    )
)


def is_backchannel(text: str) -> bool:
    """Return whether *text* only shows that somebody listens ("uh-huh", "aham")."""
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return " ".join(words) in _BACKCHANNELS


# --- ends --------------------------------------------------------------------------------------


def _stop(appliance: Appliance) -> Step:
    return _interrupt(appliance)


def _mute(appliance: Appliance, muted: bool) -> Step:
    actions: list[Action] = []
    turn = appliance.turn
    if muted and appliance.state is State.LISTENING and turn is not None and not turn.stream:
        appliance, actions = _interrupt(appliance)
    appliance = replace(appliance, muted=muted)
    if appliance.turn is None:
        appliance = replace(appliance, state=_resting(appliance))
    order = SetMuted(muted=muted)
    actions += [Send("audio", order), Send("listen", order)]
    more: list[Action] = []
    if muted:
        appliance, more = _go_on(appliance)
    elif appliance.state is State.SPEAKING:
        appliance, more = _watch(appliance)
    return appliance, [*actions, *more]


def _update_progressed(appliance: Appliance, event: UpdateProgress) -> Step:
    """Show that an update is at work; one that died without a word is forgotten."""
    updating = event.stage in ("writing", "checking", "restarting")
    appliance = replace(appliance, updating=updating)
    if appliance.turn is None:
        appliance = replace(appliance, state=_resting(appliance))
    return appliance, [SetTimer("update", 0, UPDATE_SILENCE_S)] if updating else []


def _timer_fired(appliance: Appliance, event: TimerFired) -> Step:
    noise = appliance.noise
    if event.name == "update":
        return _update_progressed(appliance, UpdateProgress(stage="failed"))
    if event.name == "resume":
        if noise is None or noise.id != event.turn_id:
            return appliance, []
        if noise.start < 0 or noise.text is None:
            # Somebody still speaks, or his words are being read: their judgement decides.
            return appliance, [SetTimer("resume", noise.id, RESUME_AFTER_S)]
        return _go_on(appliance)
    turn = appliance.turn
    if turn is None or turn.id != event.turn_id:
        return appliance, []
    if event.name == "end":
        return _fail(appliance, turn)
    if turn.apologised:
        return appliance, []
    if event.name == "filler" and not turn.sounding:
        needed = {"stt", "llm"} if turn.source != "text" else {"llm"}
        key = "speech.one_moment" if needed <= appliance.ready else "speech.still_waking_up"
        if needed & appliance.lacking:
            key = "speech.models_missing"
        return appliance, [SpeakPhrase(turn.id, key, final=False)]
    if event.name == "stall" and appliance.state is State.SPEAKING:
        return appliance, [SpeakPhrase(turn.id, "speech.one_moment", final=False)]
    if event.name == "give_up":
        return _apologise(appliance, turn, "speech.took_too_long")
    return appliance, []


# --- workers come and go -----------------------------------------------------------------------


def _worker_changed(appliance: Appliance, event: WorkerChanged) -> Step:
    ready = appliance.ready - {event.worker}
    lacking = appliance.lacking
    if event.status == "ready":
        ready |= {event.worker}
        lacking -= {event.worker}
    elif event.status == "failed":
        lacking -= {event.worker}
        if event.exit_code == ModelError.exit_code:
            lacking |= {event.worker}
    appliance = replace(appliance, ready=ready, lacking=lacking)
    actions = _resume(appliance, event.worker) if event.status == "ready" else []
    if appliance.turn is None:
        appliance = _rest(appliance)
    noise = appliance.noise
    if event.worker == "listen" and event.status == "ready" and noise and not noise.ended:
        appliance, more = _go_on(appliance)  # what the old worker heard begin, nobody hears end
        actions += more
    return appliance, actions


def _resume(appliance: Appliance, worker: str) -> list[Action]:
    """Ask a new worker for what the one before it still owed."""
    actions: list[Action] = []
    if worker in ("audio", "listen") and appliance.muted:
        actions.append(Send(worker, SetMuted(muted=True)))
    if worker in ("audio", "tts") and appliance.cancelled_id:
        actions.append(Send(worker, Cancel(turn_id=appliance.cancelled_id)))
    turn = appliance.turn
    if turn is None:
        return actions
    if worker == "listen":
        if not turn.ended and appliance.state is State.LISTENING:
            actions += _listen_to(turn)
    elif worker == "stt":
        actions += [
            _transcribe(t)
            for t in (turn, appliance.noise)
            if t is not None and t.start >= 0 and t.text is None and not t.apologised
        ]
    elif worker == "llm" and turn.replying and not turn.apologised:
        actions.append(BeginReply(turn))
    elif worker == "tts" and turn.released:
        actions.append(RepeatSpeech(turn.id))
    return actions
