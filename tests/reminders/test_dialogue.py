"""What is said to Luna about reminders, what is stored, and what she answers."""

from __future__ import annotations

import errno
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from appliance.errors import StorageError
from appliance.reminders.dialogue import Dialogue, Reply
from appliance.texts import text
from tests.reminders.test_keeper import Box, full
from tests.reminders.virtual import VirtualLoop


class Talk:
    """A box in a conversation. It is Monday, the first of June 2026, nine in the morning."""

    def __init__(self, language: str = "en") -> None:
        self.loop = VirtualLoop()
        self.box = Box(self.loop)
        self.language = language
        self.run(self.box.on())
        self.dialogue = Dialogue(self.box.keeper)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def reply(self, said: str) -> Reply | None:
        found: Reply | None = self.run(self.dialogue.handle(said, self.language))
        return found

    def say(self, said: str) -> str:
        reply = self.reply(said)
        return reply.text if reply else ""

    def pass_(self, seconds: float) -> None:
        async def wait() -> None:
            import asyncio

            await asyncio.sleep(seconds)

        self.run(wait())

    @property
    def open(self) -> list[str]:
        return [one.text for one in self.box.keeper.records.values() if one.open]

    def due(self, number: int) -> str:
        due = self.box.keeper.records[number].due
        return f"{due:%d %H:%M}" if due else ""


@pytest.fixture
def talk() -> Any:
    talks: list[Talk] = []

    def make(language: str = "en") -> Talk:
        talks.append(Talk(language))
        return talks[-1]

    yield make
    for one in talks:
        one.box.crash()
        one.pass_(0)
        one.loop.close()


def test_a_receipt_is_read_back_from_the_store(talk: Any) -> None:
    en = talk()
    said = en.say("Remind me to call my doctor tomorrow at nine in the morning.")
    assert said == (
        "I will remind you: call your doctor, tomorrow, Tuesday, at nine in the morning."
    )
    pt = talk("pt")
    said = pt.say("Me lembra de ligar para a minha mãe amanhã às nove da manhã.")
    assert said == (
        "Vou lembrar você: ligar para a sua mãe, amanhã, terça-feira, às nove da manhã."
    )


def test_what_is_no_business_of_the_reminders(talk: Any) -> None:
    en = talk()
    assert en.reply("What is the capital of France?") is None
    assert en.reply("How long until Christmas?") is None


def test_timers_several_at_once_and_how_long_is_left(talk: Any) -> None:
    en = talk()
    assert en.say("Set a pasta timer for 12 minutes") == (
        "The pasta timer is running: in twelve minutes."
    )
    en.say("Set a tea timer for four minutes")
    en.pass_(60)
    assert en.say("How long is left on the pasta timer?") == "The pasta timer: eleven minutes left."
    assert en.say("how long left?").startswith("The tea timer: three minutes left.")
    en.pass_(181)
    assert en.box.said[-1][1] == "The tea timer is over."


def test_a_question_is_answered_by_the_next_sentence(talk: Any) -> None:
    en = talk()
    assert en.reply("Remind me to call Ana") == Reply("When shall I remind you?", True, ok=False)
    assert en.say("Tomorrow.") == "At what time tomorrow?"
    assert en.open == []
    assert "call Ana, tomorrow, Tuesday, at ten" in en.say("at ten")
    assert en.due(1) == "02 10:00"
    assert en.say("Remind me at noon") == "What shall I remind you of?"
    assert en.say("to eat").startswith("I will remind you")
    assert en.open == ["call Ana", "eat"]


def test_a_question_is_dropped_by_other_words_and_by_time(talk: Any) -> None:
    en = talk()
    en.say("Remind me to call Ana")
    assert en.say("never mind") == "All right, I left it."
    assert en.reply("tomorrow at ten") is None
    en.say("Remind me to call Ana")
    assert en.say("Set a timer for five minutes").startswith("The timer is running")
    en.say("Remind me to call Ana")
    en.pass_(61)
    assert en.reply("tomorrow at ten") is None


def test_change_keeps_the_day_when_only_a_time_is_said(talk: Any) -> None:
    en = talk()
    en.say("Remind me to call the doctor tomorrow at nine in the morning")
    assert en.say("move it to ten") == (
        "Changed: call the doctor, tomorrow, Tuesday, at ten in the morning."
    )
    en.say("move the doctor one to Friday at eight in the morning")
    assert en.due(1) == "05 08:00"
    en.say("move it to tomorrow")
    assert en.due(1) == "02 08:00"
    en.say("wake me at seven every weekday")
    assert "every day from Monday to Friday at eight" in en.say("change the alarm to 8 am")


