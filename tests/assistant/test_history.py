"""The session's conversation, and the words that were really heard."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.assistant.history import CUT_OFF, Exchange, History, heard_text


def test_messages_are_in_openai_form_and_order() -> None:
    history = History()
    history.add("One?", "Yes.")
    assert history.messages("Be brief.", question="Two?") == (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two?"},
    )
    assert len(history.messages("Be brief.")) == 3, "a question is not kept by asking it"


def test_a_conversation_that_rested_is_over() -> None:
    now = [0.0]
    history = History(clock=lambda: now[0])
    assert not history.end_rested(60.0), "nothing was said"
    history.add("One?", "Yes.")
    now[0] = 59.0
    assert not history.end_rested(60.0)
    history.add("Two?", "No.")
    now[0] = 118.0
    assert not history.end_rested(60.0)
    now[0] = 119.0
    assert history.end_rested(60.0)
    assert len(history) == 0
    history.restore([Exchange("Three?", "3")], rested_s=59.0)
    now[0] = 120.0
    assert history.end_rested(60.0)


def test_after_an_interruption_only_what_was_heard_is_kept_and_the_model_is_told() -> None:
    history = History()
    history.add_interrupted("Tell me about Paris.", "Paris is the ")
    assert history.messages("", question="And London?")[1:] == (
        {"role": "user", "content": "Tell me about Paris."},
        {"role": "assistant", "content": "Paris is the"},
        {"role": "user", "content": f"{CUT_OFF} And London?"},
    )


def test_a_question_of_whose_answer_nothing_was_heard_is_joined_with_the_next() -> None:
    history = History()
    history.add("Hello!", "Hi.")
    history.add_interrupted("What is the capital", "")
    history.add_interrupted("of France?", "")
    assert history.messages("", question="I mean Spain.")[-1]["content"] == (
        "What is the capital\nof France?\nI mean Spain."
    )
    history.add("I mean Spain.", "Madrid.")
    roles = [m["role"] for m in history.messages("", question="Thanks.")]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]


def test_it_can_be_forgotten() -> None:
    history = History()
    history.add("a", "b")
    history.clear()
    assert len(history.messages("s")) == 1


def test_memory_is_bounded_and_cut_rarely() -> None:
    history = History(max_characters=1000)
    firsts = []
    for number in range(200):
        history.add(f"question {number}", "answer " * 5)
        messages = history.messages("")[1:]
        firsts.append(messages[0]["content"])
        assert sum(len(m["content"]) for m in messages) <= 1000
        assert messages[0]["role"] == "user"
    assert sum(a != b for a, b in pairwise(firsts)) < 30
    history.add("x", "y" * 5000)
    assert history.messages("")[-1]["content"].startswith("y"), "the last exchange always stays"


CLAUSES = [("The capital of France", 2100), ("is Paris, of course.", 2000)]


@pytest.mark.parametrize(
    ("clause", "samples", "heard"),
    [
        (0, 0, ""),
        (1, 0, ""),
        (1, 1000, "The"),
        (1, 1100, "The capital"),
        (1, 1199, "The capital"),
        (1, 2100, "The capital of France"),
        (2, 0, "The capital of France"),
        (2, 800, "The capital of France is"),
        (2, 900, "The capital of France is Paris,"),
        (2, 9999, "The capital of France is Paris, of course."),
        (3, 100, "The capital of France is Paris, of course."),
    ],
)
def test_only_whole_words_that_were_played_count(clause: int, samples: int, heard: str) -> None:
    assert heard_text(CLAUSES, clause, samples) == heard


def test_a_clause_of_unknown_length_is_estimated() -> None:
    assert heard_text([("Twelve chars", 1200), ("one two three", 0)], 2, 700) == (
        "Twelve chars one two"
    )
    assert heard_text([("one two three", 0)], 1, 10_000) == ""
    assert heard_text([("one two three", 0)], 1, 8_000, rate=16_000) == "one two"


def test_a_filler_does_not_count() -> None:
    assert heard_text([("", 500), ("One two", 700)], 1, 400) == ""
    assert heard_text([("", 500), ("One two", 700)], 2, 700) == "One two"


@given(st.lists(st.text(alphabet="ab é", max_size=20), max_size=5), st.data())
def test_heard_is_the_beginning_of_what_was_said(texts: list[str], data: st.DataObject) -> None:
    clauses = [(text, 100 * len(text)) for text in texts]
    clause = data.draw(st.integers(0, len(clauses) + 1))
    heard = heard_text(clauses, clause, data.draw(st.integers(0, 3000)))
    said = " ".join(" ".join(texts).split())
    assert said.startswith(" ".join(heard.split()))
    assert all(word in said.split() for word in heard.split())


CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
RESULT = {"role": "tool", "content": "12", "tool_call_id": "1"}


def test_tool_calls_stand_between_question_and_answer() -> None:
    history = History()
    history.add("How much?", "Twelve.", steps=[CALL, RESULT])
    roles = [m["role"] for m in history.messages("")]
    assert roles == ["system", "user", "assistant", "tool", "assistant"]


def test_a_summary_takes_the_place_of_whole_exchanges() -> None:
    history = History()
    history.add("One?", "1")
    history.add("Two?", "2", steps=[CALL, RESULT])
    history.add("Three?", "3")
    assert history.compact("They counted.", 5, history.beginning)
    system, *rest = history.messages("Be brief.")
    assert system["content"] == "Be brief.\n\nThey counted."
    assert rest[0]["content"] == "Two?", "an exchange that is only partly summed up stays"
    assert history.compact("They counted on.", 4, history.beginning)
    assert [m["content"] for m in history.messages("Be brief.")[1:]] == ["Three?", "3"]


def test_a_summary_of_another_conversation_is_dropped() -> None:
    history = History()
    history.add("One?", "1")
    beginning = history.beginning
    history.clear()
    history.add("Other?", "2")
    assert not history.compact("They counted.", 2, beginning)
    assert len(history.messages("")) == 3
    assert history.messages("")[0]["content"] == ""
