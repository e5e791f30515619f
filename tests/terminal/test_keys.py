"""Every key of the main view, in the application without a terminal."""

from __future__ import annotations

import pytest
from textual import events

from appliance.events import (
    ButtonPressed,
    Content,
    StateChanged,
    StopRequested,
)
from appliance.terminal.keys import DEEDS
from appliance.terminal.service import Message
from tests.terminal.fake_service import FakeService
from tests.terminal.harness import terminal

CODE = "Look:\n\n```python\nx = 1\nprint(x)\n```\n\nDone."


async def test_enter_sends_and_the_answer_comes() -> None:
    async with terminal() as t:
        await t.press(*"hi", "enter")
        assert t.luna.asked().text == "hi"
        assert t.app.prompt.text == ""
        t.luna.begin(1)
        t.luna.say(Content(turn_id=1, text="Hello **the"))
        await t.settle()
        assert "Hello **the" in t.view.text
        t.luna.say(Content(turn_id=1, text="re**"))
        await t.settle()
        assert t.view.text == "You\nhi\n\nLuna  local smollm2\nHello there\n"
        t.luna.finish(1, "")
        await t.settle()
        assert "23 tokens/s" in t.lines()[0]
        assert "groq 81 % left" in t.lines()[0]


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
async def test_new_line(key: str) -> None:
    async with terminal() as t:
        await t.press("a", key, "b", "enter")
        assert t.luna.asked().text == "a\nb"


async def test_up_and_down_find_what_was_sent() -> None:
    async with terminal() as t:
        for text in ("one", "two"):
            await t.press(*text, "enter")
        await t.press("d", "up")
        assert t.app.prompt.text == "two"
        await t.press("up", "up")
        assert t.app.prompt.text == "one"
        await t.press("down", "down")
        assert t.app.prompt.text == "d"


@pytest.mark.parametrize("key", ["ctrl+q", "f10"])
async def test_quit(key: str) -> None:
    async with terminal() as t:
        await t.press(key)
        assert t.app.return_code == 0
        assert not t.app.is_running


@pytest.mark.parametrize("key", ["ctrl+t", "f5"])
async def test_new_conversation(key: str) -> None:
    async with terminal() as t:
        await t.ask("hi", "Hello.")
        await t.press(key)
        assert t.luna.done == [("new", None)]
        assert "Hello" not in t.view.text
        t.luna.broken = "the page is off"
        await t.press(key)
        assert "the page is off" in t.screen()


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("ctrl+h", "History"),
        ("f2", "History"),
        ("ctrl+e", "Persona"),
        ("f3", "Persona"),
        ("ctrl+r", "Reminders"),
        ("f9", "Reminders"),
        ("f8", "Config"),
        ("f1", "Help"),
        ("ctrl+g", "Help"),
        ("ctrl+p", "Commands"),
        ("alt+x", "Commands"),
        ("shift+f10", "Menu"),
        ("f12", "Menu"),
    ],
)
async def test_what_opens_and_escape_closes(key: str, title: str) -> None:
    async with terminal() as t:
        await t.press("d", key)
        assert t.title() == title
        await t.press("ctrl+t", "f2" if title == "Help" else "f5")
        assert t.title() == title, "the keys of the chat are not for what is above it"
        assert not t.luna.done
        await t.press("escape")
        assert t.title() == ""
        assert t.app.prompt.text == "d", "what was typed stays"


@pytest.mark.parametrize("erase", [False, True])
async def test_ctrl_h_as_terminals_send_it(erase: bool) -> None:
    """The byte 8 is Ctrl+H, except where the terminal sends it for Backspace."""
    async with terminal(erase_is_ctrl_h=erase) as t:
        await t.press("a", "b")
        await t.backspace()
        assert t.app.prompt.text == "a"
        t.app.post_message(events.Key("backspace", "\x08"))
        await t.settle()
        assert (t.title(), t.app.prompt.text) == (("", "") if erase else ("History", "a"))


@pytest.mark.parametrize("key", ["ctrl+c", "escape"])
async def test_stops_a_running_reply(key: str) -> None:
    async with terminal() as t:
        await t.press(*"hi", "enter")
        t.luna.begin(1)
        await t.settle()
        await t.press(key)
        assert isinstance(t.luna.sent[-1], StopRequested)


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+insert"])
async def test_copy_what_is_typed(key: str) -> None:
    async with terminal() as t:
        await t.press(*"some words", "shift+left", "shift+left", key)
        assert t.app.clipboard == "ds"
        assert "Lines copied: 1" in t.screen()
        await t.press("right", key)
        assert "Nothing is selected. Ctrl+Q quits." in t.screen()
        assert not t.luna.sent


