"""Which questions may be answered from the cache, and when two of them are the same."""

from __future__ import annotations

import pytest

from appliance.assistant.lasting import MAX_WORDS, lasts, normalised

LASTING = """
What is the capital of France?
How many legs does a spider have?
Who wrote Dom Casmurro?
What is the boiling point of water?
Why is the sky blue?
What's 12 times 12?
Explain photosynthesis.
What is the function of the heart?
How far is the moon from the earth?
When did the French revolution begin?
Qual é a capital da França?
Quantas patas tem uma aranha?
Quem escreveu Dom Casmurro?
Qual é o ponto de ebulição da água?
Por que o céu é azul?
Quanto é 12 vezes 12?
Explique a fotossíntese.
O que é uma classe social?
Qual é a distância da Terra à Lua?
Quando começou a Revolução Francesa?
"""
PASSING = """
What time is it?
Who is the president of Brazil?
Will it rain tomorrow?
What day is it today?
What's the weather in London?
What is the latest news?
How old is the current pope?
What is my name?
Who are you?
What did I just say?
And what is its population?
What about that one?
Tell me more.
Repeat that.
Continue.
Turn up the volume.
Set a timer for ten minutes.
Remind me to call Anna.
What is on the camera picture?
Tell me a joke.
Pick a random number.
What does the manual say about descaling?
Que horas são?
Quem é o presidente do Brasil?
Vai chover amanhã?
Que dia é hoje?
Como está o tempo em Lisboa?
Quais são as últimas notícias?
Qual é o meu nome?
Quem é você?
O que eu acabei de dizer?
E a população dela?
E aquela outra?
Me fala mais.
Repete isso.
Continua.
Aumenta o volume.
Me lembra de ligar para a Ana.
Liga a luz da sala.
Me conta uma piada.
Quanto custa o dólar?
O que o manual diz sobre a descalcificação?
"""


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.mark.parametrize("question", lines(LASTING))
def test_the_answer_is_the_same_tomorrow(question: str) -> None:
    assert lasts(question, first_turn=True)
    assert lasts(question.upper(), "code", first_turn=True)


@pytest.mark.parametrize("question", lines(LASTING))
def test_not_in_a_conversation_nor_with_private_notes_nor_with_images(question: str) -> None:
    assert not lasts(question, first_turn=False)
    assert not lasts(question, first_turn=True, private=True)
    assert not lasts(question, "vision", first_turn=True)


@pytest.mark.parametrize("question", [*lines(PASSING), "", "?", "word", "word " * (MAX_WORDS + 1)])
def test_the_answer_depends_on_something(question: str) -> None:
    assert not lasts(question, first_turn=True)


def test_requests_for_code_use_such_words_without_pointing() -> None:
    for question in (
        "Write a Python function to open a file",
        "Escreva uma função que abre um arquivo",
    ):
        assert lasts(question, "code", first_turn=True)
        assert not lasts(question, "chat", first_turn=True)
    assert not lasts("Write it again in Rust", "code", first_turn=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of France?", "  what is the capital\nof france "),
        ("¿Qué es esto?", "qué es esto"),
        ("Well, why not?!", "well why not"),
    ],
)
def test_the_same_question(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("c++", "c"), ("3-2", "32"), ("avó", "avô"), ("1.5 km", "15 km"), ("x²", "x2"), ("-5", "5")],
)
def test_another_question(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)
