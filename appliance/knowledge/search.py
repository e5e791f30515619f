"""Finds the chunks that speak of a question: by words (bm25), and by meaning where a model helps.

The two rankings are joined by reciprocal rank fusion (Cormack, Clarke and Büttcher, "Reciprocal
rank fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from appliance.knowledge.embeddings import Embedder
from appliance.knowledge.store import Chunk, KnowledgeStore, Vectors
from appliance.knowledge.words import query_stems

MAX_QUESTION = 1_000
"""Characters of a question that count."""
CANDIDATES = 40
"""Chunks that each ranking hands in."""
FUSION_K = 60
"""The constant of the paper above: how little the first ranks stand out."""
MAX_TERMS = 8
"""Words of a question that are looked up in the index: the rarest ones."""
COMMON = 0.2
"""A word in more than this part of all chunks is not looked up if a rarer one is there: reading
its long list costs time and its weight is small."""
LEAST_CHUNKS = 1_000
"""A few documents say little about how rare a word is: with so many chunks as the least, one
threshold suits forty chunks and ten thousand."""


@dataclass(frozen=True)
class Hit:
    """A chunk that was found."""

    chunk: Chunk
    score: float
    """By which hits are ordered; means nothing beyond that."""
    overlap: float
    """How much of the question stands in the chunk, 0 to 1 (see :class:`Terms`)."""
    matched: int
    """How many of the question's words do."""


@dataclass(frozen=True)
class Terms:
    """The telling words of a question, each with its weight.

    The weight is bm25's inverse document frequency, ``ln(1 + (N - n + 0.5) / (n + 0.5))``, with
    an N of at least ``LEAST_CHUNKS``. The
    overlap of a question with a chunk is the weight of its words that stand there divided by the
    weight of all its words: words that no document knows count fully against it.
    """

    groups: tuple[frozenset[str], ...]
    weights: tuple[float, ...]
    known: tuple[int, ...]
    """In how many chunks each stands."""

    def overlap(self, chunk: Chunk) -> tuple[float, int]:
        """Return the overlap with *chunk*, and how many words of the question it has itself.

        Words of the document's name and title count for each of its chunks.
        """
        total = sum(self.weights)
        inside = [bool(group & chunk.stems) for group in self.groups]
        around = [bool(group & chunk.about) for group in self.groups]
        found = sum(
            weight
            for weight, own, other in zip(self.weights, inside, around, strict=True)
            if own or other
        )
        return (found / total if total else 0.0), sum(inside)


class Search:
    """Searches a store.

    Args:
        store: where the chunks are.
        embedder: gives search by meaning for the chunks it has embedded; None: by words only.
    """

    def __init__(self, store: KnowledgeStore, embedder: Embedder | None = None) -> None:
        self._store = store
        self._embedder = embedder
        self._vectors: tuple[int, list[int], Vectors] | None = None

    def find(self, question: str, limit: int = 5) -> list[Hit]:
        """Return the best chunks, best first.

        Raises:
            StorageError: the store cannot be read.
            ModelError: the embedder failed.
        """
        question = question[:MAX_QUESTION]
        terms = self.terms(question)
        rankings = [self._store.ranked(_looked_up(terms, self._store.size()), CANDIDATES)]
        if self._embedder is not None:
            rankings.append(self._by_meaning(self._embedder, question))
        scores: dict[int, float] = {}
        for ranking in rankings:
            for rank, number in enumerate(ranking, 1):
                scores[number] = scores.get(number, 0.0) + 1 / (FUSION_K + rank)
        best = sorted(scores, key=lambda number: -scores[number])[:CANDIDATES]
        return [
            Hit(chunk, scores[chunk.id], *terms.overlap(chunk))
            for chunk in self._store.chunks(best[:limit])
        ]

    def terms(self, question: str) -> Terms:
        """Return the words of *question* with their weights in this store."""
        groups = query_stems(question)
        size = self._store.size()
        counts = self._store.frequencies(term for group in groups for term in group)
        known = tuple(max(counts.get(term, 0) for term in group) for group in groups)
        size = max(size, LEAST_CHUNKS)
        weights = tuple(math.log(1 + (size - n + 0.5) / (n + 0.5)) for n in known)
        return Terms(tuple(groups), weights, known)

    def _by_meaning(self, embedder: Embedder, question: str) -> list[int]:
        version = self._store.version()
        if self._vectors is None or self._vectors[0] != version:
            self._vectors = (version, *self._store.vectors(embedder.name))
        _, ids, matrix = self._vectors
        if not ids:
            return []
        nearness = matrix @ embedder.embed([question])[0]
        return [ids[index] for index in np.argsort(-nearness)[:CANDIDATES]]


def embed_missing(store: KnowledgeStore, embedder: Embedder, batch: int = 16) -> int:
    """Embed the chunks that *embedder* has not seen yet; return how many that were.

    Raises:
        StorageError: the store cannot be written.
        ModelError: the embedder failed; what was embedded before is kept.
    """
    done = 0
    while missing := store.without_vector(embedder.name, batch):
        vectors = embedder.embed([text for _, text in missing])
        store.keep_vectors(embedder.name, [number for number, _ in missing], vectors)
        done += len(missing)
    return done


def _looked_up(terms: Terms, size: int) -> Sequence[str]:
    """Return the stems to look for: of the rarest words that are known at all."""
    known = sorted((count, index) for index, count in enumerate(terms.known) if count)
    rare = [index for count, index in known if count <= max(COMMON * size, 50)]
    chosen = rare[:MAX_TERMS] or [index for _, index in known[:1]]
    return [term for index in chosen for term in sorted(terms.groups[index])]