async def test_copy_what_is_selected_with_the_mouse() -> None:
    async with terminal() as t:
        await t.ask("hi", "Hello there, this is the answer.")
        row = t.view.text.split("\n").index("Hello there, this is the answer.") + 1
        await t.pilot.mouse_down(offset=(1, row))
        await t.pilot.hover(offset=(11, row))
        await t.pilot.mouse_up(offset=(11, row))
        await t.settle()
        await t.press("ctrl+c")
        assert t.app.clipboard == "Hello there"
        await t.press("escape")
        assert not t.app.screen.selections


@pytest.mark.parametrize("key", ["ctrl+a", "f7"])
async def test_select_all(key: str) -> None:
    async with terminal() as t:
        await t.press(*"ab", key, "ctrl+c")
        assert t.app.clipboard == "ab"
        await t.press("ctrl+a", "delete")
        await t.ask("hi", "Hello.")
        await t.press(key, "ctrl+c")
        assert t.app.clipboard.startswith("You\nhi\n\nLuna")


@pytest.mark.parametrize(("cut", "paste"), [("ctrl+x", "ctrl+v"), ("shift+delete", "shift+insert")])
async def test_cut_and_paste(cut: str, paste: str) -> None:
    async with terminal() as t:
        await t.press(paste)
        assert "your terminal's own key" in t.screen()
        await t.press(*"abc", "shift+left", cut)
        assert (t.app.prompt.text, t.app.clipboard) == ("ab", "c")
        await t.press("home", paste)
        assert t.app.prompt.text == "cab"


async def test_a_terminals_own_paste_has_a_limit() -> None:
    async with terminal() as t:
        t.app.post_message(events.Paste("x" * 99_999 + "yz"))
        await t.settle()
        assert t.app.prompt.text == "x" * 99_999 + "y"
        assert "100,000" in t.screen()
        await t.press("z")
        assert t.app.prompt.text.endswith("xy")


@pytest.mark.parametrize("key", ["ctrl+y", "alt+c"])
async def test_copy_code(key: str) -> None:
    async with terminal() as t:
        await t.press(key)
        assert "There is no code yet" in t.screen()
        await t.ask("code", CODE)
        await t.press(key)
        assert t.app.clipboard == "x = 1\nprint(x)"


async def test_click_on_the_head_copies_code() -> None:
    async with terminal() as t:
        await t.ask("code", CODE)
        row = next(i for i, line in enumerate(t.lines()) if "copy ^Y" in line)
        await t.pilot.click(offset=(5, row))
        await t.settle()
        assert t.app.clipboard == "x = 1\nprint(x)"


@pytest.mark.parametrize("key", ["ctrl+o", "f6"])
async def test_code_mode_shows_nothing_but_code(key: str) -> None:
    async with terminal() as t:
        await t.ask("code", CODE)
        await t.press(key)
        assert t.app.code.text == "x = 1\nprint(x)\n"
        assert "code only" in t.lines()[0]
        assert "Look" not in t.screen()
        await t.press(*"more", "enter")
        assert t.luna.asked().code_only
        t.luna.begin(2)
        t.luna.say(Content(turn_id=2, text="Well:\n```\ny = "))
        await t.settle()
        assert "y =" in t.screen()
        assert "Well" not in t.screen()
        t.luna.finish(2, "2\n```\nThat is it.")
        await t.settle()
        await t.press("ctrl+c")
        assert t.app.clipboard == "x = 1\nprint(x)\n\ny = 2\n"
        await t.press("escape")
        assert "That is it." in t.screen()


async def test_code_mode_and_a_model_that_leaves_the_fence_away() -> None:
    async with terminal() as t:
        await t.press("ctrl+o")
        await t.ask("code", "x = 3")
        assert t.app.code.text == "x = 3\n"
        await t.press("ctrl+y")
        assert t.app.clipboard == "x = 3\n"


@pytest.mark.parametrize("key", ["f4", "ctrl+l"])
async def test_health_panel(key: str) -> None:
    async with terminal() as t:
        assert "Speech recognition" not in t.screen()
        await t.press(key)
        screen = t.screen()
        for words in ("Speech recognition", "Microphone", "Gaps in speech"):
            assert words in screen
        await t.press(key)
        assert "Speech recognition" not in t.screen()


async def test_light() -> None:
    async with terminal() as t:
        dark = t.app.theme
        await t.press("f11")
        assert (dark, t.app.theme) == ("luna-dark", "luna-light")


