"""How text comes out of a model: one of several words, or an answer that was begun elsewhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

from appliance.llm.engine import Choice, OnText, Proceed


def choose(
    words: Mapping[str, Sequence[int]],
    bias: Mapping[int, float],
    logits: Callable[[Sequence[int]], list[float]],
    decode: Callable[[int], None],
    proceed: Proceed,
) -> Choice:
    """Return the word that the model says next, of *words* (with their tokens) and no others.

    A walk through the tree of their tokens: of the logits only those of the tokens that a word
    can go on with are looked at. Where no two words begin with the same token, one token decides
    and none is decoded; there it is what llama.cpp's sampler with a grammar of these words would
    choose, without looking through the vocabulary.

    Args:
        words: none may be the beginning of another.
        bias: subtracted from the logits of the first tokens.
        logits: returns the logits of the given tokens after the last evaluation.
        decode: evaluates one more token.
        proceed: asked before each of these.
    """
    left = dict(words)
    probability = 1.0
    for step in itertools.count():
        following = sorted({tokens[step] for tokens in left.values()})
        scores = logits(following)
        if step == 0:
            scores = [s - bias[token] for s, token in zip(scores, following, strict=True)]
        best = max(range(len(following)), key=scores.__getitem__)
        probability /= sum(math.exp(score - scores[best]) for score in scores)
        left = {word: tokens for word, tokens in left.items() if tokens[step] == following[best]}
        if len(left) == 1:
            break
        if not proceed():
            return Choice("", 0.0)
        decode(following[best])
    return Choice(next(iter(left)), probability)


class Skip:
    """Hands text on without the space at its beginning that was given before it."""

    def __init__(self, given: str, on_text: OnText) -> None:
        self._given = given
        self._on_text = on_text

    def __call__(self, text: str) -> None:
        while self._given and text and text[0] == self._given[0]:
            self._given, text = self._given[1:], text[1:]
        if text:
            self._given = ""
            self._on_text(text)
