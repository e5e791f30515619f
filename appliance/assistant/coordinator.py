"""The conductor: feeds every event to the state machine and carries out its actions.

It owns what the pure state machine must not: the replies in progress, the conversation, timers
and times. It decides nothing about states.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from appliance.assistant import state_machine as machine
from appliance.assistant import turn as turns
from appliance.assistant.code_blocks import SHOWN_KEY
from appliance.assistant.history import History
from appliance.assistant.language import of_turn
from appliance.assistant.question import Answers, Hearing, Question, Speaking
from appliance.assistant.reply import Reply
from appliance.assistant.spoken_text import for_the_ear
from appliance.assistant.timings import TurnTimes
from appliance.clock import monotonic
from appliance.commands import Cancel, Command, EndSpeech, SetVolume, Speak, Transcribe
from appliance.errors import ServiceError
from appliance.events import (
    AgentSwitch,
    ClauseSynthesised,
    Complete,
    Content,
    Error,
    Event,
    GenerationFinished,
    Heard,
    LanguageRequested,
    ModelLoaded,
    ModelLoading,
    PlaybackFinished,
    PlaybackStarted,
    RepeatRequested,
    SayRequested,
    SpeechStarted,
    StateChanged,
    Status,
    SynthesisFailed,
    TextAsked,
    TimerFired,
    TokensGenerated,
    Transcribed,
    TurnEnded,
    TurnStarted,
    UtteranceEnded,
    VolumeRequested,
    WorkerChanged,
)

MAX_WAITING = 8
"""Written questions that may wait for the present turn to end."""
LONG_LOAD_S = 2.0
"""A model whose loading takes longer is announced: at once where that is expected, or then."""
NOT_KEPT = frozenset({"system", "reminder"})
"""Commands are no conversation: a model that read them would begin to imitate their answers."""


class Workers(Protocol):
    """Where commands go."""

    def send(self, worker: str, command: Command) -> bool:
        """Send to a worker, or to ``page``, which plays the replies of its own turns."""


@dataclass
class _Running:
    """A turn that has begun and not ended."""

    turn: turns.Turn
    times: TurnTimes
    reply: Reply | None = None
    agent: AgentSwitch | None = None
    """Who answers, once that is known."""
    loading: bool = False
    """A model that the answer waits for is being loaded, and it takes its time."""
    outcome: str = ""


class Coordinator:
    """Runs the turns.

    Args:
        workers: takes commands.
        publish: takes every event, in order (the event bus).
        options: the settings that the state machine depends on.
        phrase: returns one of Luna's own phrases for (key, language).
        overruns: returns the blocks that readers of the capture ring have lost so far.
        language: what to speak when nothing better is known.
        history: the conversation.
        volume: percent, at the start.
    """

    def __init__(
        self,
        *,
        workers: Workers,
        publish: Callable[[Event], None],
        options: turns.Options,
        phrase: Callable[[str, str], str],
        overruns: Callable[[], float],
        language: str,
        history: History,
        volume: int,
    ) -> None:
        self.appliance = turns.Appliance(options=options)
        self.history = history
        self._workers = workers
        self._publish = publish
        self._phrase = phrase
        self._overruns = overruns
        self._language = language
        self.volume = volume
        """Percent."""
        self.last_answer = ""
        """What Luna said last."""
        self._last_language = language
        self._answers: Answers | None = None
        self._hearing: Hearing | None = None
        self._speaking: Speaking | None = None
        self._shown = self.appliance.state
        self._running: dict[int, _Running] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._waiting: list[TextAsked | SayRequested] = []

    def reconfigure(self, **options: float) -> None:
        """Change some of the options, by their names, from now on."""
        self.appliance = replace(
            self.appliance,
            options=replace(self.appliance.options, **options),  # type: ignore[arg-type]
        )

    # --- in ---

    def connect(self, answers: Answers) -> None:
        """Let *answers* answer from now on; before that nobody does."""
        self._answers = answers
        self._hearing, self._speaking = answers.hearing, answers.speaking

    def handle(self, event: Event) -> None:
        """Take an event from a worker, a timer, a person, or whoever answers. Never waits."""
        if isinstance(event, AgentSwitch):
            self._switch(event)
            return
        self._publish(replace(event, image="") if isinstance(event, TextAsked) else event)
        self._note(event)
        self._apply(machine.step(self.appliance, event))
        self._after(event)

    def request(self, event: TextAsked | SayRequested) -> None:
        """Queue a written request; its turn begins when no other is going on.

        Raises:
            ServiceError: too many are waiting already.
        """
        if len(self._waiting) >= MAX_WAITING:
            raise ServiceError(
                "Luna is busy: too many questions are waiting; try again later"
            ).worded("refusal.busy")
        self._waiting.append(event)
        self._next_request()

    def _next_request(self) -> None:
        if self._waiting and self.appliance.turn is None:
            # The number is given only now: spoken turns may have come before it.
            event = replace(self._waiting.pop(0), turn_id=self.appliance.last_id + 1)
            self.handle(event)

    # --- what the state machine wants done ---

    def _apply(self, step: turns.Step) -> None:
        self.appliance, actions = step
        for action in actions:
            self._do(action)
        if self.appliance.state is not self._shown:
            self._shown = self.appliance.state
            turn_id = self.appliance.turn.id if self.appliance.turn else 0
            self._publish(StateChanged(state=self.appliance.state.value, turn_id=turn_id))

    def _do(self, action: turns.Action) -> None:  # noqa: PLR0912 - one case an action
        match action:
            case turns.Send("llm", Cancel(turn_id=turn_id, attempt=attempt)):
                if self._answers is not None:
                    self._answers.cancel(turn_id, attempt)
            case turns.Send("stt", command):
                self._transcribe(command)
            case turns.Send(worker, command):
                if worker == "tts" and self._speaking and isinstance(command, Cancel):
                    self._speaking.cancel(command.turn_id)
                self._workers.send(worker, command)
            case turns.BeginTurn(turn):
                self._running[turn.id] = _Running(turn, TurnTimes(ring_overruns=-self._overruns()))
                self._publish(
                    TurnStarted(turn_id=turn.id, source=turn.source, request=turn.request)
                )
            case turns.BeginReply(turn):
                self._begin_reply(turn)
            case turns.DropReply(turn_id, attempt):
                running = self._running.get(turn_id)
                if running and running.reply and running.reply.attempt == attempt:
                    running.reply = running.agent = None
            case turns.ReleaseReply(turn):
                self._release(turn)
            case turns.SpeakText(turn_id, text, language):
                self._speak_text(turn_id, text, language or self._language)
            case turns.SpeakPhrase(turn_id, key, final):
                self._speak_phrase(turn_id, key, final)
            case turns.RepeatSpeech(turn_id):
                self._repeat_speech(turn_id)
            case turns.SetTimer(name, turn_id, seconds):
                self._set_timer(name, turn_id, seconds)
            case turns.EndTurn(turn_id, outcome):
                self._end_turn(turn_id, outcome)

    def _transcribe(self, command: Command) -> None:
        """Give a command to the ``stt`` worker, by way of whoever chooses among providers."""
        hearing, turn = self._hearing, self.appliance.turn
        if hearing is not None and isinstance(command, Cancel):
            hearing.cancel(command.turn_id)
        # What may be a cough is for the box: the reply waits for its judgement.
        ours = turn is not None and turn.id == getattr(command, "turn_id", 0)
        if hearing is not None and isinstance(command, Transcribe) and turn and ours:
            hearing.transcribe(
                command, lambda order: self._workers.send("stt", order), certain=turn.ended
            )
        else:
            self._workers.send("stt", command)

    def _order_speech(self, command: Speak | EndSpeech) -> None:
        """Give a clause to the ``tts`` worker, by way of whoever chooses among voices."""
        if self._speaking is not None:
            self._speaking.order(command, lambda order: self._workers.send("tts", order))
        else:
            self._workers.send("tts", command)

    def _drop_timer(self, name: str) -> None:
        if old := self._timers.pop(name, None):
            old.cancel()

    def _set_timer(self, name: str, turn_id: int, seconds: float) -> None:
        self._drop_timer(name)
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(
            seconds, lambda: self.handle(TimerFired(name=name, turn_id=turn_id))
        )

    # --- the reply ---

    def _begin_reply(self, turn: turns.Turn) -> None:
        running = self._running.get(turn.id)
        if running is None:
            # Speech over a reply becomes a turn only with its first words.
            running = self._running[turn.id] = _Running(turn, TurnTimes())
        old = running.reply
        if self._answers is None or (old is not None and self._goes_on(old, turn)):
            return
        language = of_turn(
            turn.text or "",
            heard=turn.language,
            probability=turn.language_probability,
            configured=self._language,
        )
        reply = Reply(
            turn_id=turn.id,
            attempt=turn.attempt,
            question=turn.text or "",
            language=language,
            spoken=turn.spoken,
            released=turn.released,
            # A filler has been ordered: the numbers of the clauses go on after it.
            clauses=old.clauses if old else [],
        )
        running.reply, running.agent = reply, None
        running.times.generation_began = monotonic()
        self._answers.begin(
            Question(
                turn_id=turn.id,
                attempt=turn.attempt,
                text=reply.question,
                language=language,
                spoken=turn.spoken,
                image=turn.image,
                code_only=turn.code_only,
            )
        )

    def _goes_on(self, reply: Reply, turn: turns.Turn) -> bool:
        """Return whether *reply* is the answer to this attempt, and is being written or whole."""
        assert self._answers is not None
        under_way = self._answers.under_way(turn.id, turn.attempt)
        return reply.attempt == turn.attempt and (reply.finished or under_way)

    def _release(self, turn: turns.Turn) -> None:
        running = self._running.get(turn.id)
        if running is None or running.reply is None:
            return
        reply = running.reply
        reply.released = True
        self._publish(Heard(turn_id=turn.id, text=reply.question, language=reply.language))
        if self._answers is not None:
            self._answers.confirm(turn.id)
        if running.agent is not None:
            self._publish(running.agent)
        if reply.text:
            self._publish(Content(turn_id=turn.id, text=reply.text))
        if running.loading:
            self._bridge_loading(running)
        self._speak_ready(reply)

    def _switch(self, event: AgentSwitch) -> None:
        """Somebody answers; as long as the question is a guess nobody is told."""
        running = self._running.get(event.turn_id)
        if running is None or running.reply is None:
            return
        running.agent = event
        if running.reply.released:
            self._publish(event)

    def _bridge_loading(self, running: _Running) -> None:
        """Say that the answer will take a moment, once."""
        reply = running.reply
        if reply is None or not reply.released or any(not c.counts for c in reply.clauses):
            return
        if reply.spoken:
            self._speak_phrase(reply.turn_id, "speech.one_moment", final=False)
        else:
            said = self._phrase("speech.one_moment", reply.language)
            self._publish(Status(turn_id=reply.turn_id, text=said))

    def _speak_text(self, turn_id: int, text: str, language: str) -> None:
        running = self._running[turn_id]
        reply = Reply(turn_id, 0, "", language, spoken=True, released=True)
        running.reply = reply
        reply.feed(text)
        reply.finish()
        self._speak_ready(reply)

    def _speak_phrase(self, turn_id: int, key: str, final: bool) -> None:
        running = self._running.get(turn_id)
        if running is None or (running.reply and running.reply.finished and not final):
            return
        if running.reply is None:
            running.reply = Reply(turn_id, running.turn.attempt, "", self._language, spoken=True)
        reply = running.reply
        text = self._phrase(key, reply.language)
        if final:
            running.outcome = "failed"
            reply.finished = True
            self._publish(Error(turn_id=turn_id, text=text))
        reply.released = reply.released or final
        self._send_clause(reply, reply.add_clause(text, counts=False).number)
        if final:
            self._end_speech(reply)

    def _speak_ready(self, reply: Reply) -> None:
        """Order the clauses that are whole, and the end when there is no more to come."""
        for clause in reply.take_clauses():
            self._send_clause(reply, clause.number)
        if reply.finished and reply.released and reply.spoken:
            if reply.has_code:
                said = self._phrase(SHOWN_KEY, reply.language)
                self._send_clause(reply, reply.add_clause(said, counts=False).number)
            self._end_speech(reply)

    def _send_clause(self, reply: Reply, number: int) -> None:
        said = for_the_ear(reply.clauses[number - 1].text, reply.language)
        times = self._running[reply.turn_id].times
        times.speech_ordered = times.speech_ordered or monotonic()
        self._order_speech(
            Speak(
                turn_id=reply.turn_id,
                clause=number,
                text=said,
                language=reply.language,
                stream=self._running[reply.turn_id].turn.stream,
            )
        )

    def _end_speech(self, reply: Reply) -> None:
        if not reply.clauses:
            # Nothing speakable was written: an honest sentence is better than silence.
            self._speak_phrase(reply.turn_id, "speech.no_answer", final=True)
            return
        reply.end_ordered = True
        self._order_end(reply)

    def _order_end(self, reply: Reply) -> None:
        stream = self._running[reply.turn_id].turn.stream
        self._order_speech(EndSpeech(turn_id=reply.turn_id, stream=stream))

    def _repeat_speech(self, turn_id: int) -> None:
        running = self._running.get(turn_id)
        if running is None or running.reply is None:
            return
        reply = running.reply
        for clause in reply.owed():
            self._send_clause(reply, clause.number)
        if reply.end_ordered:
            self._order_end(reply)

    # --- what else an event means ---

    def _note(self, event: Event) -> None:  # noqa: PLR0912 - one case an event
        """Keep times and texts before the state machine acts on the event."""
        running = self._running.get(getattr(event, "turn_id", 0))
        if running is None:
            return
        times, reply = running.times, running.reply
        match event:
            case SpeechStarted():
                times.speech_started = times.speech_started or event.at
            case UtteranceEnded():
                times.endpoint = event.at
                times.speech_ended = event.at - event.silence_ms / 1000
            case Transcribed():
                times.stt_ms = event.duration_ms
            case TokensGenerated() if reply and reply.expects(event.attempt):
                times.first_token = times.first_token or event.at
                reply.feed(event.text)
                if reply.released:
                    self._publish(Content(turn_id=event.turn_id, text=event.text))
                    self._speak_ready(reply)
            case GenerationFinished() if reply and reply.expects(event.attempt):
                times.tokens_per_second = event.tokens_per_second
                reply.source = event.source
                if event.reason in ("stop", "length", "unanswered"):
                    if event.reason == "unanswered":
                        running.outcome = "failed"
                        self._publish(Error(turn_id=event.turn_id, text=event.detail))
                        reply.feed(f" {event.detail}")
                    reply.finish()
                    self._speak_ready(reply)
                elif event.reason == "failed" and reply.released:
                    self._publish(Error(turn_id=event.turn_id, text=event.detail))
            case ModelLoading() | ModelLoaded() | TimerFired(name="loading"):
                self._note_loading(running, event)
            case LanguageRequested() if reply:
                reply.language = event.language
            case ClauseSynthesised() if reply:
                times.first_audio = times.first_audio or event.first_audio_at
                reply.synthesised(event.clause, event.samples)
                self._watch_for_stall(reply, times, event)
            case SynthesisFailed() if reply:
                reply.failed_clause(event.clause)
            case PlaybackStarted():
                times.playback_started = times.playback_started or event.at

    def _note_loading(self, running: _Running, event: Event) -> None:
        match event:
            case ModelLoading(expected_s=seconds) if seconds < 0:  # it may turn out to be long
                self._set_timer("loading", event.turn_id, LONG_LOAD_S)
                return
            case ModelLoading(expected_s=seconds):
                running.loading = seconds > LONG_LOAD_S
            case TimerFired():
                running.loading = not running.times.first_token
            case _:
                running.loading = False
                self._drop_timer("loading")
        if running.loading:
            self._bridge_loading(running)

    def _watch_for_stall(self, reply: Reply, times: TurnTimes, event: ClauseSynthesised) -> None:
        """Have a silence bridged in which the model does not get on with its answer, once."""
        patience = self.appliance.options.filler_after_s
        if reply.finished or not patience or any(not clause.counts for clause in reply.clauses):
            return
        played_by = (times.playback_started or monotonic()) + reply.seconds(event.rate)
        wait = max(0.0, played_by - monotonic()) + patience
        self._set_timer("stall", event.turn_id, wait)

    def _after(self, event: Event) -> None:
        """React to what the state machine has no say in."""
        if self._hearing is not None:
            if isinstance(event, UtteranceEnded):
                self._hearing.confirm(event.turn_id)
            self._hearing.take(event)
        if self._speaking is not None:
            self._speaking.take(event)
        match event:
            case WorkerChanged(worker="llm", status="ready"):
                if self.appliance.turn is None and self._answers is not None:
                    self._answers.warm(self._language)
            case LanguageRequested():
                self._language = event.language
            case RepeatRequested():
                again = self.last_answer or self._phrase("tool.nothing_to_repeat", self._language)
                self.request(SayRequested(text=again, language=self._last_language))
            case VolumeRequested():
                self.volume = event.percent
                self._workers.send("audio", SetVolume(percent=event.percent))
            case WorkerChanged(worker="audio", status="ready"):
                self._workers.send("audio", SetVolume(percent=self.volume))
            case PlaybackFinished(cut=True):
                self._close_turn(event.turn_id, event)
        self._next_request()

    # --- the end of a turn ---

    def _end_turn(self, turn_id: int, outcome: str) -> None:
        running = self._running.get(turn_id)
        if running is None:
            return
        running.outcome = running.outcome or outcome
        reply = running.reply
        cut_off = outcome == "interrupted" and reply is not None and reply.clauses
        if cut_off:
            # What was heard of it is known when the audio worker has stopped; it tells at once.
            asyncio.get_running_loop().call_later(1.0, self._close_turn, turn_id, None)
            return
        self._close_turn(turn_id, None)
        answered = running.outcome == "answered" and reply is not None
        # Who speaks through a browser presses again: its microphone is not ours to open.
        here = not running.turn.stream
        if answered and here and reply and reply.spoken and reply.asks_something():
            self._apply(machine.follow_up(self.appliance))

    def _close_turn(self, turn_id: int, cut: PlaybackFinished | None) -> None:
        """Write the turn into history and tell everybody."""
        running = self._running.pop(turn_id, None)
        if running is None:
            return
        reply, answer = running.reply, ""
        if reply is not None and reply.question and reply.released:
            if running.outcome == "answered":
                answer = reply.text.strip()
                self.last_answer, self._last_language = answer, reply.language
                if running.agent is None or running.agent.role not in NOT_KEPT:
                    self.history.add(reply.question, reply.without_source(answer))
            elif running.outcome == "interrupted":
                answer = reply.heard(cut.clause, cut.clause_samples, cut.rate) if cut else ""
                self.history.add_interrupted(reply.question, reply.without_source(answer))
        if running.outcome == "answered":
            self._publish(Complete(turn_id=turn_id, text=answer))
        running.times.ring_overruns += self._overruns()
        self._publish(
            TurnEnded(
                turn_id=turn_id,
                source=running.turn.source,
                outcome=running.outcome,
                question=reply.question if reply and reply.released else "",
                answer=answer,
                language=reply.language if reply else "",
                model=running.agent.model if running.agent else "",
                provider=running.agent.provider if running.agent else "",
                role=running.agent.role if running.agent else "",
                timings=running.times.figures(),
            )
        )
        if self._answers is not None and not self._waiting:
            self._answers.rest(reply.language if reply else self._language)
