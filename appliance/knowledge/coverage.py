"""Does the knowledge base cover a question, and what of it is the answer made of?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.clock import monotonic
from appliance.errors import ModelError
from appliance.knowledge.embeddings import Embedder
from appliance.knowledge.search import Hit, Search, Terms
from appliance.knowledge.store import KnowledgeStore
from appliance.knowledge.text import Place, sentences
from appliance.knowledge.words import stems
from appliance.texts import text

COVERED = 0.6
"""Overlap from which a question counts as covered: about two of three words that say something
stand in one chunk. Measured on ``tests/data/knowledge_*.jsonl`` by
``tests/knowledge/test_coverage.py``."""
SECOND = 0.8
"""Part of the best overlap that a further passage must have."""
MAX_PASSAGES = 3
PASSAGE_CHARACTERS = 1_500
"""Of all passages together: some 400 tokens, which leaves room in a context of 2,048."""
REST_S = 600.0
"""How long an embedder that failed is left alone."""
QUOTE_CHARACTERS = 320
"""Of an answer that is only quoted: what can be listened to."""


@dataclass(frozen=True)
class Passage:
    """A piece of a document with where it stands, in words."""

    document: str
    place: str
    """Such as ``page 3``; empty where only the document is known."""
    text: str


@dataclass(frozen=True)
class Grounding:
    """What the owner's documents say to a question."""

    passages: tuple[Passage, ...]
    user_message: str
    """The question with the passages: what a model is asked in place of the bare question."""
    citation: str
    """The sentence that names document and place, to stand after the answer."""
    quote: str
    """An answer without any model: the sentences that fit best, with document and place."""
    overlap: float
    """How well the question is covered, from the threshold to 1."""


class KnowledgeBase:
    """Answers from the owner's documents.

    All calls read the disk: some milliseconds, more with an embedder.

    Args:
        store: the documents.
        embedder: finds by meaning as well; where it fails, words must do for a while.
        threshold: overlap from which a question counts as covered.
        on_error: is told when the embedder fails.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        embedder: Embedder | None = None,
        *,
        threshold: float = COVERED,
        on_error: Callable[[ModelError], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._words = Search(store)
        self._embedder = embedder
        self._search = Search(store, embedder) if embedder else self._words
        self._threshold = threshold
        self._on_error = on_error
        self._clock = clock
        self._words_until = clock()

    def prepare(self) -> None:
        """Load the model for embeddings, if there is something to find with it.

        Raises:
            StorageError: the knowledge base cannot be read.
        """
        if self._embedder is not None and self._store.size():
            self._find("?")

    def version(self) -> str:
        """Return what changes with the documents, for the answer cache."""
        return str(self._store.version())

    def grounding(self, question: str, language: str) -> Grounding | None:
        """Return what the documents say to *question*; None where they do not cover it.

        Raises:
            StorageError: the knowledge base cannot be read.
        """
        hits = sorted(self._find(question), key=lambda hit: -hit.overlap)
        if not hits or hits[0].overlap < self._threshold or not hits[0].matched:
            return None
        best = hits[0]
        passages: list[Passage] = []
        for hit in hits[:MAX_PASSAGES]:
            room = PASSAGE_CHARACTERS - sum(len(passage.text) for passage in passages)
            if hit.overlap >= SECOND * best.overlap and len(hit.chunk.text) <= room:
                passages.append(_passage(hit, language))
        quote = _quote(best, self._words.terms(question))
        return Grounding(
            passages=tuple(passages),
            user_message=text(
                "knowledge.use_extracts",
                language,
                extracts="\n\n".join(f"[{_named(p)}]\n{p.text}" for p in passages),
                question=question,
            ),
            citation=_cite("knowledge.source", passages[0], language),
            quote=_cite("knowledge.from", passages[0], language, text=quote),
            overlap=best.overlap,
        )

    def _find(self, question: str) -> list[Hit]:
        if self._clock() >= self._words_until:
            try:
                return self._search.find(question, limit=10)
            except ModelError as error:
                self._words_until = self._clock() + REST_S
                self._on_error(error)
        return self._words.find(question, limit=10)


def place_in_words(place: Place, language: str) -> str:
    """Return where a text stands, such as ``page 3``; empty where nothing is known."""
    if place.page:
        return text("knowledge.page", language, page=place.page)
    if place.heading:
        return text("knowledge.section", language, heading=place.heading)
    return text("knowledge.line", language, line=place.line) if place.line else ""


def _passage(hit: Hit, language: str) -> Passage:
    chunk = hit.chunk
    place = place_in_words(chunk.place, language)
    return Passage(chunk.document, place, chunk.text)


def _named(passage: Passage) -> str:
    return f"{passage.document}, {passage.place}" if passage.place else passage.document


def _cite(key: str, passage: Passage, language: str, **values: str) -> str:
    key = key if passage.place else f"{key}_document"
    return text(key, language, document=passage.document, place=passage.place, **values)


def _quote(hit: Hit, terms: Terms) -> str:
    """Return the neighbouring sentences that have most of the question, and what follows them."""
    parts = sentences(hit.chunk.text)
    weights = [_weight(part, hit.chunk.language, terms) for part in parts]
    best, best_weight = (0, 1), -1.0
    for start in range(len(parts)):
        for end in range(start + 1, len(parts) + 1):
            size = len(" ".join(parts[start:end]))
            # A sentence more must bring something: each character costs a little.
            weight = _union(weights[start:end]) - size / (10 * QUOTE_CHARACTERS)
            if weight > best_weight and (size <= QUOTE_CHARACTERS or end == start + 1):
                best, best_weight = (start, end), weight
    start, end = best
    while end < len(parts) and len(" ".join(parts[start : end + 1])) <= QUOTE_CHARACTERS // 2:
        end += 1  # the answer often stands in the sentence after the one that has the words
    return " ".join(parts[start:end])


def _weight(sentence: str, language: str, terms: Terms) -> dict[int, float]:
    """Return the weights of the question's words that *sentence* has."""
    found = set(stems(sentence, language))
    return {
        index: weight
        for index, (group, weight) in enumerate(zip(terms.groups, terms.weights, strict=True))
        if group & found
    }


def _union(weights: list[dict[int, float]]) -> float:
    return sum({index: weight for each in weights for index, weight in each.items()}.values())
