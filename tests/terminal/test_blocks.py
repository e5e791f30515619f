"""Cutting an answer into blocks: the same however it came in pieces, and little of it open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.assistant.code_blocks import CodeSplitter
from appliance.terminal.blocks import CODE_LINES, LONG, Block, Cutter, harmless

ANSWER = """# Title

A paragraph
of two lines.
- one
- two
  - nested
1. first
2. second

   more of the second

| a | b |
|---|---|
| 1 | 2 |

> quote

Here: ```python
def f(x):

    return x
```
The end.
"""


def cut(*pieces: str) -> list[Block]:
    cutter = Cutter(CodeSplitter())
    for piece in pieces:
        cutter.feed(piece)
    cutter.close()
    return cutter.blocks


def test_what_becomes_a_block() -> None:
    assert [(block.kind, block.source.split("\n")[0]) for block in cut(ANSWER)] == [
        ("prose", "# Title"),
        ("prose", "A paragraph"),
        ("item", "- one"),
        ("item", "- two"),
        ("item", "1. first"),
        ("item", "2. second"),
        ("prose", "| a | b |"),
        ("prose", "> quote"),
        ("prose", "Here: "),
        ("code", "def f(x):"),
        ("prose", "The end."),
    ]
    code = cut(ANSWER)[-2]
    assert (code.language, code.number, code.source.count("\n")) == ("python", 1, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_pieces_make_no_difference(size: int) -> None:
    assert cut(*(ANSWER[i : i + size] for i in range(0, len(ANSWER), size))) == cut(ANSWER)


@given(st.text(alphabet="ab -*#`~|>1.\n ", max_size=80), st.integers(1, 10))
def test_pieces_of_anything_make_no_difference(text: str, size: int) -> None:
    assert cut(*(text[i : i + size] for i in range(0, len(text), size))) == cut(text)


@given(st.text(alphabet="ab -*#`~|>1.\n", max_size=80), st.integers(1, 10))
def test_nothing_before_the_changed_block_changes(text: str, size: int) -> None:
    cutter = Cutter(CodeSplitter())
    drawn: list[str] = []
    for start in range(0, len(text), size):
        changed = cutter.feed(text[start : start + size])
        assert drawn[:changed] == [block.source for block in cutter.blocks[:changed]]
        drawn = [block.source for block in cutter.blocks]
    changed = cutter.close()
    assert drawn[:changed] == [block.source for block in cutter.blocks[:changed]]


def test_a_long_answer_has_a_small_end() -> None:
    lines = "".join(f"x{i} = {i}\n" for i in range(2000))
    for answer in (f"```python\n{lines}```\n", lines, lines.replace("x", "- x")):
        assert max(len(block.source) for block in cut(answer)) < LONG + 2000
    blocks = cut(f"```python\n{lines}```\n")
    assert len(blocks) == -(-2000 // CODE_LINES[1])
    assert [block.first for block in blocks] == [True] + [False] * (len(blocks) - 1)


def test_code_is_put_together_again() -> None:
    lines = "".join(f"x{i} = {i}\n" for i in range(200))
    cutter = Cutter(CodeSplitter())
    cutter.feed(f"A\n```python\n{lines}```\nB\n~~~\ny\n~~~\n")
    cutter.close()
    assert cutter.code() == {1: lines.strip(), 2: "y"}


def test_nothing_that_a_terminal_would_obey() -> None:
    assert (
        harmless("a\x1b[31mb\x07c\u202ed\x9be\r\nf\tg")
        == "a\ufffd[31mb\ufffdc\ufffdd\ufffde\nf   g"
    )
