"""The real llama.cpp as embedder, in its own process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance import paths
from appliance.errors import ModelError
from appliance.knowledge.documents import read
from appliance.knowledge.embeddings import LlamaEmbedder
from appliance.knowledge.search import Search, embed_missing
from appliance.knowledge.store import KnowledgeStore
from appliance.models.catalogue import load_catalogue, verify
from tests.knowledge.conftest import DATA

SMALL = "smollm2-135m-instruct-q4_1"


@pytest.fixture
def embedder() -> Iterator[LlamaEmbedder]:
    (path,) = verify(load_catalogue().get(SMALL), paths.models_dir()).values()
    made = LlamaEmbedder(path, SMALL)
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
    embedder = LlamaEmbedder(tmp_path / "no.gguf", "none")
    with pytest.raises(ModelError, match="cannot be used"):
        embedder.embed(["text"])
