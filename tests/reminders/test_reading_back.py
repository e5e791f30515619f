"""What is read back: natural words, in both languages, for all that can be understood."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.reminders.reading_back import ask, read_back, say_length, say_moment, turned
from appliance.reminders.spoken_time import Moment, Question, parse

ZONE = ZoneInfo("America/Sao_Paulo")
NOW = datetime(2026, 3, 9, 10)
"""A Monday."""
DATA = Path(__file__).parents[1] / "data"


def heard(sentence: str, language: str) -> str:
    said = parse(sentence, NOW.replace(tzinfo=ZONE), ZONE, language)
    if isinstance(said, Question):
        return ask(said, NOW, language)
    return read_back(said, NOW, language)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("remind me to call my mother tomorrow at nine in the morning",
         "call your mother, tomorrow, Tuesday, at nine in the morning"),
        ("remind me at 7:30 to leave", "leave, today at seven thirty in the evening"),
        ("remind me at nine oh five to log in", "log in, today at nine oh five in the evening"),
        ("remind me on Friday at noon to eat", "eat, on Friday, the thirteenth of March, at noon"),
        ("remind me on January 5th at 3 to rest",
         "rest, on Tuesday, the fifth of January 2027, at three in the afternoon"),
        ("remind me at midnight to sleep", "sleep, in the night to Tuesday, at midnight"),
        ("set a pasta timer for 90 minutes", "pasta, in one hour and thirty minutes"),
        ("remind me every Monday and Wednesday at 6 pm to swim",
         "swim, every Monday and Wednesday at six in the evening, for the first time today"),
        ("remind me on the last day of the month at 6 pm to pay",
         "pay, on the last day of every month at six in the evening,"
         " for the first time on Tuesday, the thirty-first of March"),
        ("remind me every 8 hours until Friday to rest",
         "rest, every eight hours, until Friday, the thirteenth of March,"
         " for the first time today at six in the evening"),
        ("remind me every day at 8 and 20:00 to rest",
         "rest, every day at eight in the morning and at eight in the evening,"
         " for the first time today"),
        ("remind me every hour from 9 to 17 to move",
         "move, every day nine times, the first at nine in the morning and the last"
         " at five in the afternoon, for the first time today"),
        ("remind me tomorrow to rest", "At what time tomorrow?"),
    ],
)  # fmt: skip
def test_english(sentence: str, expected: str) -> None:
    assert heard(sentence, "en") == expected


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("me lembra de ligar para minha mãe amanhã às nove da manhã",
         "ligar para sua mãe, amanhã, terça-feira, às nove da manhã"),
        ("me lembra às 19h30 de sair", "sair, hoje às sete e meia da noite"),
        ("me lembra à uma da tarde de sair", "sair, hoje à uma da tarde"),
        ("me lembra ao meio-dia e meia de sair", "sair, hoje ao meio-dia e meia"),
        ("me lembra no sábado às 8 de correr",
         "correr, no sábado, catorze de março, às oito da manhã"),
        ("me lembra no dia 1 de abril às 22h de rir",
         "rir, na quarta-feira, primeiro de abril, às dez da noite"),
        ("me lembra à meia-noite de dormir", "dormir, na noite para terça-feira, à meia-noite"),
        ("timer de duas horas e um minuto", "daqui a duas horas e um minuto"),
        ("me lembra toda segunda e quarta às 18h de nadar",
         "nadar, toda segunda-feira e quarta-feira às seis da tarde, pela primeira vez hoje"),
        ("me lembra no último dia do mês às 18h de pagar",
         "pagar, no último dia de cada mês às seis da tarde,"
         " pela primeira vez na terça-feira, trinta e um de março"),
        ("me lembra a cada duas semanas na terça às 8 de pagar",
         "pagar, a cada duas semanas, na terça-feira às oito da manhã,"
         " pela primeira vez amanhã"),
        ("me lembra na quinta de pagar", "A que horas na quinta-feira, doze de março?"),
    ],
)  # fmt: skip
def test_portuguese(sentence: str, expected: str) -> None:
    assert heard(sentence, "pt") == expected


@pytest.mark.parametrize("language", ["en", "pt"])
def test_every_labelled_phrase_can_be_read_back_or_asked(language: str) -> None:
    lines = (DATA / f"spoken_time_{language}.jsonl").read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, lines):
        zone = ZoneInfo(row["zone"])
        now = datetime.fromisoformat(row["now"])
        said = parse(row["phrase"], now, zone, language)
        local = now.astimezone(zone)
        words = ask(said, local, language) if isinstance(said, Question) else (
            read_back(said, local, language)
        )  # fmt: skip
        assert words
        assert "{" not in words
        assert "|" not in words


@pytest.mark.parametrize("key", ["about_what", "too_long", "too_far", "ends_before"])
def test_questions_of_both_languages(key: str) -> None:
    assert ask(Question(key), NOW, "en").endswith("?")
    assert ask(Question(key), NOW, "pt").endswith("?")


@settings(max_examples=200, deadline=None)
@given(
    st.datetimes(datetime(2026, 3, 10), datetime(2036, 1, 1)).map(lambda at: at.replace(second=0)),
    st.sampled_from(["en", "pt"]),
)
def test_what_is_read_back_is_understood_the_same(due: datetime, language: str) -> None:
    """The words that Luna says, said to Luna, mean the same moment."""
    due = due.replace(microsecond=0)
    if due.hour == 0 or due.year != NOW.year:
        return
    words = say_moment(due, NOW, language)
    said = parse(words, NOW.replace(tzinfo=ZONE), ZONE, language)
    assert isinstance(said, Moment), words
    assert said.due == due, words


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("day", [10, 11])
def test_a_near_day_that_is_read_back_is_understood(day: int, language: str) -> None:
    due = datetime(2026, 3, day, 9)
    words = say_moment(due, NOW, language)
    said = parse(words, NOW.replace(tzinfo=ZONE), ZONE, language)
    assert isinstance(said, Moment), words
    assert said.due == due, words


def test_lengths() -> None:
    assert say_length(3661, "en") == "one hour, one minute and one second"
    assert say_length(7200 * 12, "pt") == "vinte e quatro horas"
    assert say_length(90 * 3600, "en") == "90 hours"
    assert say_length(0, "pt") == "zero segundos"


def test_whose_mother_it_is() -> None:
    assert turned("call my mother and tell her I'm late", "en") == (
        "call your mother and tell her you're late"
    )
    assert turned("My mother's birthday", "en") == "Your mother's birthday"
    assert turned("buscar meu filho e minha filha", "pt") == "buscar seu filho e sua filha"
    assert turned("Tenho dentista", "pt") == "Você tem dentista"
