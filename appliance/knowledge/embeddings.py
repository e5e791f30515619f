"""Texts as vectors whose nearness means likeness, from a local GGUF model."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from concurrent.futures import TimeoutError as LateError
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from appliance.errors import ModelError
from appliance.knowledge.store import Vectors

CONTEXT_TOKENS = 512
"""A chunk has about 250."""
LIMIT_S = 120.0
"""For one batch, and for the first one with loading the model."""


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """The model: vectors of different models cannot be compared."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return (len(texts), dimensions) of float32, each row of length 1.

        Raises:
            ModelError: the model is missing or failed.
        """


class LlamaEmbedder:
    """llama.cpp in embedding mode (mean over the tokens), in a process of its own.

    The process starts with the first text and is replaced after a crash, so that a model that
    dies takes nothing with it.

    Args:
        find: returns the GGUF file, verified; called before each start of the process.
        name: the model's name.
        threads: of the computation. One is enough for a question (60 ms with 135M parameters), and
            never waits for another where the chat model has the cores: with two, beside a busy
            core, the same question took over 4 s.
        limit_s: for a batch, once the model is loaded; then the process is ended.
    """

    def __init__(
        self, find: Callable[[], Path], name: str, threads: int = 1, limit_s: float = LIMIT_S
    ) -> None:
        self.name = name
        self._find = find
        self._threads = threads
        self._limit_s = limit_s
        self._pool: ProcessPoolExecutor | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of *texts*.

        Raises:
            ModelError: the file cannot be used, or the process died or took too long.
        """
        limit_s = self._limit_s
        if self._pool is None:
            limit_s = LIMIT_S
            self._pool = ProcessPoolExecutor(
                max_workers=1,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_load,
                initargs=(self._find(), self._threads),
            )
        try:
            return self._pool.submit(_embed, list(texts)).result(limit_s)
        except (BrokenExecutor, LateError, RuntimeError, ValueError) as error:
            self.close()
            raise ModelError(
                f"{self.name} cannot be used for embeddings; check it with `luna models verify`, "
                "or leave knowledge.embedding_model empty"
            ) from error

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            for process in list(getattr(self._pool, "_processes", {}).values()):
                process.terminate()  # it may hang in a batch
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


# --- in the process of its own ---------------------------------------------------------------

_model: list[Any] = []
"""The model of this process; empty in all others."""


def _load(path: Path, threads: int) -> None:
    import llama_cpp

    _model.append(
        llama_cpp.Llama(
            model_path=str(path),
            embedding=True,
            pooling_type=llama_cpp.LLAMA_POOLING_TYPE_MEAN,
            n_ctx=CONTEXT_TOKENS,
            n_batch=CONTEXT_TOKENS,
            n_ubatch=CONTEXT_TOKENS,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )
    )


def _embed(texts: list[str]) -> Vectors:
    vectors = np.array(
        [_model[0].embed(text or " ", truncate=True) for text in texts], dtype=np.float32
    )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
