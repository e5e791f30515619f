"""The appliance as a pure function: scenarios, and properties of any sequence of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.assistant import turn as sm
from appliance.assistant.state_machine import follow_up, step
from appliance.assistant.turn import Appliance, Options, State
from appliance.commands import CloseMicrophone, Command, OpenMicrophone, Transcribe
from appliance.events import (
    ButtonPressed,
    ButtonReleased,
    Event,
    GenerationFinished,
    MuteRequested,
    NothingHeard,
    PagePressed,
    PageReleased,
    PlaybackFinished,
    PlaybackStarted,
    SayRequested,
    SpeechResumed,
    SpeechStarted,
    StopRequested,
    TextAsked,
    TimerFired,
    Transcribed,
    UtteranceEnded,
    UtterancePaused,
    WakeHeard,
    WorkerChanged,
)

ALL = ("audio", "listen", "stt", "tts", "llm")


class Box:
    """An appliance and everything it wanted done."""

    def __init__(self, **options: object) -> None:
        self.state = Appliance(options=replace(Options(), **options))  # type: ignore[arg-type]
        self.done: list[sm.Action] = []

    def feed(self, *events: Event) -> list[sm.Action]:
        """Take events; return the actions of all of them."""
        actions: list[sm.Action] = []
        for event in events:
            self.state, new = step(self.state, event)
            actions += new
        self.done += actions
        return actions

    def ready(self, *workers: str) -> None:
        """Make workers ready."""
        self.feed(*(WorkerChanged(worker=w, status="ready") for w in workers or ALL))

    def to_thinking(self) -> int:
        """A question was asked and is certain; returns the turn's number."""
        self.feed(WakeHeard(phrase="x", score=1.0, position=100))
        turn = self.turn
        self.feed(
            UtterancePaused(turn_id=turn, start=200, end=900),
            heard(turn, 1, "What is it?"),
            UtteranceEnded(turn_id=turn, start=200, end=900, reason="complete"),
        )
        return turn

    @property
    def turn(self) -> int:
        assert self.state.turn is not None
        return self.state.turn.id

    @property
    def now(self) -> State:
        return self.state.state


def heard(turn: int, attempt: int, text: str, language: str = "en") -> Transcribed:
    return Transcribed(
        turn_id=turn, attempt=attempt, start=200, end=900, text=text, language=language
    )


def sent(actions: list[sm.Action], worker: str) -> list[str]:
    """Types of the commands that go to a worker."""
    return [a.command.type for a in actions if isinstance(a, sm.Send) and a.worker == worker]


def kinds(actions: list[sm.Action]) -> list[str]:
    return [type(a).__name__ for a in actions if not isinstance(a, sm.Send)]


@pytest.fixture
def box() -> Box:
    made = Box()
    made.ready()
    return made


def test_starting_until_it_can_hear() -> None:
    box = Box()
    box.ready("stt", "audio")
    assert box.now is State.STARTING
    box.ready("listen")
    assert box.now is State.IDLE
    box.feed(WorkerChanged(worker="audio", status="failed"))
    assert box.now is State.ERROR
    box.ready("audio")
    assert box.now is State.IDLE


def test_a_whole_turn(box: Box) -> None:
    actions = box.feed(WakeHeard(phrase="x", score=1.0, position=100))
    assert box.now is State.LISTENING
    assert sent(actions, "listen") == ["open_microphone"]
    assert "play_earcon" in sent(actions, "audio")
    actions = box.feed(UtterancePaused(turn_id=1, start=200, end=900))
    assert sent(actions, "stt") == ["transcribe"]
    actions = box.feed(heard(1, 1, "What is it?"))
    assert kinds(actions) == ["BeginReply"]
    assert box.now is State.LISTENING
    actions = box.feed(UtteranceEnded(turn_id=1, start=200, end=900, reason="complete"))
    assert kinds(actions) == ["SetTimer", "SetTimer", "ReleaseReply"]
    assert box.now is State.THINKING
    box.feed(PlaybackStarted(turn_id=1))
    assert box.now is State.SPEAKING
    actions = box.feed(PlaybackFinished(turn_id=1, cut=False))
    assert actions == [sm.EndTurn(1, "answered")]
    assert box.now is State.IDLE


