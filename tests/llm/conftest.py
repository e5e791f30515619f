"""The real small model, loaded once, and prompts for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import paths
from appliance.llm.llama import LlamaEngine
from appliance.llm.weights import Weights
from appliance.models.catalogue import load_catalogue, verify

SMALL = "smollm2-135m-instruct-q4_1"


@pytest.fixture(scope="session")
def small_model() -> Path:
    (path,) = verify(load_catalogue().get(SMALL), paths.models_dir()).values()
    return path


@pytest.fixture
def load_small(small_model: Path, tmp_path: Path) -> Iterator[Callable[..., LlamaEngine]]:
    """Return a function that loads the small model; all of them share one state folder."""
    engines: list[LlamaEngine] = []
    weights: list[Weights] = []

    def load(context_tokens: int = 1024) -> LlamaEngine:
        weights.append(Weights(small_model))
        engine = LlamaEngine(
            weights[-1],
            name=SMALL,
            sha256="0" * 64,
            state_dir=tmp_path / "state",
            context_tokens=context_tokens,
            threads=min(os.cpu_count() or 1, 4),
        )
        engines.append(engine)
        return engine

    yield load
    for engine in engines:
        engine.close()
    for loaded in weights:
        loaded.close()
