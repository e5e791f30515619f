"""The coordinator with recorded workers: what is said, kept and forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from appliance.assistant.coordinator import MAX_WAITING, Coordinator
from appliance.assistant.history import History
from appliance.assistant.question import Question
from appliance.assistant.turn import Options
from appliance.commands import (
    Command,
    EndSpeech,
    OpenMicrophone,
    SetVolume,
    Speak,
    Transcribe,
)
from appliance.errors import ServiceError
from appliance.events import (
    AgentSwitch,
    ButtonPressed,
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
    PagePressed,
    PageReleased,
    PlaybackFinished,
    PlaybackStarted,
    RepeatRequested,
    SayRequested,
    SpeechResumed,
    SpeechStarted,
    StateChanged,
    TextAsked,
    TimerFired,
    TokensGenerated,
    Transcribed,
    TurnEnded,
    UtteranceEnded,
    UtterancePaused,
    VolumeRequested,
    WorkerChanged,
)


class Box:
    """A coordinator, what it sent, and what it published."""

    def __init__(self, **options: Any) -> None:
        self.sent: list[tuple[str, Command]] = []
        self.published: list[Event] = []
        self.coordinator = Coordinator(
            workers=self,
            publish=self.published.append,
            options=Options(follow_up_s=options.pop("follow_up_s", 0.0), **options),
            phrase=lambda key, language: f"<{key}:{language}>",
            overruns=lambda: 0.0,
            language="en",
            history=History(),
            volume=50,
        )
        self.questions: list[Question] = []
        self.confirmed: list[int] = []
        self.cancelled: list[tuple[int, int]] = []
        self.warmed: list[str] = []
        self.writing: set[tuple[int, int]] = set()
        self.coordinator.connect(self)
        self.feed(
            *(
                WorkerChanged(worker=w, status="ready", detail=f"the {w}")
                for w in ("audio", "listen", "stt", "tts", "llm")
            )
        )

    def send(self, worker: str, command: Command) -> bool:
        self.sent.append((worker, command))
        return True

    # --- who answers ---

    hearing = speaking = None

    def begin(self, question: Question) -> None:
        self.questions.append(question)
        self.writing.add((question.turn_id, question.attempt))

    def under_way(self, turn_id: int, attempt: int) -> bool:
        return (turn_id, attempt) in self.writing

    def confirm(self, turn_id: int) -> None:
        self.confirmed.append(turn_id)

    def cancel(self, turn_id: int, attempt: int = 0) -> None:
        self.cancelled.append((turn_id, attempt))

    def warm(self, language: str) -> None:
        self.warmed.append(language)

    def rest(self, language: str) -> None:
        self.rested = language

    # --- what happens ---

    def feed(self, *events: Event) -> None:
        for event in events:
            self.coordinator.handle(event)

    def commands(self, kind: type[Command]) -> list[Any]:
        return [command for _, command in self.sent if isinstance(command, kind)]

    def events(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.published if isinstance(event, kind)]

    def ask(self, turn: int = 1, text: str = "What is the capital of France?") -> None:
        """A spoken question, up to the certain end of speech."""
        self.feed(
            ButtonPressed(),
            SpeechStarted(turn_id=turn, position=0),
            UtterancePaused(turn_id=turn, start=0, end=900),
            Transcribed(turn_id=turn, attempt=1, start=0, end=900, text=text, language="en"),
        )

    def end_speech(self, turn: int = 1) -> None:
        self.feed(UtteranceEnded(turn_id=turn, start=0, end=900, reason="complete"))

    def write(self, text: str, turn: int = 1, attempt: int = 1) -> None:
        self.feed(TokensGenerated(turn_id=turn, attempt=attempt, text=text))

    def finish(
        self, turn: int = 1, attempt: int = 1, reason: str = "stop", detail: str = "Oh."
    ) -> None:
        self.writing.discard((turn, attempt))
        self.feed(GenerationFinished(turn_id=turn, attempt=attempt, reason=reason, detail=detail))


@pytest.fixture
async def box() -> Box:
    return Box()


async def test_nothing_is_heard_or_shown_before_the_turn_is_certain(box: Box) -> None:
    box.ask()
    assert [question.text for question in box.questions] == ["What is the capital of France?"]
    box.feed(AgentSwitch(turn_id=1, role="chat", provider="local", model="small"))
    box.write("The capital of France is Paris.")
    assert not box.events(AgentSwitch)
    assert not box.confirmed
    assert not box.commands(Speak)
    assert not box.events(Content)
    assert not box.events(Heard)
    box.end_speech()
    box.finish()
    assert [c.text for c in box.commands(Speak)] == ["The capital of France is Paris."]
    assert [c.text for c in box.events(Content)] == ["The capital of France is Paris."]
    assert box.events(Heard)[0].text == "What is the capital of France?"
    assert box.confirmed == [1]
    assert [a.model for a in box.events(AgentSwitch)] == ["small"]


async def test_a_wrong_speculation_leaves_no_trace(box: Box) -> None:
    box.ask(text="What is")
    box.write("What is what?")
    box.feed(SpeechResumed(turn_id=1, position=1000))
    assert box.cancelled == [(1, 1)]
    box.write("late")
    box.feed(
        UtterancePaused(turn_id=1, start=0, end=1900),
        Transcribed(turn_id=1, attempt=2, start=0, end=1900, text="What is two?", language="en"),
        UtteranceEnded(turn_id=1, start=0, end=1900, reason="complete"),
    )
    box.write("A number, I think.", attempt=2)
    box.finish(attempt=2)
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    ended = box.events(TurnEnded)[0]
    assert (ended.question, ended.answer) == ("What is two?", "A number, I think.")
    roles = [m["content"] for m in box.coordinator.history.messages("s")]
    assert roles == ["s", "What is two?", "A number, I think."]


async def test_an_answer_becomes_part_of_the_conversation(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.write("Paris.")
    box.finish()
    assert box.commands(EndSpeech)
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert box.events(Complete)[0].text == "Paris."
    contents = [m["content"] for m in box.coordinator.history.messages("s", "And of Spain?")]
    assert contents == ["s", "What is the capital of France?", "Paris.", "And of Spain?"]


async def test_after_barge_in_only_what_was_heard_is_kept(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.write("The capital of France is Paris. It lies on the river Seine, in the north.")
    box.finish()
    first = box.commands(Speak)[0]
    box.feed(
        ClauseSynthesised(
            turn_id=1, clause=1, samples=32_000, rate=16_000, duration_ms=1, first_audio_at=1
        ),
        PlaybackStarted(turn_id=1),
        ButtonPressed(),
        PlaybackFinished(turn_id=1, cut=True, clause=1, clause_samples=16_000, rate=16_000),
    )
    ended = box.events(TurnEnded)[0]
    assert ended.outcome == "interrupted"
    assert ended.answer
    assert first.text.startswith(ended.answer)
    assert len(ended.answer) < len(first.text)
    kept = box.coordinator.history.messages("s")[-1]["content"]
    assert kept.startswith(ended.answer)
    assert "river" not in kept


async def test_owed_clauses_are_repeated_for_a_new_voice(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.write("This is the first sentence. And this is the second sentence, which is long.")
    box.finish()
    clauses = box.commands(Speak)
    assert len(clauses) >= 2
    box.feed(
        ClauseSynthesised(
            turn_id=1, clause=1, samples=100, rate=16_000, duration_ms=1, first_audio_at=1
        )
    )
    box.sent.clear()
    box.feed(
        WorkerChanged(worker="tts", status="failed"), WorkerChanged(worker="tts", status="ready")
    )
    assert [c.clause for c in box.commands(Speak)] == [c.clause for c in clauses[1:]]
    assert len(box.commands(EndSpeech)) == 1


async def test_a_lost_worker_does_not_begin_an_answer_twice(box: Box) -> None:
    """Who answers waits for it, or goes on with another; the coordinator only listens."""
    box.ask()
    box.end_speech()
    box.write("The capital of France is Paris. And")
    box.feed(
        WorkerChanged(worker="llm", status="failed"), WorkerChanged(worker="llm", status="ready")
    )
    assert len(box.questions) == 1
    box.write(" it lies on the river Seine.")
    box.finish()
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    ended = box.events(TurnEnded)[0]
    assert ended.answer == "The capital of France is Paris. And it lies on the river Seine."


async def test_when_nobody_can_answer_the_reason_is_said_and_not_kept(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.finish(reason="unanswered", detail="I cannot answer that now. There is no network.")
    assert "no network" in " ".join(c.text for c in box.commands(Speak))
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert box.events(TurnEnded)[0].outcome == "failed"
    assert box.events(Error)[0].text.startswith("I cannot")
    assert not box.events(Content)
    assert len(box.coordinator.history) == 0


async def test_commands_are_no_conversation(box: Box) -> None:
    box.ask(text="What time is it?")
    box.end_speech()
    box.feed(AgentSwitch(turn_id=1, role="system", provider="luna", model=""))
    box.write("It is 5:30 PM.")
    box.finish()
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert box.events(TurnEnded)[0].provider == "luna"
    assert box.coordinator.last_answer == "It is 5:30 PM."
    assert len(box.coordinator.history) == 0


async def test_code_is_shown_and_not_spoken(box: Box) -> None:
    box.ask(text="Write a function that adds two numbers.")
    box.end_speech()
    box.write("Here is one. ```python\ndef add(a, b):\n    return a + b\n``` It adds them.")
    box.finish()
    assert [c.text for c in box.commands(Speak)] == ["Here is one.", "<speech.code_on_page:en>"]
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert "def add(a, b):\n    return a + b" in box.events(TurnEnded)[0].answer


async def test_numbers_are_spoken_as_words_and_kept_as_they_are(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.write("Dr. Silva asks for $12.50.")
    box.finish()
    said = " ".join(c.text for c in box.commands(Speak))
    assert "Doctor Silva" in said
    assert "$" not in said
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert box.events(TurnEnded)[0].answer == "Dr. Silva asks for $12.50."


async def test_a_long_load_is_announced_once(box: Box) -> None:
    box.ask()
    loading = ModelLoading(role="code", model="large", expected_s=6.0, turn_id=1)
    box.feed(loading)
    assert not box.commands(Speak)  # the question is a guess yet
    box.end_speech()
    box.feed(loading)
    assert [c.text for c in box.commands(Speak)] == ["<speech.one_moment:en>"]


async def test_a_load_of_unknown_length_is_announced_when_it_has_become_long(box: Box) -> None:
    loading = ModelLoading(role="code", model="large", expected_s=-1, turn_id=1)
    box.ask()
    box.feed(loading)
    box.end_speech()
    box.feed(TimerFired(name="loading", turn_id=1))
    assert [c.text for c in box.commands(Speak)] == ["<speech.one_moment:en>"]
    box.feed(TimerFired(name="loading", turn_id=1))
    assert len(box.commands(Speak)) == 1


@pytest.mark.parametrize("how", ["loaded", "answered", "known"])
async def test_a_load_that_is_short_is_not_announced(box: Box, how: str) -> None:
    box.ask()
    expected = 1.0 if how == "known" else -1
    box.feed(ModelLoading(role="code", model="large", expected_s=expected, turn_id=1))
    if how == "loaded":
        box.feed(ModelLoaded(role="code", model="large", load_ms=500.0, turn_id=1))
        assert "loading" not in box.coordinator._timers
    elif how == "answered":
        box.write("Paris")
        box.feed(TimerFired(name="loading", turn_id=1))
    else:
        assert "loading" not in box.coordinator._timers
    box.end_speech()
    assert not box.commands(Speak)


async def test_a_turn_of_the_page_stays_with_the_page() -> None:
    box = Box(follow_up_s=5.0)
    box.sent.clear()
    box.feed(
        PagePressed(position=640),
        SpeechStarted(turn_id=1, position=640),
        UtterancePaused(turn_id=1, start=640, end=900),
        Transcribed(turn_id=1, attempt=1, start=640, end=900, text="Hello there", language="en"),
        PageReleased(turn_id=1),
        UtteranceEnded(turn_id=1, start=640, end=900, reason="released"),
    )
    box.write("Hello. How are you today?")
    box.finish()
    assert {c.stream for c in box.commands(Transcribe)} == {"page"}
    assert {c.stream for c in box.commands(Speak)} == {"page"}
    assert [c.stream for c in box.commands(EndSpeech)] == ["page"]
    box.feed(WorkerChanged(worker="tts", status="ready"))
    assert [c.stream for c in box.commands(EndSpeech)] == ["page", "page"]
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert box.events(TurnEnded)[0].source == "page"
    # It asked something, but a browser's microphone opens by its button alone.
    assert [c.stream for c in box.commands(OpenMicrophone)] == ["page"]
    assert not [command for worker, command in box.sent if worker == "audio"]


async def test_volume_is_set_and_set_again_for_a_new_worker(box: Box) -> None:
    box.sent.clear()
    box.feed(VolumeRequested(percent=30), WorkerChanged(worker="audio", status="ready"))
    assert [c.percent for c in box.commands(SetVolume)] == [30, 30]


async def test_the_last_answer_is_said_again(box: Box) -> None:
    box.feed(RepeatRequested())
    assert [c.text for c in box.commands(Speak)] == ["<tool.nothing_to_repeat:en>"]
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    box.ask(turn=2)
    box.end_speech(turn=2)
    box.write("Paris it is.", turn=2)
    box.finish(turn=2)
    box.feed(PlaybackStarted(turn_id=2), PlaybackFinished(turn_id=2, cut=False))
    box.feed(RepeatRequested())
    assert [c.text for c in box.commands(Speak)][1:] == ["Paris it is.", "Paris it is."]


async def test_another_language_is_spoken_at_once(box: Box) -> None:
    box.ask(text="Speak Portuguese.")
    box.end_speech()
    box.feed(LanguageRequested(language="pt", turn_id=1))
    box.write("Está bem, agora falo português.")
    box.finish()
    assert {c.language for c in box.commands(Speak)} == {"pt"}


async def test_a_picture_reaches_who_answers_and_no_subscriber(box: Box) -> None:
    url = "data:image/jpeg;base64,AAAA"
    box.coordinator.request(TextAsked(text="What is this?", image=url, code_only=False))
    assert box.questions[0].image == url
    assert box.events(TextAsked)[0].image == ""


async def test_failed_generation_is_said(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.finish(reason="failed")
    assert box.commands(Speak)[-1].text == "<speech.failed:en>"


async def test_empty_answer_is_said(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.finish()
    assert box.commands(Speak)[-1].text == "<speech.no_answer:en>"


async def test_filler_is_spoken_and_not_kept(box: Box) -> None:
    box.ask()
    box.end_speech()
    box.feed(TimerFired(name="filler", turn_id=1))
    assert box.commands(Speak)[-1].text == "<speech.one_moment:en>"
    box.write("Paris.")
    box.finish()
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert box.events(TurnEnded)[0].answer == "Paris."


async def test_a_reply_that_stalls_is_bridged_once() -> None:
    box = Box(filler_after_s=0.05)
    box.ask()
    box.end_speech()
    box.write("This is the first sentence of it. And")
    synthesised = ClauseSynthesised(
        turn_id=1, clause=1, samples=160, rate=16_000, duration_ms=1, first_audio_at=1
    )
    box.feed(PlaybackStarted(turn_id=1), synthesised)
    await asyncio.sleep(0.2)
    fillers = [c.text for c in box.commands(Speak) if "one_moment" in c.text]
    assert fillers == ["<speech.one_moment:en>"]
    box.write(" this is the second one, at last.")
    box.finish()
    said = " ".join(c.text for c in box.commands(Speak)[2:])
    assert said == "And this is the second one, at last."
    box.feed(PlaybackFinished(turn_id=1, cut=False))
    assert "one_moment" not in box.events(TurnEnded)[0].answer


async def test_an_answer_that_asks_opens_the_microphone() -> None:
    box = Box(follow_up_s=5.0)
    box.ask()
    box.end_speech()
    box.write("Which one do you mean?")
    box.finish()
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    states = [e.state for e in box.events(StateChanged)]
    assert states[-1] == "listening"


async def test_written_questions_wait_their_turn(box: Box) -> None:
    box.ask()
    box.coordinator.request(TextAsked(text="One?", request="a"))
    assert len(box.questions) == 1
    for _ in range(MAX_WAITING - 1):
        box.coordinator.request(SayRequested(text="Hello."))
    with pytest.raises(ServiceError, match="busy"):
        box.coordinator.request(TextAsked(text="Too many?"))
    box.end_speech()
    box.write("Paris.")
    box.finish()
    box.feed(PlaybackStarted(turn_id=1), PlaybackFinished(turn_id=1, cut=False))
    assert box.questions[-1].text == "One?"


async def test_timings(box: Box) -> None:
    box.ask()
    await asyncio.sleep(0.02)
    box.feed(UtteranceEnded(turn_id=1, start=0, end=900, reason="complete", silence_ms=15.0))
    box.write("Paris.")
    box.finish()
    now = asyncio.get_running_loop().time()
    box.feed(
        ClauseSynthesised(
            turn_id=1, clause=1, samples=10, rate=16_000, duration_ms=1, first_audio_at=now + 0.1
        ),
        PlaybackStarted(turn_id=1),
        PlaybackFinished(turn_id=1, cut=False),
    )
    timings = box.events(TurnEnded)[0].timings
    assert timings["endpoint_ms"] == pytest.approx(15.0, abs=0.2)
    assert timings["first_audio_ms"] > timings["first_token_ms"] > 0


async def test_the_source_is_said_and_not_kept(box: Box) -> None:
    """A model that reads sources in the conversation begins to invent some."""
    source = "Source: manual.pdf, page 3."
    box.feed(TextAsked(turn_id=1, text="How do I reset it?"))
    box.write("Press the red key.")
    box.write(f" {source}")
    box.feed(GenerationFinished(turn_id=1, attempt=1, reason="stop", source=source))
    assert box.events(Complete)[0].text == f"Press the red key. {source}"
    assert box.coordinator.last_answer == f"Press the red key. {source}"
    assert box.coordinator.history.messages("")[-1]["content"] == "Press the red key."