def test_speech_that_goes_on_voids_the_speculation(box: Box) -> None:
    box.feed(WakeHeard(phrase="x", score=1.0, position=0))
    box.feed(UtterancePaused(turn_id=1, start=200, end=900), heard(1, 1, "Remind me"))
    actions = box.feed(SpeechResumed(turn_id=1, position=1000))
    assert sent(actions, "stt") == ["cancel"]
    assert sent(actions, "llm") == ["cancel"]
    assert sm.DropReply(1, 1) in actions
    assert box.feed(heard(1, 1, "late")) == []
    box.feed(UtterancePaused(turn_id=1, start=200, end=1900))
    actions = box.feed(heard(1, 2, "Remind me to call"))
    assert [a.turn.text for a in actions if isinstance(a, sm.BeginReply)] == ["Remind me to call"]


def test_end_without_a_matching_pause_transcribes_again(box: Box) -> None:
    box.feed(ButtonPressed(held=True))
    box.feed(UtterancePaused(turn_id=1, start=0, end=500), heard(1, 1, "What"))
    assert sent(box.feed(ButtonReleased()), "listen") == ["close_microphone"]
    actions = box.feed(UtteranceEnded(turn_id=1, start=0, end=800, reason="released"))
    assert sm.DropReply(1, 1) in actions
    assert sent(actions, "stt") == ["cancel", "transcribe"]
    actions = box.feed(heard(1, 2, "What now?"))
    assert kinds(actions) == ["BeginReply", "ReleaseReply"]


def test_nothing_intelligible_ends_the_turn(box: Box) -> None:
    box.feed(WakeHeard(phrase="x", score=1.0, position=0))
    box.feed(UtterancePaused(turn_id=1, start=0, end=500), heard(1, 1, ""))
    actions = box.feed(UtteranceEnded(turn_id=1, start=0, end=500, reason="silence"))
    assert sm.EndTurn(1, "nothing_heard") in actions
    assert box.now is State.IDLE


@pytest.mark.parametrize("state", ["listening", "thinking", "speaking"])
def test_barge_in_by_button_in_each_state(box: Box, state: str) -> None:
    if state == "listening":
        box.feed(WakeHeard(phrase="x", score=1.0, position=0))
    else:
        box.to_thinking()
        if state == "speaking":
            box.feed(PlaybackStarted(turn_id=1))
    actions = box.feed(ButtonPressed())
    for worker in ("audio", "tts", "llm", "stt"):
        assert "cancel" in sent(actions, worker)
    assert sm.EndTurn(1, "interrupted") in actions
    assert (box.now, box.turn) == (State.LISTENING, 2)
    # Whatever arrives late for the old turn is dropped.
    assert box.feed(heard(1, 1, "late"), PlaybackStarted(turn_id=1)) == []
    assert box.now is State.LISTENING


def test_wake_word_in_its_own_turn_changes_nothing(box: Box) -> None:
    box.feed(ButtonPressed())
    assert box.feed(WakeHeard(phrase="x", score=1.0, position=0)) == []


def test_stop_and_mute(box: Box) -> None:
    box.to_thinking()
    assert sm.EndTurn(1, "interrupted") in box.feed(StopRequested())
    assert box.now is State.IDLE
    actions = box.feed(MuteRequested(muted=True))
    assert sent(actions, "audio") == ["set_muted"]
    assert box.now is State.MUTED
    assert sent(box.feed(ButtonPressed()), "audio") == ["play_earcon"]
    assert box.now is State.MUTED
    # A question in writing is answered; then it is muted again.
    box.feed(TextAsked(turn_id=2, text="Hello"))
    assert box.now is State.THINKING
    box.feed(GenerationFinished(turn_id=2, attempt=1, reason="stop"))
    assert box.now is State.MUTED
    box.feed(MuteRequested(muted=False))
    assert box.now is State.IDLE


def test_mute_while_listening_ends_the_turn(box: Box) -> None:
    box.feed(ButtonPressed())
    assert sm.EndTurn(1, "interrupted") in box.feed(MuteRequested(muted=True))
    assert box.now is State.MUTED


def test_follow_up(box: Box) -> None:
    box.to_thinking()
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    box.state, actions = follow_up(box.state)
    assert (box.now, box.state.turn and box.state.turn.source) == (State.LISTENING, "follow_up")
    actions = box.feed(NothingHeard(turn_id=2))
    # Nobody answered: no signal, nobody is disturbed.
    assert actions == [sm.EndTurn(2, "nothing_heard")]


