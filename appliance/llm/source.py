"""The real :class:`~appliance.llm.engine.ModelSource`: models of the catalogue on llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.llm.engine import ChatEngine, LoadStopped, ModelNeed, Proceed
from appliance.llm.llama import LlamaEngine
from appliance.llm.roles import RoleModel, model_for
from appliance.llm.weights import Weights
from appliance.models.catalogue import Model, ModelFile, verify_file


class CatalogueModels:
    """Opens the models of the roles; a file is opened only after its hash matched."""

    def __init__(
        self, roles: dict[str, RoleModel], models_dir: Path, state_dir: Path, threads: int
    ) -> None:
        """*state_dir* takes evaluated prompt prefixes: a cache that may be deleted at any time."""
        self._roles = roles
        self._models_dir = models_dir
        self._state_dir = state_dir
        self._threads = threads

    def need(self, role: str) -> ModelNeed:
        model = model_for(self._roles, role).model
        return ModelNeed(
            name=model.name,
            key=model.weights.sha256,
            file_bytes=model.bytes,
            memory_bytes=model.memory_mb * 1_000_000,
        )

    def open(self, role: str, proceed: Proceed) -> _Model:
        model = model_for(self._roles, role).model
        path = checked(model, model.weights, self._models_dir, proceed)
        return _Model(self, Weights(path, proceed=proceed))

    def engine(self, role: str, weights: Weights, proceed: Proceed) -> ChatEngine:
        """Make the engine of *role* on *weights*, its projector with it where there is one."""
        entry = model_for(self._roles, role)
        model = entry.model
        options: dict[str, Any] = {
            "name": model.name,
            "sha256": model.weights.sha256,
            "state_dir": self._state_dir,
            "context_tokens": entry.context_tokens,
            "threads": self._threads,
            "prompt_format": model.prompt_format,
        }
        if role != "vision" or model.projector is None:
            return LlamaEngine(weights, **options)
        from appliance.llm.projector import Projector  # a library of its own
        from appliance.llm.vision import VisionEngine

        path = checked(model, model.projector, self._models_dir, proceed)
        projector = Projector(path, weights, threads=self._threads, proceed=proceed)
        return VisionEngine(weights, projector, **options)


class _Model:
    """Weights of the catalogue in memory."""

    def __init__(self, source: CatalogueModels, weights: Weights) -> None:
        self._source = source
        self._weights = weights

    def engine(self, role: str, proceed: Proceed) -> ChatEngine:
        return self._source.engine(role, self._weights, proceed)

    def close(self) -> None:
        self._weights.close()


def checked(model: Model, file: ModelFile, models_dir: Path, proceed: Proceed) -> Path:
    """Return the path of *file* once its hash matched.

    Raises:
        ModelError: it is missing, damaged or changed.
        LoadStopped: *proceed* said no.
    """

    def go_on(_done: int) -> None:
        if not proceed():
            raise LoadStopped

    return verify_file(model, file, models_dir, go_on)