def test_cancel_by_a_few_words_and_ask_between_two(talk: Any) -> None:
    en = talk()
    en.say("Remind me to call the doctor tomorrow at nine in the morning")
    en.say("Remind me to feed the cat tomorrow at ten in the morning")
    en.say("Remind me to call the dentist tomorrow at eleven in the morning")
    assert en.say("cancel the docter one") == "Cancelled: call the doctor."
    en.say("Remind me to call the bank tomorrow at noon")
    reply = en.reply("cancel the call one")
    assert reply.expects_answer
    assert "dentist" in reply.text
    assert "bank" in reply.text
    assert "cat" not in reply.text
    assert en.say("the second one") == "Cancelled: call the bank."
    assert en.say("cancel the elephant one") == "I found nothing like elephant."
    assert en.open == ["feed the cat", "call the dentist"]


def test_cancel_all_needs_a_yes(talk: Any) -> None:
    en = talk()
    for name in ("eggs", "tea"):
        en.say(f"set a {name} timer for ten minutes")
    en.say("remind me to sleep at ten pm")
    reply = en.reply("cancel all timers")
    assert reply.expects_answer
    assert len(en.open) == 3
    assert en.say("no") == "All right, nothing was cancelled."
    en.say("cancel all timers")
    assert en.say("yes") == "All two are cancelled."
    assert en.open == ["sleep"]


def test_done_and_snooze_are_for_what_rings(talk: Any) -> None:
    pt = talk("pt")
    pt.say("me lembra de tomar o remédio às 9h30")
    pt.say("me lembra de dormir às 22h")
    pt.pass_(31 * 60)
    assert pt.box.said[-1][1] == "Lembrete: tomar o remédio."
    assert "dez minutos" in pt.say("depois")
    pt.pass_(601)
    assert len(pt.box.said) == 2
    pt.pass_(5)
    assert pt.say("já tomei") == "Feito: tomar o remédio."
    assert pt.open == ["dormir"]


def test_list(talk: Any) -> None:
    en = talk()
    assert en.say("what reminders do I have?") == "You have no reminders."
    en.say("Remind me to call Ana tomorrow at noon")
    en.say("Remind me to eat at one pm")
    assert en.say("list my reminders") == (
        "You have two: eat, today at one in the afternoon; call Ana, tomorrow, Tuesday, at noon."
    )
    assert en.say("what reminders do I have tomorrow?").startswith("Call Ana")
    assert en.say("what reminders do I have on Sunday?").startswith("There is nothing on Sunday")


def test_without_a_clock_only_timers_are_taken(talk: Any) -> None:
    en = talk()
    en.box.clock.set(datetime(1970, 1, 1, tzinfo=UTC))
    en.pass_(1)
    assert "do not know what time it is" in en.say("remind me to eat at noon")
    assert en.open == []
    assert en.say("set a timer for one minute").startswith("The timer is running")
    en.pass_(61)
    assert en.box.said[-1][1] == "The timer is over."


STEPS = {
    "added": "remind me to call Bob at noon",
    "changed": "move it to eleven",
    "cancelled": "cancel the Ana one",
    "done": "mark the Ana one as done",
    "snoozed": "snooze the Ana one for ten minutes",
}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("step", STEPS)
def test_what_is_not_stored_is_said_to_be_not_stored(talk: Any, step: str, number: int) -> None:
    en = talk()
    en.say("Remind me to call Ana at ten")
    before = dict(en.box.keeper.records)

    def broken(*_: Any) -> None:
        raise StorageError("reminders: nothing was stored") from OSError(number, "")

    en.box.disk.before = broken
    reply = en.reply(STEPS[step])
    assert reply == Reply(text(f"reminder.failed.{step}", "en"), ok=False, failed=True)
    assert "not" in reply.text or "Nothing" in reply.text
    assert dict(en.box.keeper.records) == before
    en.box.disk.before = None
    assert en.reply(STEPS[step]).ok


def test_cancel_all_on_a_broken_disk(talk: Any) -> None:
    pt = talk("pt")
    pt.say("timer de dez minutos")
    pt.say("timer de cinco minutos")
    pt.say("cancela todos os timers")
    pt.box.disk.before = full
    assert pt.say("sim") == "Nada foi cancelado: não consigo gravar no disco."
    assert len(pt.open) == 2


def test_quiet_hours_are_said(talk: Any) -> None:
    from datetime import time

    from appliance.reminders.schedule import Policy

    en = talk()
    en.box.keeper.policy = Policy(quiet=(time(22), time(7)))
    said = en.say("remind me to call Ana at eleven pm")
    assert said.endswith("I will say it tomorrow, Tuesday, at seven in the morning.")
    assert en.box.clock.wall - datetime(2026, 6, 1, 12, tzinfo=UTC) < timedelta(seconds=1)