def _speaking_with_speech_barge_in() -> Box:
    box = Box(barge_in_by_speech=True)
    box.ready()
    box.to_thinking()
    assert sent(box.feed(PlaybackStarted(turn_id=1)), "listen") == ["watch_for_speech"]
    return box


@pytest.mark.parametrize("text", ["", "Uh-huh.", "Aham!"])
def test_a_short_noise_only_pauses_the_reply(text: str) -> None:
    box = _speaking_with_speech_barge_in()
    assert sent(box.feed(SpeechStarted(turn_id=2, position=0)), "audio") == ["pause_playback"]
    box.feed(UtterancePaused(turn_id=2, start=0, end=500))
    assert "BeginReply" not in kinds(box.feed(heard(2, 1, text)))
    actions = box.feed(UtteranceEnded(turn_id=2, start=0, end=500, reason="complete"))
    assert "resume_playback" in sent(actions, "audio")
    assert (box.now, box.turn) == (State.SPEAKING, 1)


def test_a_cough_without_transcript_resumes_after_two_seconds() -> None:
    box = _speaking_with_speech_barge_in()
    box.feed(SpeechStarted(turn_id=2, position=0))
    box.feed(UtterancePaused(turn_id=2, start=0, end=500), heard(2, 1, ""))
    actions = box.feed(TimerFired(name="resume", turn_id=2))
    assert "resume_playback" in sent(actions, "audio")


def test_words_over_the_reply_become_the_next_turn() -> None:
    box = _speaking_with_speech_barge_in()
    box.feed(SpeechStarted(turn_id=2, position=0), UtterancePaused(turn_id=2, start=0, end=500))
    actions = box.feed(heard(2, 1, "Stop, what about Spain?"))
    assert sm.EndTurn(1, "interrupted") in actions
    assert "cancel" in sent(actions, "audio")
    assert (box.now, box.turn) == (State.LISTENING, 2)
    actions = box.feed(UtteranceEnded(turn_id=2, start=0, end=500, reason="complete"))
    assert "ReleaseReply" in kinds(actions)
    assert box.now is State.THINKING


@pytest.mark.parametrize(
    ("worker", "expected"),
    [("stt", "transcribe"), ("listen", "open_microphone")],
)
def test_a_worker_that_comes_back_is_asked_again(box: Box, worker: str, expected: str) -> None:
    box.feed(WakeHeard(phrase="x", score=1.0, position=100))
    if worker == "stt":
        box.feed(UtterancePaused(turn_id=1, start=200, end=900))
    box.feed(WorkerChanged(worker=worker, status="failed"))
    actions = box.feed(WorkerChanged(worker=worker, status="ready"))
    assert expected in sent(actions, worker)


def test_model_and_voice_that_come_back(box: Box) -> None:
    box.to_thinking()
    for worker, wanted in (("llm", "BeginReply"), ("tts", "RepeatSpeech")):
        box.feed(WorkerChanged(worker=worker, status="failed"))
        assert wanted in kinds(box.feed(WorkerChanged(worker=worker, status="ready")))


def test_honest_words_when_it_takes_long(box: Box) -> None:
    box.to_thinking()
    actions = box.feed(TimerFired(name="filler", turn_id=1))
    assert actions == [sm.SpeakPhrase(1, "speech.one_moment", final=False)]
    actions = box.feed(TimerFired(name="give_up", turn_id=1))
    assert sm.SpeakPhrase(1, "speech.took_too_long", final=True) in actions
    actions = box.feed(TimerFired(name="end", turn_id=1))
    assert sm.EndTurn(1, "failed") in actions
    assert box.now is State.IDLE


def test_still_waking_up(box: Box) -> None:
    box.to_thinking()
    box.feed(WorkerChanged(worker="llm", status="failed"))
    actions = box.feed(TimerFired(name="filler", turn_id=1))
    assert actions == [sm.SpeakPhrase(1, "speech.still_waking_up", final=False)]


