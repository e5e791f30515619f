"""The wake word: small models that hear one phrase each, all the time, for next to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from appliance.errors import ConfigError

if TYPE_CHECKING:
    from pymicro_wakeword import MicroWakeWord

REFRACTORY_SAMPLES = 16_000
"""After a detection nothing is detected for a second: it would be the same word."""

LATENCY_SAMPLES = 960
"""The models are sure 35 to 240 ms after the word's end (synthesised speech, four words). The end
is reckoned 60 ms before that: rather a little of the word than less of a question said with it."""


@dataclass(frozen=True)
class Detection:
    """A wake word was heard."""

    phrase: str
    score: float


class WakeWordModel(Protocol):
    """Finds wake words in a stream of 16 kHz mono int16."""

    def process(self, audio: bytes) -> Detection | None:
        """Take the next piece of the stream; return what ended in it."""

    def reset(self) -> None:
        """Forget what was heard: the stream has a gap."""

    def scores(self, audio: bytes) -> Mapping[str, float]:
        """Take the next piece of the stream; return the highest score of each word within it.

        Nothing counts as heard; an instance either detects or measures.
        """

    @property
    def limits(self) -> Mapping[str, float]:
        """The score above which each word counts as heard."""


class MicroWakeWords:
    """pymicro-wakeword's built-in models, several at once.

    Args:
        names: ``okay_nabu``, ``hey_jarvis``, ``hey_mycroft``, ``alexa``.
        threshold: mean probability that counts as heard; None: what each model was tuned for.

    Raises:
        ConfigError: there is no such wake word.
    """

    def __init__(self, names: Sequence[str], threshold: float | None = None) -> None:
        from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

        known = {model.value: model for model in Model}
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(
                f"there is no wake word {unknown[0]!r}; "
                f"listen.wake_words can hold {', '.join(sorted(known))}"
            )
        self._features = MicroWakeWordFeatures()
        self._models = [MicroWakeWord.from_builtin(known[name]) for name in names]
        self._threshold = threshold
        self._deaf_samples = 0

    def process(self, audio: bytes) -> Detection | None:
        """See :meth:`WakeWordModel.process`."""
        self._deaf_samples = max(0, self._deaf_samples - len(audio) // 2)
        found: Detection | None = None
        for features in self._features.process_streaming(audio):
            for model in self._models:
                score = model.process_streaming_prob(features)
                limit = self._limit(model)
                if score is not None and score > limit and not self._deaf_samples:
                    found = Detection(model.id, float(score))
                    self._deaf_samples = REFRACTORY_SAMPLES
                    model.reset()  # its probability can stay high for more than a second
        return found

    def scores(self, audio: bytes) -> Mapping[str, float]:
        """See :meth:`WakeWordModel.scores`."""
        highest = {model.id: 0.0 for model in self._models}
        for features in self._features.process_streaming(audio):
            for model in self._models:
                # The models look at several features at once, and say 0 in between.
                score = float(model.process_streaming_prob(features) or 0.0)
                highest[model.id] = max(highest[model.id], score)
        return highest

    @property
    def limits(self) -> Mapping[str, float]:
        """See :meth:`WakeWordModel.limits`."""
        return {model.id: self._limit(model) for model in self._models}

    def _limit(self, model: MicroWakeWord) -> float:
        own = float(model.probability_cutoff)
        return own if self._threshold is None else self._threshold

    def reset(self) -> None:
        """See :meth:`WakeWordModel.reset`."""
        self._features.reset()
        for model in self._models:
            model.reset()
        self._deaf_samples = 0
