"""What opens above the chat: history, persona, reminders, settings, palette, help."""

from __future__ import annotations

from textual.widgets import Input, TextArea

from appliance.terminal.service import Message, Reminder, Setting
from tests.terminal.fake_service import FakeService
from tests.terminal.harness import terminal


def with_history() -> FakeService:
    luna = FakeService(current=3)
    for number, words in enumerate(("the moon", "the sun", "rain"), 1):
        luna.kept[number] = [
            Message("user", f"Tell me about {words}", 60.0 * number),
            Message("assistant", f"All about {words}.", 60.0 * number + 5),
        ]
    return luna


async def test_the_current_conversation_is_there_at_the_start() -> None:
    async with terminal(with_history()) as t:
        assert "All about rain." in t.screen()


async def test_reopen_a_conversation() -> None:
    luna = with_history()
    async with terminal(luna) as t:
        await t.press("ctrl+h")
        assert "▸ Tell me about rain" in t.screen()
        await t.press("down", "down", "enter")
        assert luna.done == [("open", 1)]
        assert "All about the moon." in t.screen()
        assert "rain" not in t.screen()


async def test_a_long_conversation_is_reopened_at_its_end() -> None:
    luna = with_history()
    luna.kept[1] = [Message("user", f"message {i}", float(i)) for i in range(10_000)]
    async with terminal(luna) as t:
        for _ in range(2):
            await t.press("ctrl+h", "down", "down", "enter")
            assert "message 9999" in t.screen()


async def test_search_in_the_history() -> None:
    luna = with_history()
    async with terminal(luna) as t:
        await t.press("ctrl+h", *"sun")
        await t.pilot.pause(0.4)
        assert "All about the sun." in t.screen()
        assert "rain" not in "\n".join(t.lines()[3:20])
        await t.press("enter")
        assert luna.done == [("open", 2)]


async def test_delete_a_conversation_after_asking() -> None:
    luna = with_history()
    async with terminal(luna) as t:
        await t.press("ctrl+h", "down", "delete")
        assert "This deletes conversation 2 for good." in t.screen()
        await t.press("enter")
        assert not luna.done, "no is the default"
        await t.press("ctrl+d", "escape")
        assert not luna.done
        await t.press("delete", "down", "enter")
        assert luna.done == [("delete", 2)]
        assert "sun" not in t.screen()


async def test_a_page_server_that_is_off() -> None:
    luna = with_history()
    async with terminal(luna) as t:
        luna.broken = "the page server does not answer"
        await t.press("ctrl+h")
        assert "the page server does not answer" in t.screen()
        await t.press("escape", "ctrl+e")
        assert t.title() == "Persona"


async def test_edit_the_persona_in_both_languages() -> None:
    luna = FakeService()
    async with terminal(luna) as t:
        await t.press("ctrl+e")
        assert "You are Luna." in t.screen()
        await t.press("end", *" Short.", "tab")
        assert "Português" in t.screen()
        await t.press(*"Oi", "enter", *"!", "ctrl+s")
        assert t.title() == ""
        assert luna.words == {"en": "You are Luna. Short.", "pt": "Oi\n!"}


async def test_a_changed_persona_is_not_lost_by_accident() -> None:
    luna = FakeService()
    async with terminal(luna) as t:
        await t.press("ctrl+e", "x", "escape")
        assert "What you changed is not saved." in t.screen()
        await t.press("enter")
        assert t.title() == "Persona"
        assert t.app.screen.query_one(TextArea).text.startswith("x")
        await t.press("escape", "down", "enter")
        assert t.title() == ""
        assert not luna.done


async def test_reminders() -> None:
    luna = FakeService(
        kept_reminders=[
            Reminder(1, "reminder", "call Ana", "open", "tomorrow at nine"),
            Reminder(2, "timer", "", "open", "in four minutes"),
            Reminder(3, "alarm", "", "open", "at seven"),
        ]
    )
    async with terminal(luna) as t:
        await t.press("ctrl+r")
        assert "call Ana" in t.screen()
        assert "in four minutes" in t.screen()
        await t.press("ctrl+k")
        assert luna.done == [("done", 1)]
        await t.press("ctrl+s", "delete", "enter")
        assert luna.done[1:] == [("snooze", 2)]
        await t.press("delete", "down", "enter")
        assert luna.done[2:] == [("cancel", 3)]
        assert "There are no reminders." in t.screen()
        await t.press(*"water", "enter")
        assert luna.done[3:] == [("add", ("water", "en"))]
        assert t.app.screen.query_one(Input).value == ""
        assert "tomorrow at nine" in t.screen()


async def test_settings() -> None:
    luna = FakeService(
        config=[
            Setting("listen.wake_threshold", "float", 0.5, 0.5, 0, 1, restart=True),
            Setting("general.language", "choice", "en", "en", choices=["en", "pt"]),
        ]
    )
    async with terminal(luna) as t:
        await t.press("f8")
        assert "0.5  (0…1) ↻" in t.screen()
        await t.press(*"wake", "enter")
        assert "listen.wake_threshold = 0.5" in t.screen()
        await t.backspace()
        await t.press("6", "enter")
        assert luna.done == [("set", ("listen.wake_threshold", 0.6))]
        await t.press(*"general.language = pt", "enter")
        assert luna.done[1:] == [("set", ("general.language", "pt"))]
        await t.press(*"nothing = 1", "enter")
        assert "There is no setting nothing." in t.screen()


async def test_command_palette() -> None:
    async with terminal() as t:
        await t.press("ctrl+p", *"remind")
        assert "See and change reminders" in t.screen()
        assert "Edit who Luna is" not in t.screen()
        await t.press("enter")
        assert t.title() == "Reminders"


async def test_help_shows_every_key() -> None:
    async with terminal(size=(100, 100)) as t:
        await t.press("f1")
        screen = t.screen()
        for words in ("Shift+F10", "Ctrl+J", "/historico", "/quit", "microphone", "tmux"):
            assert words in screen
