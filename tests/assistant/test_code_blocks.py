"""Code and prose are told apart, wherever the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.assistant.code_blocks import SHOWN_KEY, CodeSplitter, Piece, code_only
from appliance.texts import text


def split(answer: str, cuts: list[int] | None = None) -> list[Piece]:
    """Return the pieces of *answer*, those of one block joined."""
    splitter = CodeSplitter()
    edges = [0, *sorted(cut % (len(answer) + 1) for cut in cuts or []), len(answer)]
    pieces: list[Piece] = []
    for start, end in pairwise(edges):
        pieces += splitter.feed(answer[start:end])
    joined: list[Piece] = []
    for piece in [*pieces, *splitter.flush()]:
        assert piece.text
        if joined and joined[-1].block == piece.block:
            joined.append(Piece(joined.pop().text + piece.text, piece.block, piece.language))
        else:
            joined.append(piece)
    return joined


@pytest.mark.parametrize(
    ("answer", "pieces"),
    [
        ("Just words.", [Piece("Just words.")]),
        ("", []),
        (
            "Here:\n```Python\nprint(1)\n```\nDone.",
            [Piece("Here:\n"), Piece("print(1)\n", 1, "python"), Piece("\nDone.")],
        ),
        (
            "```\na\n```\n```sh\nb\n```",
            [Piece("a\n", 1), Piece("\n"), Piece("b\n", 2, "sh")],
        ),
        ("Here it is: ```c++\nx;\n```", [Piece("Here it is: "), Piece("x;\n", 1, "c++")]),
        ("Type ```ls -l``` now.", [Piece("Type "), Piece("ls -l", 1), Piece(" now.")]),
        ("Use `a` and ``b``.", [Piece("Use `a` and ``b``.")]),
        ("~~~\nx\n~~~\ny ~~~ z", [Piece("x\n", 1), Piece("\ny ~~~ z")]),
        ("1. So:\n   ```\n   x\n   ```\n", [Piece("1. So:\n   "), Piece("   x\n", 1), Piece("\n")]),
        ("````\n```\nx\n```\n````", [Piece("```\nx\n```\n", 1)]),
        ("```py\ns = '```'\n```", [Piece("s = '```'\n", 1, "py")]),
        ("```py\nx = 1", [Piece("x = 1", 1, "py")]),
        ("So: ```", [Piece("So: ")]),
    ],
)
def test_code_and_prose(answer: str, pieces: list[Piece]) -> None:
    assert split(answer) == pieces


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["`", "``", "```", "````", "~~~", "\n", " ", "python", "x = '```'", "words.", "é", "  "]
        ),
        max_size=25,
    ).map("".join),
    st.lists(st.integers(0, 400), max_size=25),
)
def test_where_the_stream_is_cut_makes_no_difference(answer: str, cuts: list[int]) -> None:
    assert split(answer, cuts) == split(answer, list(range(len(answer)))) == split(answer)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab \n`~", max_size=200))
def test_no_word_is_lost(answer: str) -> None:
    """Only fences and the names of languages go; letters of prose and code all stay."""
    kept = "".join(piece.text for piece in split(answer))
    if "```" not in answer and "~~~" not in answer:
        assert kept == answer
    assert len(kept) <= len(answer)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Sure:\n```py\nx = 1\n```\nand\n```py\ny = 2\n```", "x = 1\n\ny = 2"),
        ("x = 1\n", "x = 1"),
        ("```\nx", "x"),
    ],
)
def test_code_only(answer: str, code: str) -> None:
    assert code_only(answer) == code


def test_there_is_a_sentence_for_the_ear() -> None:
    assert text(SHOWN_KEY, "en") != text(SHOWN_KEY, "pt")