@pytest.mark.parametrize(
    ("color", "no_color", "theme"),
    [("truecolor", "", "luna-dark"), ("", "", "ansi-dark"), ("truecolor", "1", "ansi-dark")],
)
async def test_terminals_with_few_colours(
    color: str, no_color: str, theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORTERM", color)
    monkeypatch.setenv("TERM", "xterm")
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    async with terminal() as t:
        assert t.app.theme == theme
        await t.ask("code", CODE)
        await t.press("f2")


async def test_space_on_an_empty_line_talks() -> None:
    async with terminal() as t:
        await t.press("space", "space", "space")
        assert [type(event) for event in t.luna.sent] == [ButtonPressed], "a held key is one press"
        t.luna.say(StateChanged(state="listening", turn_id=1))
        await t.settle()
        t.app.prompt._space_at = float("-inf")
        await t.press("space")
        assert isinstance(t.luna.sent[-1], StopRequested)
        await t.press("a", "space", "b")
        assert t.app.prompt.text == "a b"


async def test_spoken_turns_appear() -> None:
    async with terminal() as t:
        t.luna.begin(5, "wake", "What time is it?")
        t.luna.finish(5, "A quarter past nine.", "wake")
        await t.settle()
        assert "You  by voice\nWhat time is it?\n\nLuna" in t.view.text
        assert "A quarter past nine." in t.view.text


async def test_page_keys_scroll_and_earlier_messages_come() -> None:
    luna = FakeService(current=1)
    luna.kept[1] = [
        Message("user" if i % 2 == 0 else "assistant", f"message {i}", 0.0) for i in range(10_000)
    ]
    async with terminal(luna) as t:
        assert "message 9999" in t.screen()
        assert "message 9930" not in t.view.text
        shown = t.view.text.count("message")
        for _ in range(20):
            await t.press("pageup")
        assert t.view.text.count("message") > shown
        assert "message 9999" not in t.screen()
        for _ in range(40):
            await t.press("pagedown")
        assert "message 9999" in t.screen()


@pytest.mark.parametrize(
    ("command", "title"),
    [
        ("/historico", "History"),
        ("/history", "History"),
        ("/alma", "Persona"),
        ("/persona", "Persona"),
        ("/config", "Config"),
        ("/ajuda", "Help"),
        ("/help", "Help"),
        ("/Lembretes", "Reminders"),
    ],
)
async def test_commands(command: str, title: str) -> None:
    async with terminal() as t:
        await t.press(*command, "enter")
        assert t.title() == title
        assert t.app.prompt.text == ""


@pytest.mark.parametrize("command", ["/nova", "/new"])
async def test_command_for_a_new_conversation(command: str) -> None:
    async with terminal() as t:
        await t.press(*command, "enter")
        assert t.luna.done == [("new", None)]


@pytest.mark.parametrize("command", ["/sair", "/quit"])
async def test_command_to_quit(command: str) -> None:
    async with terminal() as t:
        await t.press(*command, "enter")
        assert not t.app.is_running


async def test_an_unknown_command_is_not_sent() -> None:
    async with terminal() as t:
        await t.press(*"/nothing", "enter")
        assert "There is no /nothing" in t.screen()
        assert not t.luna.sent
        await t.press("ctrl+a", *"/etc is a folder", "enter")
        assert t.luna.asked().text == "/etc is a folder"


@pytest.mark.parametrize("where", ["mouse", "key"])
async def test_context_menu(where: str) -> None:
    async with terminal() as t:
        await t.press(*"words")
        if where == "mouse":
            await t.pilot.mouse_down(offset=(70, 20), button=3)
            await t.settle()
        else:
            await t.press("shift+f10")
        assert t.title() == "Menu"
        for words in ("Copy", "Paste", "Select all", "New", "History", "Quit"):
            assert words in t.screen()
        await t.press("down", "down", "enter")
        assert t.title() == ""
        assert t.app.prompt.selected_text == "words"


async def test_click_in_the_footer() -> None:
    async with terminal() as t:
        await t.pilot.click(offset=(2, 23))
        await t.settle()
        assert t.title() == "Help"


async def test_every_deed_has_a_key_that_no_other_has() -> None:
    keys = [key for deed in DEEDS for key in deed.keys]
    assert len(keys) == len(set(keys))
    words = [word for deed in DEEDS for word in deed.words]
    assert len(words) == len(set(words))
    async with terminal() as t:
        for deed in DEEDS:
            assert hasattr(t.app, f"action_{deed.name}")
