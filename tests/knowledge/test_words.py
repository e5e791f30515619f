"""Words: accents, case and endings do not matter, in either language."""

from __future__ import annotations

import pytest

from appliance.knowledge.words import language_of, query_stems, stem, words


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("en", "clean", "cleaning"), ("en", "battery", "batteries"), ("en", "Reset", "resets"),
        ("pt", "tomate", "tomates"), ("pt", "instalação", "instalacao"),
        ("pt", "instalações", "instalacoes"), ("pt", "instalação", "instalações"),
        ("pt", "garantia", "garantias"), ("pt", "frequência", "frequencia"),
        ("pt", "lavável", "lavavel"), ("pt", "avó", "avo"), ("pt", "pão", "pao"), ("pt", "erro", "erros"), ("pt", "rede", "redes"), ("pt", "pães", "paes"), ("pt", "LAVAR", "lavando"),
    ],
)  # fmt: skip
def test_forms_of_one_word(language: str, one: str, other: str) -> None:
    assert stem(words(one)[0], language) == stem(words(other)[0], language)


def test_stop_words_are_no_query() -> None:
    assert query_stems("How do I reset the router?") == query_stems("reset router")
    assert query_stems("Como eu faço para limpar o filtro?") == query_stems("limpar filtro")
    assert query_stems("What is it?") == []
    assert query_stems("?!") == []


def test_a_word_counts_once() -> None:
    assert len(query_stems("filter filters Filter")) == 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The tank is in the kitchen, next to the door.", "en"),
        ("O tanque fica na cozinha, ao lado da porta.", "pt"),
        ("4711", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_document(text: str, language: str) -> None:
    assert language_of(text) == language


def test_strange_input() -> None:
    assert words("") == []
    assert words("_x_ \0 'a'") == ["x", "a"]
    assert len(words("x" * 1000)[0]) == 40
