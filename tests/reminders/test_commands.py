"""Commands about reminders: labelled sentences, and what is none."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.reminders.commands import (
    AddReminder,
    CancelReminder,
    ChangeReminder,
    ExtendReminder,
    ListReminders,
    ReminderCommand,
    SnoozeReminder,
    TimeLeft,
    Which,
    recognise,
)
from appliance.reminders.spoken_time import Duration, Moment, Question

ZONE = ZoneInfo("America/Sao_Paulo")
NOW = datetime(2026, 3, 10, 10, tzinfo=ZONE)
DATA = Path(__file__).parents[1] / "data" / "reminder_commands.jsonl"
ROWS = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]


def understood(text: str, language: str = "en", **more: bool) -> ReminderCommand | None:
    return recognise(text, NOW, ZONE, language, **more)


def label(command: ReminderCommand | None) -> dict[str, Any]:
    if command is None:
        return {"command": None}
    which = getattr(command, "which", Which())
    kind = getattr(command, "kind", "") or which.kind
    named = {"command": type(command).__name__, "kind": kind, "which": which.text}
    return {key: value for key, value in named.items() if value}


def test_labelled_sentences() -> None:
    assert len(ROWS) >= 100
    wrong = []
    for row in ROWS:
        expected = {key: row[key] for key in row.keys() & {"command", "kind", "which"}}
        got = label(understood(row["phrase"], row["language"], ringing=row.get("ringing", False)))
        if row.get("set") == "blind":  # labelled before it was tried, with the command alone
            got = {"command": got["command"]}
        if got != expected:
            wrong.append(f"{row['phrase']!r}: {got} instead of {expected}")
    assert len(wrong) <= 0.02 * len(ROWS), "\n".join(wrong)


def test_what_is_added() -> None:
    assert understood("Set a pasta timer for 12 minutes") == AddReminder(
        "timer", Duration("pasta", 720)
    )
    assert understood("me acorda às sete", "pt") == AddReminder(
        "alarm", Moment("", datetime(2026, 3, 10, 19), ZONE.key)
    )
    assert understood("remind me at nine") == AddReminder("reminder", Question("about_what"))


def test_where_it_is_moved() -> None:
    command = understood("move it to ten")
    assert isinstance(command, ChangeReminder)
    assert isinstance(command.when, Moment)
    assert command.when.due == datetime(2026, 3, 10, 22)
    command = understood("muda para as dez e meia da manhã", "pt")
    assert isinstance(command, ChangeReminder)
    assert isinstance(command.when, Moment)
    assert command.when.due == datetime(2026, 3, 10, 10, 30)
    command = understood("move the dentist reminder to Friday")
    assert isinstance(command, ChangeReminder)
    assert isinstance(command.when, Question)
    assert command.when.values["day"] == date(2026, 3, 13)


def test_how_much_longer() -> None:
    assert understood("add five minutes to the pasta timer") == ExtendReminder(
        Which("pasta", "timer"), 300
    )
    assert understood("postpone it by two days") == ExtendReminder(
        Which(), round(timedelta(days=2).total_seconds())
    )
    assert understood("snooze for ten minutes") == SnoozeReminder(Which(), Duration("", 600))
    assert understood("mais dez minutos", "pt", ringing=True) == SnoozeReminder(
        Which(), Duration("", 600)
    )
    assert understood("snooze") == SnoozeReminder(Which(), None)
    snooze = understood("snooze it until nine")
    assert isinstance(snooze, SnoozeReminder)
    assert isinstance(snooze.when, Moment)
    assert snooze.when.due == datetime(2026, 3, 10, 21)


def test_which_one() -> None:
    assert understood("cancel the doctor one") == CancelReminder(Which("doctor"))
    assert understood("apaga o último lembrete", "pt") == CancelReminder(
        Which("", "reminder", last=True)
    )
    assert understood("quanto falta para o macarrão?", "pt") == TimeLeft(Which("macarrão"))
    assert understood("what reminders do I have tomorrow?") == ListReminders(
        "reminder", date(2026, 3, 11)
    )


@pytest.mark.parametrize("ringing", [False, True])
def test_too_long_is_none(ringing: bool) -> None:
    assert understood("remind me " * 100, ringing=ringing) is None


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(["en", "pt"]), st.booleans())
def test_no_sentence_breaks_it(data: st.DataObject, language: str, ringing: bool) -> None:
    words = sorted({word for row in ROWS for word in row["phrase"].split()})
    drawn = data.draw(st.lists(st.sampled_from(words), max_size=12))
    understood(" ".join(drawn), language, ringing=ringing)
