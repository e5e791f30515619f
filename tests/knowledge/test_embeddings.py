"""The real llama.cpp as embedder, in its own process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance import engines
from appliance.errors import ModelError
from appliance.knowledge.coverage import REST_S, KnowledgeBase
from appliance.knowledge.documents import read
from appliance.knowledge.embeddings import LlamaEmbedder
from appliance.knowledge.search import Search, embed_missing
from appliance.knowledge.store import KnowledgeStore
from appliance.settings import GeneralSettings, KnowledgeSettings, Settings
from tests.knowledge.conftest import DATA

SMALL = "smollm2-135m-instruct-q4_1"


@pytest.fixture
def embedder() -> Iterator[LlamaEmbedder]:
    settings = Settings(knowledge=KnowledgeSettings(embedding_model=SMALL))
    made = engines.embedder(settings)
    assert made is not None
    yield made
    made.close()


@pytest.mark.models
def test_likeness_and_a_crash(embedder: LlamaEmbedder) -> None:
    texts = ["The cat sleeps on the sofa.", "A cat is sleeping on a couch.", "x = [1, 2, 3]"]
    vectors = embedder.embed([*texts, "", "long " * 5000])
    assert vectors.shape == (5, vectors.shape[1])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-3)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert embedder._pool is not None
    (pid,) = embedder._pool._processes
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ModelError, match="cannot be used for embeddings"):
        embedder.embed(texts[:1])
    again = embedder.embed(texts[:1])
    assert again[0] @ vectors[0] == pytest.approx(1.0, abs=1e-2)


@pytest.mark.models
def test_search_with_real_vectors(embedder: LlamaEmbedder, tmp_path: Path) -> None:
    store = KnowledgeStore(tmp_path)
    store.add(read(DATA / "knowledge" / "router.html"))
    assert embed_missing(store, embedder) == store.size()
    hits = Search(store, embedder).find("How do I reset the router?")
    assert hits[0].chunk.place.heading == "Reset"
    assert len(hits) == 5


def test_a_missing_model(tmp_path: Path) -> None:
    embedder = LlamaEmbedder(lambda: tmp_path / "no.gguf", "none")
    with pytest.raises(ModelError, match="cannot be used"):
        embedder.embed(["text"])


def test_where_the_model_fails_words_must_do_and_the_owner_is_told(tmp_path: Path) -> None:
    now, errors = [0.0], []
    store = KnowledgeStore(tmp_path / "data")
    store.add(read(DATA / "knowledge" / "router.html"))
    numbers = [number for number, _ in store.without_vector(SMALL, 100)]
    store.keep_vectors(SMALL, numbers, np.ones((len(numbers), 1), np.float32))
    settings = Settings(
        general=GeneralSettings(models_dir=str(tmp_path)),
        knowledge=KnowledgeSettings(embedding_model=SMALL),
    )
    base = KnowledgeBase(
        store, engines.embedder(settings), on_error=errors.append, clock=lambda: now[0]
    )
    base.prepare()
    assert base.grounding("How do I reset the router?", "en")
    assert [str(error).startswith(f"model {SMALL} is not installed") for error in errors] == [True]
    now[0] = REST_S
    base.grounding("How do I reset the router?", "en")
    assert len(errors) == 2
