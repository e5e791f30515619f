"""The store of documents: adding, replacing, removing without a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from appliance.errors import StorageError, UsageError
from appliance.knowledge import store as module
from appliance.knowledge.documents import Document
from appliance.knowledge.store import FILE, KnowledgeStore
from appliance.knowledge.text import Block, Place


def document(name: str, *texts: str, title: str = "") -> Document:
    blocks = tuple(Block(text, Place(page=n)) for n, text in enumerate(texts, 1))
    return Document(name, "pdf", f"{hash(texts):x}", 10, title, blocks)


@pytest.fixture
def store(tmp_path: Path) -> KnowledgeStore:
    return KnowledgeStore(tmp_path)


def test_documents_are_listed_and_survive_a_restart(store: KnowledgeStore, tmp_path: Path) -> None:
    assert store.add(document("b.pdf", "O tanque fica na cozinha.")) == 1
    assert store.add(document("a.pdf", "The tank is here.", "The lid is there.")) == 2
    store.close()
    listed = KnowledgeStore(tmp_path).documents()
    assert [(d.name, d.language, d.chunks) for d in listed] == [
        ("a.pdf", "en", 2),
        ("b.pdf", "pt", 1),
    ]


def test_the_same_document_is_not_added_twice_and_a_changed_one_replaces_it(
    store: KnowledgeStore,
) -> None:
    store.add(document("a.pdf", "old words"))
    version = store.version()
    assert store.add(document("a.pdf", "old words")) == 0
    assert store.version() == version
    assert store.add(document("a.pdf", "new words")) == 1
    assert store.version() > version
    assert store.ranked(["old"], 5) == []
    assert len(store.ranked(["new"], 5)) == 1


def test_what_is_removed_leaves_nothing_in_the_file(store: KnowledgeStore, tmp_path: Path) -> None:
    store.add(document("a.pdf", "The secret is xylophone."))
    store.add(document("b.pdf", "Something else."))
    (number, *_) = store.ranked(["xylophon"], 5)
    store.keep_vectors("m", [number], np.ones((1, 4), np.float32))
    assert store.remove("a.pdf")
    assert not store.remove("a.pdf")
    assert store.vectors("m")[0] == []
    assert b"xylophon" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(store.ranked(["someth"], 5)) == 1


def test_ranking_by_bm25(store: KnowledgeStore) -> None:
    texts = ("filter filter filter pump", "pump " + "besides " * 80, "lid " * 80)
    store.add(document("a.pdf", *texts, title="Manual"))
    best = store.chunks(store.ranked(["filter", "pump"], 5))
    assert [chunk.place.page for chunk in best] == [1, 2]
    assert store.frequencies(["pump", "lid", "none"]) == {"pump": 2, "lid": 1}
    assert store.ranked(['"; DROP', "a OR b", ""], 5) == []


def test_vectors_come_back_in_half_precision(store: KnowledgeStore) -> None:
    store.add(document("a.pdf", "one", "two"))
    (first, _), (second, _) = store.without_vector("m", 10)
    vectors = np.array([[0.6, 0.8], [1.0, 0.0]], np.float32)
    store.keep_vectors("m", [second, first, 999], np.vstack([vectors, vectors[:1]]))
    assert store.without_vector("m", 10) == []
    ids, matrix = store.vectors("m")
    assert ids == [first, second], "a chunk that is gone gets none"
    assert matrix == pytest.approx(vectors[::-1], abs=1e-3)


def test_it_is_bounded(store: KnowledgeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CHUNKS", 2)
    store.add(document("a.pdf", "one", "two"))
    with pytest.raises(UsageError, match="is full"):
        store.add(document("b.pdf", "three"))
    assert store.add(document("a.pdf", "three", "four")) == 2, "replacing needs no more room"


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"broken" * 2000)
    store = KnowledgeStore(tmp_path)
    with pytest.raises(StorageError, match="set aside"):
        store.documents()
    assert store.add(document("a.pdf", "words")) == 1
