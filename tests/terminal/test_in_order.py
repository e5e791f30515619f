"""Keys that arrive in one burst have their effect in the order in which they came."""

from __future__ import annotations

from textual import events

from tests.terminal.fake_service import FakeService
from tests.terminal.harness import Terminal, terminal


def burst(t: Terminal, *keys: str) -> None:
    """Have keys arrive all at once: names in brackets, else text."""
    for key in keys:
        if key.startswith("<"):
            t.app.post_message(events.Key(key.strip("<>"), None))
        else:
            for letter in key:
                t.app.post_message(events.Key("space" if letter == " " else letter, letter))


async def test_text_and_editing_keys() -> None:
    async with terminal() as t:
        burst(t, "draft", "<ctrl+a>", "<backspace>", "say hello", "<ctrl+j>", "now", "<left>", "!")
        await t.settle()
        assert t.app.prompt.text == "say hello\nno!w"


async def test_what_is_typed_after_enter_is_the_next_question() -> None:
    async with terminal() as t:
        burst(t, "one", "<enter>", "two", "<enter>", "three")
        await t.settle()
        assert [event.text for event in t.luna.sent] == ["one", "two"]  # type: ignore[attr-defined]
        assert t.app.prompt.text == "three"


async def test_nothing_is_lost_when_it_cannot_be_sent() -> None:
    luna = FakeService()
    luna.stop()
    async with terminal(luna) as t:
        burst(t, "one", "<enter>")
        await t.settle()
        assert t.app.prompt.text == "one"


async def test_a_paste_and_a_key() -> None:
    async with terminal() as t:
        burst(t, "a")
        t.app.post_message(events.Paste("bcd"))
        burst(t, "e", "<backspace>", "f")
        await t.settle()
        assert t.app.prompt.text == "abcdf"
