"""The documents of ``tests/data/knowledge`` in a knowledge base, read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.knowledge.documents import Document, read
from appliance.knowledge.store import KnowledgeStore

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def documents() -> list[Document]:
    return [read(path) for path in sorted((DATA / "knowledge").iterdir())]


@pytest.fixture(scope="session")
def house(documents: list[Document], tmp_path_factory: pytest.TempPathFactory) -> KnowledgeStore:
    """A store with all documents; not to be changed."""
    store = KnowledgeStore(tmp_path_factory.mktemp("knowledge"))
    for document in documents:
        store.add(document)
    return store
