"""The service goes and comes; the application stays."""

from __future__ import annotations

import pytest

from appliance.control import Refused
from appliance.events import Content, Error, Heard, Snapshot, StateChanged, TurnEnded, TurnStarted
from appliance.terminal import app
from tests.terminal.fake_service import WORKERS, FakeService
from tests.terminal.harness import terminal


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "RETRY_S", (0.02,))


async def test_loses_the_service_and_goes_on() -> None:
    luna = FakeService()
    async with terminal(luna) as t:
        await t.press(*"hi", "enter")
        luna.begin(1)
        luna.say(Content(turn_id=1, text="I was going"))
        await t.settle()
        await t.press(*"draft")
        luna.stop()
        await t.settle()
        assert "Waiting for Luna" in t.lines()[0]
        assert "I was going" in t.view.text
        assert "The answer broke off." in t.view.text
        assert "Lost contact" in t.view.text
        await t.press("enter")
        assert t.app.prompt.text == "draft", "what was typed stays"
        luna.start()
        await t.pilot.pause(0.1)
        await t.settle()
        assert "Luna is back." in t.view.text
        assert "Ready" in t.lines()[0]
        await t.press("enter")
        assert luna.asked().text == "draft"
        assert t.app.prompt.text == ""
        luna.begin(1)
        luna.finish(1, "Here I am.")
        await t.settle()
        assert t.view.text.endswith("Here I am.\n")


async def test_begins_without_the_service() -> None:
    luna = FakeService()
    luna.stop()
    async with terminal(luna) as t:
        assert "Waiting for Luna" in t.lines()[0]
        await t.press(*"hi", "enter")
        assert t.app.prompt.text == "hi"
        luna.start()
        await t.pilot.pause(0.1)
        await t.settle()
        assert "Ready" in t.lines()[0]
        assert "Lost" not in t.view.text


async def test_joins_a_turn_that_is_under_way() -> None:
    luna = FakeService(
        snapshot=Snapshot(
            state="speaking",
            workers=WORKERS,
            last_turn={"turn_id": 7, "source": "wake", "question": "Why?", "answer": "Because "},
        )
    )
    async with terminal(luna) as t:
        luna.say(Content(turn_id=7, text="of the moon."))
        await t.settle()
        assert "You  by voice\nWhy?" in t.view.text
        assert "Because of the moon." in t.view.text


async def test_a_refusal_is_shown() -> None:
    async with terminal() as t:
        await t.press(*"hi", "enter")
        t.luna.say(Refused(text="Luna is still starting; try again in a moment"))
        await t.settle()
        assert "Luna is still starting" in t.screen()
        await t.press(*"again", "enter")
        assert t.luna.asked().text == "again"


async def test_a_turn_that_fails() -> None:
    async with terminal() as t:
        await t.press(*"hi", "enter")
        t.luna.begin(1)
        t.luna.say(
            Error(turn_id=1, text="I have no network."),
            StateChanged(state="idle"),
            TurnEnded(turn_id=1, source="text", outcome="failed"),
        )
        await t.settle()
        assert t.view.text.count("I have no network.") == 1
        assert "no answer" not in t.view.text


async def test_turns_that_end_without_an_answer() -> None:
    async with terminal() as t:
        t.luna.say(
            TurnStarted(turn_id=1, source="wake"),
            TurnEnded(turn_id=1, source="wake", outcome="nothing_heard"),
            TurnStarted(turn_id=2, source="button"),
            Heard(turn_id=2, text="Stop", language="en"),
            TurnEnded(turn_id=2, source="button", outcome="interrupted"),
        )
        await t.settle()
        assert "nothing was heard" in t.view.text
        assert "interrupted" in t.view.text


async def test_nothing_that_is_said_reaches_the_terminal_as_an_order() -> None:
    async with terminal() as t:
        await t.ask("x", "a \x1b]52;c;eA==\x07 b [red]c[/red] :smile:\n\n```\n\x1b[2J\n```\n")
        assert "\x1b" not in t.screen()
        assert "[red]c[/red] :smile:" in t.screen()
