"""The built-in commands answer in both languages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from appliance.assistant.intent import Intent
from appliance.assistant.spoken_text import for_the_ear
from appliance.assistant.tools import (
    Facts,
    ToolAnswer,
    run,
    tell_date,
    tell_duration,
    tell_status,
    tell_time,
)

FACTS = Facts(now=datetime(2024, 3, 1, 19, 30), volume=80, languages=("en", "pt"))


@pytest.mark.parametrize(
    ("hour", "minute", "english", "portuguese"),
    [
        (0, 0, "It is twelve AM.", "É meia-noite."),
        (1, 15, "It is one fifteen AM.", "É uma e quinze."),
        (7, 5, "It is seven oh five AM.", "São sete e cinco."),
        (12, 0, "It is twelve PM.", "É meio-dia."),
        (12, 40, "It is twelve forty PM.", "É meio-dia e quarenta."),
        (21, 0, "It is nine PM.", "São vinte e uma horas."),
        (19, 30, "It is seven thirty PM.", "São dezenove e trinta."),
    ],
)
def test_the_time_is_told(hour: int, minute: int, english: str, portuguese: str) -> None:
    now = datetime(2024, 3, 1, hour, minute)
    assert for_the_ear(tell_time(now, "en"), "en") == english
    assert for_the_ear(tell_time(now, "pt"), "pt") == portuguese


def test_every_minute_of_a_day_is_told_without_digits() -> None:
    for minute in range(0, 1440, 7):
        now = datetime(2024, 3, 1, minute // 60, minute % 60)
        for language in ("en", "pt"):
            said = for_the_ear(tell_time(now, language), language)
            assert not any(char.isdigit() for char in said), said


def test_the_date_is_told() -> None:
    day = date(2024, 3, 1)
    assert tell_date(day, "en") == "Today is Friday, March 1, 2024."
    assert tell_date(day, "pt") == "Hoje é sexta-feira, 1º de março de 2024."
    assert tell_date(date(2024, 3, 2), "pt").endswith("sábado, 2 de março de 2024.")
    said = for_the_ear(tell_date(day, "pt"), "pt")
    assert said == "Hoje é sexta-feira, primeiro de março de dois mil e vinte e quatro."


@pytest.mark.parametrize(
    ("command", "value", "before", "after"),
    [
        ("volume_up", None, 80, 90),
        ("volume_up", None, 95, 100),
        ("volume_up", None, 100, 100),
        ("volume_down", None, 80, 70),
        ("volume_down", None, 15, 10),
        ("volume_down", None, 5, 5),
        ("volume_set", 30, 80, 30),
        ("volume_set", 0, 80, 0),
    ],
)
def test_the_volume_changes(command: str, value: int | None, before: int, after: int) -> None:
    intent = Intent("system", command=command, value=value)
    answer = run(intent, replace(FACTS, volume=before), "en")
    assert answer.volume == after
    assert str(after) in answer.text or after in (0, 100)


def test_the_status_names_what_is_not_ready() -> None:
    facts = replace(FACTS, workers={"stt": "ready", "tts": "starting"}, awake_s=90_000)
    assert tell_status(facts, "en") == "Not ready: Voice. I have been awake for 1 day and 1 hour."
    facts = replace(FACTS, workers={"stt": "ready"}, free_memory_percent=41)
    assert tell_status(facts, "pt").startswith("Está tudo funcionando. 41 por cento")


def test_durations() -> None:
    assert tell_duration(0, "en") == "0 minutes"
    assert tell_duration(3 * 3600 + 60, "pt") == "3 horas e 1 minuto"


def test_the_other_commands() -> None:
    def told(command: str, value: str | None = None, facts: Facts = FACTS) -> ToolAnswer:
        return run(Intent("system", command=command, value=value), facts, "en")

    assert told("language", "pt").language == "pt"
    assert "português" in told("language", "pt").text
    assert told("language", "pt", replace(FACTS, languages=("en",))).language == "en"
    assert told("repeat").text == "I have not said anything yet."
    assert told("repeat", facts=replace(FACTS, last_answer="Paris.")).text == "Paris."
    assert told("stop").text == ""
    for command in ("mute", "unmute", "new_conversation", "time", "date", "status"):
        assert told(command).text
        assert told(command).volume is None
    with pytest.raises(ValueError, match="dance"):
        told("dance")
