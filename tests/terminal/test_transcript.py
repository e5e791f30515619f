"""Long answers: little is drawn for each piece, and nothing is lost when the width changes."""

from __future__ import annotations

import asyncio

import pytest
from textual import events

from appliance.events import Content
from appliance.terminal.drawing import Drawer
from tests.terminal.harness import terminal

CODE = "```python\n" + "".join(f"x{i} = {i}  # comment\n" for i in range(2000)) + "```\n"
LIST = "".join(f"- item **{i}** of a long list\n" for i in range(2000))


@pytest.mark.parametrize("answer", [CODE, LIST], ids=["code", "list"])
async def test_two_thousand_lines_and_every_key(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    block = Drawer.block

    def counted(self: Drawer, *arguments: object, **options: object) -> object:
        drawn.append(1)
        return block(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Drawer, "block", counted)
    async with terminal() as t:
        await t.press(*"go", "enter")
        t.luna.begin(1)
        typed = "abcdefghijklmnopqrstuvwxyz"
        step = len(answer) // 50
        for number, start in enumerate(range(0, len(answer), step)):
            t.luna.say(Content(turn_id=1, text=answer[start : start + step]))
            if number % 2 == 0:
                for key in (typed[number // 2], "pageup", "pagedown"):
                    t.app.post_message(events.Key(key, key if len(key) == 1 else None))
            await asyncio.sleep(0.005)
        t.luna.finish(1, "\nThe end.")
        await t.settle()
        assert t.app.prompt.text == typed
        assert t.view.text.count("\n") >= 2000
        assert "The end." in t.screen()
        blocks = len(t.view.code()[0].split("\n")) // 60 if answer is CODE else 2000
        assert len(drawn) < 4 * (blocks + 200), "what is closed is not drawn again"
        text = t.view.text
        await t.pilot.resize_terminal(120, 30)
        while t.view._drawn_width < 100:
            await t.settle()
        assert t.view.text.split()[:5] == text.split()[:5]
        assert "The end." in t.screen()


async def test_the_view_stays_where_one_reads() -> None:
    async with terminal() as t:
        await t.ask("one", "\n\n".join(f"paragraph {i}" for i in range(50)))
        await t.press("pageup", "pageup")
        seen = [line[:70].rstrip() for line in t.lines()[1:19]]
        await t.press("x")
        t.luna.begin(2, "wake", "Why?")
        t.luna.finish(2, "More.", "wake")
        await t.settle()
        assert [line[:70].rstrip() for line in t.lines()[1:19]] == seen
        await t.press(*["pagedown"] * 5)
        assert "More." in t.screen()


async def test_wrapped_text_is_copied_as_it_was_written() -> None:
    words = "one two three four five six seven eight nine ten " * 4
    long = "x" * 200
    async with terminal() as t:
        await t.ask("go", f"{words}\n\n```\n{long}\ny\n```\n")
        await t.press("ctrl+a", "ctrl+c")
        assert words.strip() in t.app.clipboard
        assert f"{long}\ny" in t.app.clipboard


async def test_narrow_and_tiny_terminals() -> None:
    for size in ((40, 12), (20, 6), (10, 3)):
        async with terminal(size=size) as t:
            await t.ask("go", f"Text.\n\n{CODE[:100]}\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n")
            await t.press("f4", "f1", "escape", "f2")