def test_models_are_missing_and_not_merely_late(box: Box) -> None:
    box.to_thinking()
    box.feed(WorkerChanged(worker="llm", status="failed", exit_code=4))
    box.feed(WorkerChanged(worker="llm", status="starting"))
    actions = box.feed(TimerFired(name="filler", turn_id=1))
    assert actions == [sm.SpeakPhrase(1, "speech.models_missing", final=False)]
    box.feed(WorkerChanged(worker="llm", status="failed"))
    assert box.feed(TimerFired(name="filler", turn_id=1)) == [
        sm.SpeakPhrase(1, "speech.still_waking_up", final=False)
    ]


def to_page(box: Box, state: str = "listening") -> int:
    """Somebody talks through a browser; returns the turn's number."""
    box.feed(PagePressed(position=100))
    turn = box.turn
    if state != "listening":
        box.feed(
            PageReleased(turn_id=turn),
            UtteranceEnded(turn_id=turn, start=200, end=900, reason="released"),
            heard(turn, 1, "What is it?"),
        )
    if state == "speaking":
        box.feed(PlaybackStarted(turn_id=turn))
    return turn


def commands(actions: list[sm.Action]) -> list[Command]:
    return [a.command for a in actions if isinstance(a, sm.Send)]


def test_a_press_on_the_page_opens_its_microphone() -> None:
    box = Box(barge_in_by_speech=True)
    box.ready()
    actions = box.feed(PagePressed(position=640))
    [opened] = commands(actions)
    assert isinstance(opened, OpenMicrophone)
    assert (opened.stream, opened.position, opened.held) == ("page", 640, True)
    assert box.now is State.LISTENING
    turn = box.turn
    assert box.feed(ButtonReleased(), PageReleased(turn_id=turn + 1)) == []
    assert sent(box.feed(PageReleased(turn_id=turn)), "listen") == ["close_microphone"]
    actions = box.feed(
        UtteranceEnded(turn_id=turn, start=700, end=900, reason="released"),
    )
    [order] = [c for c in commands(actions) if isinstance(c, Transcribe)]
    assert order.stream == "page"
    # Whoever speaks in the room does not interrupt what is heard elsewhere.
    assert sent(box.feed(heard(turn, 1, "Hm"), PlaybackStarted(turn_id=turn)), "listen") == []
    assert box.feed(PlaybackFinished(turn_id=turn, cut=False))[-1] == sm.EndTurn(turn, "answered")
    assert box.now is State.IDLE
    assert not [a for a in box.done if isinstance(a, sm.Send) and a.worker == "audio"]


def test_what_plays_a_turn_of_the_page_is_told_of_its_end() -> None:
    for state in ("listening", "thinking", "speaking"):
        for event in (
            StopRequested(),
            ButtonPressed(),
            PagePressed(position=900),
            TextAsked(text="x", turn_id=2),
        ):
            box = Box()
            box.ready()
            to_page(box, state)
            actions = box.feed(event)
            assert sent(actions, "page") == ["cancel"]
            assert "cancel" not in sent(actions, "audio")
            assert sm.EndTurn(1, "interrupted") in actions
    box = Box()
    box.ready()
    to_page(box, "speaking")
    box.feed(WakeHeard(phrase="x", score=1.0, position=100))
    assert box.state.turn is not None
    assert box.state.turn.source == "wake"


def test_no_signal_sounds_in_the_room_for_the_page() -> None:
    box = Box()
    box.ready()
    turn = to_page(box)
    box.feed(NothingHeard(turn_id=turn))
    assert box.now is State.IDLE
    turn = to_page(box)
    box.feed(TimerFired(name="give_up", turn_id=turn))
    assert box.now is State.IDLE
    box.feed(WorkerChanged(worker="listen", status="failed"))
    assert box.feed(PagePressed(position=0)) == []
    assert not [a for a in box.done if isinstance(a, sm.Send) and a.worker == "audio"]


def test_muting_the_box_does_not_stop_the_page() -> None:
    box = Box()
    box.ready()
    box.feed(MuteRequested(muted=True))
    turn = to_page(box)
    assert box.now is State.LISTENING
    box.feed(MuteRequested(muted=False), MuteRequested(muted=True))
    assert box.turn == turn
    box.feed(NothingHeard(turn_id=turn))
    assert box.now is State.MUTED
    box.feed(ButtonPressed())
    assert box.now is State.MUTED


def test_the_page_needs_no_sound_card() -> None:
    box = Box()
    box.feed(*(WorkerChanged(worker=w, status="ready") for w in ("listen", "stt", "tts", "llm")))
    turn = to_page(box, "speaking")
    box.feed(PlaybackFinished(turn_id=turn, cut=False))
    assert box.now is State.STARTING


