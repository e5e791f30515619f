"""Nothing is heard twice, and words are joined as they should be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.providers.continuation import Continuation
from appliance.providers.known import Continues


def continued(beginning: str, written: str, how: Continues, size: int) -> str:
    continuation = Continuation(beginning, how)
    pieces = [written[i : i + size] for i in range(0, len(written), size)]
    return "".join([*map(continuation.feed, pieces), continuation.close()])


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("beginning", "written", "whole"),
    [
        ("It is ten.", "It is late.", "It is ten. It is late."),
        ("It is ten.", " It is late.", "It is ten. It is late."),
        ("It is ten. ", " It is late.", "It is ten. It is late."),
        ("It is ten.", "It is ten. It is late.", "It is ten. It is late."),
        ("It is\nten.", "It is ten.\n\nLate.", "It is\nten.\n\nLate."),
        ("First this. Then that one.", "Then that one. And more.", None),
        (
            "We counted one two three",
            "one two threefold",
            "We counted one two three one two threefold",
        ),
        ("It was very,", "very, very far.", "It was very, very, very far."),
        ("It is ten.", "It is ten.", "It is ten."),
        ("São dez e", "meia.", "São dez e meia."),
        ("Use f(", "x)", "Use f(x)"),
        ("Wait", ", there is more.", "Wait, there is more."),
        ("", "Hello.", "Hello."),
    ],
)
def test_asked_in_words(beginning: str, written: str, whole: str | None, size: int) -> None:
    if whole is None:
        whole = "First this. Then that one. And more."
    assert beginning + continued(beginning, written, "instruction", size) == whole


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("beginning", "written", "whole"),
    [
        ("It is wonder", "ful.", "It is wonderful."),
        ("It costs 3.", "14 dollars", "It costs 3.14 dollars"),
        ("It is ten.", "Late.", "It is ten. Late."),
        ("It is ten. ", " Late.", "It is ten. Late."),
        ("A rose is a rose", " is a rose", "A rose is a rose is a rose"),
        ("It is ten now.", "It is ten now. Late.", "It is ten now. Late."),
    ],
)
def test_going_on_exactly(beginning: str, written: str, whole: str, size: int) -> None:
    assert beginning + continued(beginning, written, "trailing", size) == whole


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 7))
def test_where_the_text_is_cut_does_not_matter(beginning: str, written: str, size: int) -> None:
    whole = continued(beginning, written, "instruction", 1000)
    assert continued(beginning, written, "instruction", size) == whole
