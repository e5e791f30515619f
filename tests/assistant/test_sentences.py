"""Clauses: where they end, that nothing is lost, and that chunks make no difference."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.assistant.sentences import ClauseSplitter, for_speech


def split(text: str, size: int = 1) -> list[str]:
    splitter = ClauseSplitter()
    clauses = []
    for start in range(0, len(text), size):
        clauses += splitter.feed(text[start : start + size])
    return clauses + splitter.flush()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            "The capital of France is Paris. It lies on the Seine.",
            "The capital of France is Paris.",
        ),
        ("Of course I can, what would you like?", "Of course I can,"),
        ("Claro que sim, o que você quer saber?", "Claro que sim,"),
        ("Yes. It is a very old city. Really.", "Yes. It is a very old city."),
        ("Here is what I found: Paris.", "Here is what I found:"),
        ("Paris is big — really big.", "Paris is big —"),
        ('He said "I am here." Then he left.', 'He said "I am here."'),
        ("**Paris is it.** Anything else?", "**Paris is it.**"),
        ("A first line here\nand a second", "A first line here"),
    ],
)
def test_the_first_clause_ends_where_speech_may_begin(text: str, first: str) -> None:
    assert split(text)[0] == first


@pytest.mark.parametrize(
    "text",
    [
        "It is about 3.14 in all of it",
        "They counted 1,000,000 of them",
        "Ask Dr. Smith or Prof. Jones",
        "O Sr. Silva e a Sra. Costa falaram",
        "Use fruit, e.g. apples",
        "The train leaves at 7:30 today",
        "A book by J. K. Rowling today",
        "Look at https://example.com/a?b=1,c;d:e there",
        "Well... I do not know",
        "Bem… eu não sei disso",
    ],
)
def test_what_is_no_boundary(text: str) -> None:
    for clause in split(text):
        assert clause == text or clause.endswith(","), clause
    assert "".join(split(text)).replace(" ", "") == text.replace(" ", "")
    assert len(split(text)) <= 2


def test_numbered_lists_keep_number_and_item_together() -> None:
    text = "Here are three fruits:\n1. A ripe banana\n2. A sweet apple\n3. A red cherry"
    assert split(text) == [
        "Here are three fruits:",
        "1. A ripe banana",
        "2. A sweet apple",
        "3. A red cherry",
    ]


def test_a_long_first_clause_is_cut_before_a_word_that_begins_a_part() -> None:
    text = "The sky looks blue to everybody here because the air scatters the short waves of light"
    assert split(text)[0] == "The sky looks blue to everybody here"
    text = "O céu parece azul para todas as pessoas porque o ar espalha a luz azul do sol"
    assert split(text)[0] in (
        "O céu parece azul para todas as pessoas",
        "O céu parece azul",
    )


def test_clauses_grow() -> None:
    text = (
        "Well of course, that is a good one, and I like it, but I cannot, in all honesty, say "
        "more about it, not today, than that. Ask again tomorrow. Thank you very much."
    )
    words = [len(clause.split()) for clause in split(text)]
    assert words[0] == 3
    assert words[1] >= 5
    assert words[2] >= 12


def test_text_without_any_white_space_is_cut_all_the_same() -> None:
    assert all(len(clause) <= 301 for clause in split("a" * 5000, 7))


def test_a_code_fence_stays_whole_and_is_not_spoken() -> None:
    text = "Here is the code:\n```python\nx = 1. + 2\nprint(x)\n```\nThat is all of it."
    clauses = split(text)
    assert [for_speech(clause) for clause in clauses if for_speech(clause)] == [
        "Here is the code:",
        "That is all of it.",
    ]


PIECES = st.sampled_from(
    ["Paris", "is", "nice", "and", "porque", "3.14", "1,000", "7:30", "Dr.", "e.g.", "yes.", "no,",
     "why?", "so;", "—", "...", "\n", "1.", " ", "  ", '"', "`", "```", "é", "www.a.pt/x?y=1", "!"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=60).map(" ".join) | st.text(max_size=200)


@given(TEXTS, st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_or_invented(text: str, size: int) -> None:
    assert "".join("".join(split(text, size)).split()) == "".join(text.split())
    assert all(clause == clause.strip() and clause for clause in split(text, size))


@given(TEXTS, st.data())
@settings(max_examples=300, deadline=None)
def test_the_chunks_make_no_difference(text: str, data: st.DataObject) -> None:
    splitter, rest, clauses = ClauseSplitter(), text, []
    while rest:
        size = data.draw(st.integers(1, 30))
        clauses += splitter.feed(rest[:size])
        rest = rest[size:]
    assert clauses + splitter.flush() == split(text)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Paris** is _nice_.", "Paris is nice."),
        ("# Title\n- one\n- two", "Title. one. two"),
        ("See [the page](https://example.com).", "See the page."),
        ("Hello 😀👍🏽!", "Hello !"),
        ("Use `print` now", "Use print now"),
        ("snake_case stays", "snake_case stays"),
        ("```python\nx = 1\n```", ""),
        ("😀", ""),
        ("...", ""),
        ("Olá,\ntudo bem?", "Olá, tudo bem?"),
    ],
)
def test_for_speech(written: str, spoken: str) -> None:
    assert for_speech(written) == spoken