def test_a_new_listen_worker_hears_a_press_of_the_page_again() -> None:
    box = Box()
    box.ready()
    turn = to_page(box)
    box.feed(SpeechStarted(turn_id=turn, position=300))
    lost = WorkerChanged(worker="listen", status="failed")
    back = WorkerChanged(worker="listen", status="ready")
    [opened] = commands(box.feed(lost, back))
    assert isinstance(opened, OpenMicrophone)
    assert (opened.stream, opened.position, opened.held) == ("page", 100, True)
    # Released while there was none: no sound will follow that could end the utterance.
    opened, closed = commands(box.feed(lost, PageReleased(turn_id=turn), back))[-2:]
    assert isinstance(opened, OpenMicrophone)
    assert opened.held
    assert closed == CloseMicrophone(turn_id=turn, at=closed.at)


_TURNS = st.integers(0, 6)
_EVENTS = st.one_of(
    st.builds(WakeHeard, phrase=st.just("x"), score=st.just(1.0), position=st.integers(0, 9)),
    st.builds(ButtonPressed, held=st.booleans()),
    st.builds(ButtonReleased),
    st.builds(StopRequested),
    st.builds(MuteRequested, muted=st.booleans()),
    st.builds(SpeechStarted, turn_id=_TURNS, position=st.just(0)),
    st.builds(UtterancePaused, turn_id=_TURNS, start=st.just(0), end=st.integers(1, 3)),
    st.builds(SpeechResumed, turn_id=_TURNS, position=st.just(0)),
    st.builds(
        UtteranceEnded,
        turn_id=_TURNS,
        start=st.just(0),
        end=st.integers(1, 3),
        reason=st.just("complete"),
    ),
    st.builds(NothingHeard, turn_id=_TURNS),
    st.builds(
        Transcribed,
        turn_id=_TURNS,
        attempt=st.integers(1, 4),
        start=st.just(0),
        end=st.just(1),
        text=st.sampled_from(["", "Hello there", "uh-huh"]),
    ),
    st.builds(
        GenerationFinished,
        turn_id=_TURNS,
        attempt=st.integers(0, 4),
        reason=st.sampled_from(["stop", "length", "cancelled", "failed"]),
    ),
    st.builds(PlaybackStarted, turn_id=_TURNS),
    st.builds(PlaybackFinished, turn_id=_TURNS, cut=st.booleans()),
    st.builds(
        TimerFired,
        name=st.sampled_from(["filler", "give_up", "end", "resume"]),
        turn_id=_TURNS,
    ),
    st.builds(
        WorkerChanged,
        worker=st.sampled_from(ALL),
        status=st.sampled_from(["ready", "failed", "starting"]),
    ),
    st.builds(PagePressed, position=st.just(0)),
    st.builds(PageReleased, turn_id=_TURNS),
    st.builds(TextAsked, text=st.just("Hello")),
    st.builds(SayRequested, text=st.just("Hello")),
)


@settings(max_examples=400, deadline=None)
@given(st.booleans(), st.lists(_EVENTS, max_size=60))
def test_any_sequence_keeps_the_rules(by_speech: bool, events: list[Event]) -> None:
    box = Box(barge_in_by_speech=by_speech)
    box.ready()
    begun: set[int] = set()
    ended: list[int] = []
    for drawn in events:
        event = drawn
        if isinstance(drawn, TextAsked | SayRequested):
            event = replace(drawn, turn_id=box.state.last_id + 1)
        before = box.state
        actions = box.feed(event)
        turn, state = box.state.turn, box.now
        assert box.state.last_id >= before.last_id
        assert (turn is None) == (state in (State.IDLE, State.MUTED, State.ERROR, State.STARTING))
        if box.state.muted and not (turn is not None and turn.stream):
            assert state is not State.LISTENING or before.state is State.LISTENING
        if turn is not None and turn.released:
            assert turn.ended
        for action in actions:
            match action:
                case sm.BeginTurn(new):
                    assert new.id not in begun
                    begun.add(new.id)
                case sm.ReleaseReply(released):
                    assert released.ended
                    assert released.text
                case sm.EndTurn(turn_id, _):
                    ended.append(turn_id)
    assert len(ended) == len(set(ended)), "a turn ends once"
