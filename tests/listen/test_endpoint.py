"""The decision alone: no sound, no clock, no model."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.listen.endpoint import (
    END_MARGIN,
    RATE,
    START_MARGIN,
    Ask,
    Decision,
    Ended,
    Endpointer,
    EndpointOptions,
    Nothing,
    Paused,
    Resumed,
    Started,
)
from appliance.listen.vad import CHUNK

CHUNK_MS = 32


def chunks(milliseconds: float) -> int:
    return round(milliseconds / CHUNK_MS)


def script(*parts: tuple[float, float]) -> list[float]:
    """Return probabilities from ``(milliseconds, probability)``."""
    return [value for length, value in parts for _ in range(chunks(length))]


def run(
    probabilities: Iterable[float],
    *,
    options: EndpointOptions | None = None,
    position: int = 0,
    model: float | None = None,
) -> list[Decision]:
    """Feed all; the model, when there is one, answers a chunk later."""
    endpointer = Endpointer(position, options or EndpointOptions())
    decisions: list[Decision] = []
    asked: Ask | None = None
    for probability in probabilities:
        if asked is not None and model is not None:
            decisions += endpointer.answer(asked, model)
        asked = None
        new = endpointer.feed(probability)
        asked = next((d for d in new if isinstance(d, Ask)), None)
        decisions += new
    return decisions


def kinds(decisions: Iterable[Decision]) -> list[str]:
    return [type(d).__name__ for d in decisions if not isinstance(d, Ask)]


def test_a_complete_question_ends_after_200_ms() -> None:
    decisions = run(script((960, 0.0), (960, 0.9), (2000, 0.0)), model=0.9)
    assert kinds(decisions) == ["Started", "Paused", "Ended"]
    ended = decisions[-1]
    assert isinstance(ended, Ended)
    assert ended.reason == "complete"
    assert ended.probability == 0.9
    assert 180 <= ended.silence_ms <= 200
    assert ended.start == chunks(960) * CHUNK - START_MARGIN
    assert ended.end == chunks(1920) * CHUNK + END_MARGIN


def test_an_unfinished_sentence_waits_for_the_longest_silence() -> None:
    decisions = run(script((320, 0.0), (960, 0.9), (3000, 0.0)), model=0.1)
    ended = decisions[-1]
    assert isinstance(ended, Ended)
    assert ended.reason == "silence"
    assert 1180 <= ended.silence_ms <= 1230
    asked = [d.position for d in decisions if isinstance(d, Ask)]
    silences = [(p - chunks(1280) * CHUNK) * 1000 / RATE for p in asked]
    assert silences == pytest.approx([128, 400, 700], abs=20)


def test_without_a_model_silence_decides_and_nobody_is_asked() -> None:
    options = EndpointOptions(ask_model=False)
    decisions = run(script((320, 0.0), (640, 0.9), (3000, 0.0)), options=options)
    assert not [d for d in decisions if isinstance(d, Ask)]
    assert isinstance(decisions[-1], Ended)
    assert decisions[-1].reason == "silence"
    assert decisions[-1].probability == -1


def test_a_late_answer_still_counts_and_a_void_one_does_not() -> None:
    endpointer = Endpointer(0, EndpointOptions())
    decisions = [d for p in script((320, 0.9), (288, 0.0)) for d in endpointer.feed(p)]
    asked = next(d for d in decisions if isinstance(d, Ask))
    assert kinds(endpointer.answer(asked, 0.9)) == ["Ended"]

    endpointer = Endpointer(0, EndpointOptions())
    for p in script((320, 0.9), (160, 0.0), (96, 0.9), (160, 0.0)):
        endpointer.feed(p)
    assert endpointer.answer(asked, 0.99) == []
    assert not endpointer.over


def test_speech_that_resumes_voids_the_pause() -> None:
    decisions = run(script((320, 0.9), (160, 0.0), (320, 0.9), (2000, 0.0)), model=0.9)
    assert kinds(decisions) == ["Started", "Paused", "Resumed", "Paused", "Ended"]
    first, second = (d for d in decisions if isinstance(d, Paused))
    assert first.start == second.start
    assert first.end < second.end


def test_a_click_is_no_speech() -> None:
    decisions = run(script((500, 0.0), (64, 1.0), (500, 0.0), (64, 1.0), (6000, 0.0)))
    assert decisions == [Nothing()]


def test_a_click_in_the_pause_changes_nothing() -> None:
    decisions = run([*script((320, 0.9), (160, 0.0)), 0.9, *script((2000, 0.0))])
    assert kinds(decisions) == ["Started", "Paused", "Ended"]


def test_hysteresis_keeps_soft_speech() -> None:
    decisions = run(script((320, 0.6), (640, 0.4), (320, 0.6), (2000, 0.1)))
    assert kinds(decisions) == ["Started", "Paused", "Ended"]
    assert kinds(run(script((2000, 0.4)))) == []


def test_an_interruption_needs_a_quarter_of_a_second() -> None:
    options = EndpointOptions(min_speech_ms=250, wait_s=1e9)
    assert run(script((500, 0.0), (224, 0.9), (9000, 0.0)), options=options) == []
    assert kinds(run(script((500, 0.0), (260, 0.9)), options=options)) == ["Started"]


def test_nobody_speaks() -> None:
    decisions = run([0.0] * 1000, options=EndpointOptions(wait_s=2.0))
    assert decisions == [Nothing()]


def test_speech_at_the_last_moment_is_awaited() -> None:
    options = EndpointOptions(wait_s=0.5)
    decisions = run(script((480, 0.0), (320, 0.9), (2000, 0.0)), options=options)
    assert kinds(decisions) == ["Started", "Paused", "Ended"]


def test_the_wake_word_is_never_part_of_it() -> None:
    started = run([0.9] * 10, position=5000)
    ended = run([*[0.9] * 10, *[0.0] * 60], position=5000)[-1]
    assert started == [Started(5000)]
    assert isinstance(ended, Ended)
    assert ended.start == 5000


def test_who_never_stops_is_stopped() -> None:
    ended = run([0.9] * 2000, options=EndpointOptions(max_utterance_s=3.0))[-1]
    assert isinstance(ended, Ended)
    assert ended.reason == "too_long"
    assert ended.end - ended.start == pytest.approx(3.0 * RATE, abs=CHUNK)


def test_a_held_button_ignores_silence_but_tells_of_pauses() -> None:
    options = EndpointOptions(held=True)
    endpointer = Endpointer(0, options)
    parts = script((9000, 0.0), (320, 0.9), (9000, 0.0), (320, 0.9), (320, 0.0))
    decisions = [d for p in parts for d in endpointer.feed(p)]
    assert kinds(decisions) == ["Started", "Paused", "Resumed", "Paused"]
    ended = endpointer.release()[0]
    assert isinstance(ended, Ended)
    paused = decisions[-1]
    assert isinstance(paused, Paused)
    assert (ended.reason, ended.start, ended.end) == ("released", paused.start, paused.end)
    assert endpointer.release() == []


def test_released_without_a_word() -> None:
    endpointer = Endpointer(0, EndpointOptions(held=True))
    for p in script((1000, 0.1)):
        endpointer.feed(p)
    assert endpointer.release() == [Nothing()]


def test_lost_sound_moves_the_position() -> None:
    endpointer = Endpointer(0, EndpointOptions())
    for p in script((320, 0.0)):
        endpointer.feed(p)
    endpointer.skip_to(80_000)
    decisions = [d for p in script((320, 0.9), (160, 0.0)) for d in endpointer.feed(p)]
    assert decisions[0] == Started(80_000)
    paused = next(d for d in decisions if isinstance(d, Paused))
    assert paused.start == 80_000  # what lies before was lost


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), max_size=30),
    st.builds(
        EndpointOptions,
        pause_ms=st.integers(60, 1000),
        speculate_ms=st.integers(60, 1000),
        max_silence_ms=st.integers(200, 2000),
        max_utterance_s=st.floats(2, 5),
        wait_s=st.floats(0.5, 5),
        held=st.booleans(),
        ask_model=st.booleans(),
    ),
    st.none() | st.floats(0, 1),
    st.integers(0, 10**6),
)
def test_what_always_holds(
    parts: list[tuple[int, float]], options: EndpointOptions, model: float | None, opened: int
) -> None:
    probabilities = [value for count, value in parts for _ in range(count)]
    decisions = run(probabilities, options=options, position=opened, model=model)
    paused: Paused | None = None
    speaking = False
    last = opened + len(probabilities) * CHUNK
    for number, decision in enumerate(decisions):
        match decision:
            case Started(position):
                assert not speaking
                assert position >= opened
                speaking = True
            case Paused(start, end):
                assert speaking
                assert paused is None
                assert opened <= start < end <= last
                paused = decision
            case Resumed():
                assert paused is not None
                paused = None
            case Ask():
                assert paused is not None
                assert options.ask_model
                assert not options.held
            case Ended(start, end, reason):
                assert speaking
                assert opened <= start < end <= last
                assert paused is None or (start, end) == (paused.start, paused.end)
                assert number == len(decisions) - 1
                assert end - start <= options.max_utterance_s * RATE + CHUNK
                assert not options.held or reason == "too_long"
                if reason == "complete":
                    assert decision.probability >= options.turn_threshold
            case Nothing():
                assert not speaking
                assert decisions == [decision]
