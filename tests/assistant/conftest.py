"""The default chat model, loaded once for all tests here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from appliance import paths

if TYPE_CHECKING:
    from appliance.llm.llama import LlamaEngine


@pytest.fixture(scope="session")
def chat_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    """The default model with a small context."""
    from appliance.llm.llama import LlamaEngine
    from appliance.llm.weights import Weights
    from appliance.models.catalogue import load_catalogue, verify

    catalogue = load_catalogue()
    chosen = catalogue.get(catalogue.default("chat"))
    (file,) = verify(chosen, paths.models_dir()).values()
    weights = Weights(file)
    engine = LlamaEngine(
        weights,
        name=chosen.name,
        sha256="0" * 64,
        state_dir=tmp_path_factory.mktemp("state"),
        context_tokens=1024,
        threads=min(os.cpu_count() or 1, 4),
    )
    yield engine
    engine.close()
    weights.close()
