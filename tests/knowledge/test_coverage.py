"""Does Luna know when her documents have the answer, and does she say where it stands?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.errors import ModelError
from appliance.knowledge.coverage import (
    COVERED,
    PASSAGE_CHARACTERS,
    QUOTE_CHARACTERS,
    KnowledgeBase,
    place_in_words,
)
from appliance.knowledge.search import Search, embed_missing
from appliance.knowledge.store import KnowledgeStore, Vectors
from appliance.knowledge.text import Place
from appliance.settings import KnowledgeSettings
from tests.knowledge.conftest import DATA


def questions(name: str, held_out: bool | None = None) -> list[dict[str, Any]]:
    lines = (DATA / f"knowledge_{name}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if held_out in (None, row.get("held_out", False))]


def found(base: KnowledgeBase, rows: Sequence[dict[str, Any]]) -> int:
    return sum(base.grounding(row["question"], row["language"]) is not None for row in rows)


@pytest.fixture(scope="session")
def base(house: KnowledgeStore) -> KnowledgeBase:
    return KnowledgeBase(house)


def test_the_set_is_large_enough_in_both_languages() -> None:
    for name in ("covered", "uncovered"):
        rows = questions(name)
        assert len(rows) >= 80
        assert len({row["question"] for row in rows}) == len(rows)
        assert sum(row["language"] == "pt" for row in rows) == len(rows) // 2


@pytest.mark.parametrize("held_out", [False, True])
def test_precision_and_recall(base: KnowledgeBase, held_out: bool) -> None:
    covered, uncovered = questions("covered", held_out), questions("uncovered", held_out)
    right, wrong = found(base, covered), found(base, uncovered)
    precision, recall = right / (right + wrong), right / len(covered)
    print(f"held out {held_out}: precision {precision:.3f}, recall {recall:.3f}")
    assert precision >= 0.92
    assert recall >= 0.87


def test_the_answer_comes_from_the_right_document(base: KnowledgeBase) -> None:
    rows = questions("covered")
    answers = [(row, base.grounding(row["question"], row["language"])) for row in rows]
    wrong = [
        row["question"]
        for row, answer in answers
        if answer and answer.passages[0].document != row["document"]
    ]
    assert len(wrong) <= 0.03 * len(rows), wrong


def test_the_default_threshold_is_the_measured_one() -> None:
    assert KnowledgeSettings().threshold == COVERED


@pytest.mark.parametrize(
    ("question", "language", "quote"),
    [
        (
            "How often should I oil the chain?",
            "en",
            "From your bicycle.pdf, page 2: Oil the chain every 300 kilometres",
        ),
        (
            "Que horas abre a piscina?",
            "pt",
            "Do seu documento condominio.html, em “Piscina”: A piscina funciona das 8 às 20",
        ),
        (
            "Quantos litros tem a cisterna?",
            "pt",
            "Do seu documento horta.txt, linha 15: ",
        ),
    ],
)
def test_a_quote_names_document_and_place(
    base: KnowledgeBase, question: str, language: str, quote: str
) -> None:
    answer = base.grounding(question, language)
    assert answer is not None
    assert answer.quote.startswith(quote)
    assert answer.passages[0].place in answer.citation
    assert len(answer.quote) < QUOTE_CHARACTERS + 100


def test_a_model_gets_the_passages_and_the_question(base: KnowledgeBase) -> None:
    answer = base.grounding("How do I reset the router?", "en")
    assert answer is not None
    assert "[router.html, under “Reset”]" in answer.user_message
    assert "ten seconds" in answer.user_message
    assert answer.user_message.endswith("Question: How do I reset the router?")
    assert sum(len(p.text) for p in answer.passages) <= PASSAGE_CHARACTERS
    assert answer.citation == "Source: router.html, under “Reset”."


def test_accents_do_not_matter(base: KnowledgeBase) -> None:
    with_accents = base.grounding("Como se faz pão de queijo?", "pt")
    without = base.grounding("como se faz pao de queijo", "pt")
    assert with_accents is not None
    assert without is not None
    assert with_accents.passages == without.passages


@pytest.mark.parametrize("question", ["", "?", "the of and", "\0", "x" * 100_000, '" OR *'])
def test_strange_questions_are_not_covered(base: KnowledgeBase, question: str) -> None:
    assert base.grounding(question, "en") is None


def test_no_documents(tmp_path: Path) -> None:
    assert KnowledgeBase(KnowledgeStore(tmp_path)).grounding("How do I reset it?", "en") is None


def test_places_in_words() -> None:
    assert place_in_words(Place(page=3, heading="H", line=4), "pt") == "página 3"
    assert place_in_words(Place(line=4), "en") == "line 4"
    assert place_in_words(Place(), "en") == ""


class Letters:
    """Embeds a text by its letters: near what is spelled alike."""

    name = "letters"

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = [[text.count(letter) + 0.01 for letter in "abcdefghijklmnop"] for text in texts]
        matrix = np.array(rows, np.float32)
        return np.asarray(matrix / np.linalg.norm(matrix, axis=1, keepdims=True))


class Broken(Letters):
    def embed(self, texts: Sequence[str]) -> Vectors:
        raise ModelError("gone")


@pytest.fixture
def own(tmp_path: Path, documents: list[Any]) -> KnowledgeStore:
    store = KnowledgeStore(tmp_path)
    for document in documents:
        store.add(document)
    return store


def test_meaning_finds_what_words_do_not(own: KnowledgeStore) -> None:
    text = own.chunks([1])[0].text
    typed = "".join(sorted(letter for letter in text if letter.islower()))  # no word at all
    assert Search(own).find(typed) == []
    assert Search(own, Letters()).find(typed) == [], "nothing is embedded yet"
    assert embed_missing(own, Letters()) == own.size()
    assert embed_missing(own, Letters()) == 0
    assert Search(own, Letters()).find(typed)[0].chunk.id == 1


def test_a_chunk_that_both_rankings_name_comes_first(own: KnowledgeStore) -> None:
    embed_missing(own, Letters())
    question = "Oil the chain every 300 kilometres and wipe off what drips"
    hits = Search(own, Letters()).find(question, 40)
    assert hits == sorted(hits, key=lambda hit: -hit.score)
    chain = next(hit for hit in hits if "Oil the chain" in hit.chunk.text)
    assert 1 / 61 < chain.score <= 2 / 61, "the first by words, and further on by letters"
    assert hits[-1].score < 1 / 61


def test_without_its_model_words_must_do(own: KnowledgeStore) -> None:
    embed_missing(own, Letters())
    answer = KnowledgeBase(own, Broken()).grounding("How do I reset the router?", "en")
    assert answer is not None
