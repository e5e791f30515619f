"""Chunks: nothing is lost, nothing is too long, and the place is right."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.knowledge.text import (
    CHUNK_CHARACTERS,
    JOINED_CHARACTERS,
    Block,
    Place,
    chunks,
    sentences,
)

BLOCKS = st.builds(
    Block,
    text=st.text(alphabet="ab .!\n", min_size=1, max_size=1200).filter(str.strip),
    place=st.builds(Place, page=st.integers(0, 2), heading=st.sampled_from(["", "H"])),
)


def test_short_paragraphs_of_one_place_are_joined() -> None:
    one, two = Place(line=1, heading="A"), Place(line=9, heading="B")
    joined = list(
        chunks([Block("a", one), Block("b", Place(line=3, heading="A")), Block("c", two)])
    )
    assert joined == [Block("a\nb", one), Block("c", two)]


def test_a_chunk_that_is_long_enough_takes_no_more() -> None:
    blocks = [Block("a" * JOINED_CHARACTERS, Place(line=1)), Block("b", Place(line=3))]
    assert list(chunks(blocks)) == blocks


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    sentence = "This sentence has forty characters, yes. "
    cut = list(chunks([Block(sentence * 60, Place(page=2))]))
    assert len(cut) > 1
    assert all(chunk.text.endswith("yes.") and chunk.place.page == 2 for chunk in cut)


@given(st.lists(BLOCKS, max_size=8))
def test_whatever_the_text(blocks: list[Block]) -> None:
    made = list(chunks(blocks))
    assert all(0 < len(chunk.text) <= CHUNK_CHARACTERS for chunk in made)
    before = "".join("".join(block.text.split()) for block in blocks)
    assert "".join("".join(chunk.text.split()) for chunk in made) == before
    places = {block.place for block in blocks}
    assert all(chunk.place in places for chunk in made)


def test_sentences() -> None:
    assert sentences("One. Two! Três?\nA heading\n\n4.5 bar.") == [
        "One.", "Two!", "Três?", "A heading", "4.5 bar.",
    ]  # fmt: skip
