"""The walk to one of several words, and what was given before an answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.llm.decoding import Skip, choose
from appliance.llm.engine import always

END = 0


class Model:
    """Prefers tokens by *liked*, whatever was decoded."""

    def __init__(self, liked: dict[int, float]) -> None:
        self.liked = liked
        self.decoded: list[int] = []

    def logits(self, tokens: Sequence[int]) -> list[float]:
        return [self.liked.get(token, -1.0) for token in tokens]


def none(tokens: Sequence[int]) -> dict[int, float]:
    return dict.fromkeys(tokens, 0.0)


def test_one_token_decides_where_all_begin_differently() -> None:
    model = Model({5: 2.0, 6: 1.0})
    words = {"five": [5, 9, END], "six": [6, END]}
    choice = choose(words, none([5, 6]), model.logits, model.decoded.append, always)
    assert choice.text == "five"
    assert choice.probability == pytest.approx(math.e / (1 + math.e))
    assert model.decoded == []


def test_the_bias_is_subtracted_at_the_beginning_only() -> None:
    model = Model({5: 2.0, 6: 1.0})
    words = {"five": [5, END], "six": [6, 6, END], "six five": [6, 5, END]}
    choice = choose(words, {5: 9.0, 6: 0.0}, model.logits, model.decoded.append, always)
    assert choice.text == "six five"
    assert model.decoded == [6]


def test_it_can_be_stopped_on_the_way() -> None:
    model = Model({})
    words = {"a": [5, 6, END], "b": [5, 7, END]}
    choice = choose(words, none([5]), model.logits, model.decoded.append, lambda: False)
    assert choice.text == ""


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.lists(st.integers(1, 4), max_size=5),
        min_size=2,
        max_size=8,
    ).filter(lambda words: len({tuple(tokens) for tokens in words.values()}) == len(words)),
    st.dictionaries(st.integers(0, 4), st.floats(-5, 5)),
)
def test_it_is_always_one_of_the_words(
    words: dict[str, list[int]], liked: dict[int, float]
) -> None:
    model = Model(liked)
    ended = {word: [*tokens, END] for word, tokens in words.items()}
    choice = choose(ended, none(range(5)), model.logits, model.decoded.append, always)
    assert choice.text in words
    assert 0 < choice.probability <= 1.0
    assert model.decoded == ended[choice.text][: len(model.decoded)]


@pytest.mark.parametrize(
    ("given", "pieces", "rest"),
    [
        (" ", [" Paris", " is"], "Paris is"),
        ("\n    ", ["\n", "    return", " 1"], "return 1"),
        ("\n", ["\n", "\n", "x"], "\nx"),
        (" ", ["\n"], "\n"),
        (" ", ["Paris"], "Paris"),
    ],
)
def test_the_space_that_was_given_is_not_repeated(given: str, pieces: list[str], rest: str) -> None:
    found: list[str] = []
    skip = Skip(given, found.append)
    for piece in pieces:
        skip(piece)
    assert "".join(found) == rest
