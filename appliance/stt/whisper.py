"""Whisper for short commands: the weights of faster-whisper, used below its ``transcribe()``.

Whisper was made for 30 s of sound, and stock code always pads to that. A command lasts two
seconds. Three things make it fast: the encoder sees a window of 15 s, it runs once (stock code
runs it twice when it has to find out the language), and there are no timestamps to decode.

How short a window may be was measured on 79 noisy commands with Whisper base: 12 s lost the last
words of some (3.9 % word errors), 15 s had 3.7 % with a greedy decode and 2.8 % with beam 5, as
many as stock code, and the beam costs a tenth more time. At 8 s and less the decoder begins to
repeat itself; with timestamps it does so at 12 s already.

A guard keeps this honest: a text that repeats itself, is uncertain, or did not come to an end
is made once more from the full 30 s with stock settings (with timestamps).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from appliance.errors import ModelError
from appliance.models.catalogue import load_catalogue, verify
from appliance.stt import inventions

RATE = 16_000
FULL_WINDOW_S = 30
"""What Whisper was trained on, and the longest sound of one call."""
WINDOWS_S = (15, 20, FULL_WINDOW_S)
"""Encoder windows, the shortest that fits the sound is taken."""
MIN_SECONDS = 0.1
MIN_CONFIDENCE = -1.0
"""Whisper's own threshold for the mean log probability of the tokens."""
_FRAMES_PER_SECOND = 100
_TAIL_S = 0.5
"""Silence that a window must have after the sound, for the end to be recognised."""
_BEAM = 5

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Transcript:
    """What was said, and how far it is to be trusted."""

    text: str
    """Empty when it was dropped."""
    language: str = ""
    language_probability: float = 0.0
    """Among the configured languages; 1.0 when there was no choice."""
    confidence: float = 0.0
    """Mean log probability of the tokens."""
    dropped: str = ""
    """``silence``, ``invented`` or ``repetition``."""
    retried: bool = False
    """The short window was not trusted and the full window was used."""


class Transcriber(Protocol):
    """Speech to text."""

    @property
    def name(self) -> str:
        """Model and arithmetic, for a person."""

    def transcribe(self, samples: Samples, language: str = "") -> Transcript:
        """Return what is said in *samples*: mono int16 at 16 kHz, any length.

        *language* forces one; empty means: find out. What lies beyond 30 s is not heard.
        """


@dataclass(frozen=True)
class _Decoded:
    """One pass over the sound."""

    text: str
    confidence: float
    no_speech: float
    ended: bool
    """The model finished by itself, within the length that such a sound can have."""


class WhisperTranscriber:
    """A Whisper model in CTranslate2's format, on the CPU with 8-bit weights.

    Args:
        folder: holds ``model.bin``, ``config.json``, ``tokenizer.json`` and a vocabulary.
        name: what the model is called in the catalogue.
        languages: those that may be spoken, e.g. ``("en", "pt")``; an English-only model
            knows only ``en``.
        threads: cores to use; 0 means all, but not more than four.

    Raises:
        ModelError: the files cannot be loaded.
    """

    def __init__(self, folder: Path, name: str, languages: Sequence[str], threads: int = 0) -> None:
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer

        try:
            self._model = WhisperModel(
                str(folder),
                device="cpu",
                compute_type="int8",
                cpu_threads=threads or min(os.cpu_count() or 1, 4),
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"speech model {name} in {folder} cannot be loaded ({error}); "
                f"run `luna models pull {name}`"
            ) from error
        whisper = self._model.model
        self._languages = tuple(languages) if whisper.is_multilingual else ("en",)
        self._tokenizers = {
            language: Tokenizer(
                self._model.hf_tokenizer,
                whisper.is_multilingual,
                task="transcribe",
                language=language,
            )
            for language in self._languages
        }
        self.name = f"{name} ({whisper.compute_type})"
        self._warm_up()

    def _warm_up(self) -> None:
        """Let the libraries allocate and settle, so that the first command is not the slow one."""
        noise = np.random.default_rng(0).normal(0.0, 1000.0, RATE).astype(np.int16)
        self._generate(self._encode(noise, WINDOWS_S[0]), self._languages[0], seconds=1.0)

    def transcribe(self, samples: Samples, language: str = "") -> Transcript:
        """See :meth:`Transcriber.transcribe`."""
        samples = samples[: FULL_WINDOW_S * RATE]
        seconds = len(samples) / RATE
        level = peak_level(samples)
        if seconds < MIN_SECONDS or level < inventions.SILENT_DBFS:
            return Transcript("", dropped="silence")
        window = next(w for w in WINDOWS_S if w >= seconds + _TAIL_S or w == FULL_WINDOW_S)
        encoded = self._encode(samples, window)
        language, probability = self._language(encoded, language)
        result = self._generate(encoded, language, seconds)
        retried = _doubtful(result)
        if retried:
            encoded = encoded if window == FULL_WINDOW_S else self._encode(samples, FULL_WINDOW_S)
            result = self._generate(encoded, language, seconds, timestamps=True)
        dropped = inventions.judge(
            result.text,
            confidence=result.confidence,
            no_speech=result.no_speech,
            seconds=seconds,
            level=level,
        )
        return Transcript(
            "" if dropped else result.text,
            language,
            probability,
            result.confidence,
            dropped,
            retried,
        )

    def _encode(self, samples: Samples, window: int) -> Any:
        """Return the encoder's output for *samples*, padded to *window* seconds.

        The features are padded with zeros, as stock faster-whisper does: digital silence in
        their place made more word errors with the short window.
        """
        frames = window * _FRAMES_PER_SECOND
        extract = self._model.feature_extractor
        features = extract(samples.astype(np.float32) / 32768.0)[:, :frames]
        padded = np.zeros((features.shape[0], frames), np.float32)
        padded[:, : features.shape[1]] = features
        return self._model.encode(padded)

    def _language(self, encoded: Any, wanted: str) -> tuple[str, float]:
        """Return the language and its probability among the configured ones."""
        if wanted in self._languages or len(self._languages) == 1:
            return (wanted if wanted in self._languages else self._languages[0]), 1.0
        found = dict(self._model.model.detect_language(encoded)[0])
        scores = {language: found.get(f"<|{language}|>", 0.0) for language in self._languages}
        best = max(scores, key=lambda language: scores[language])
        return best, scores[best] / (sum(scores.values()) or 1.0)

    def _generate(
        self, encoded: Any, language: str, seconds: float, *, timestamps: bool = False
    ) -> _Decoded:
        """Decode with a beam; with *timestamps* as stock code does."""
        tokenizer = self._tokenizers[language]
        prompt = list(tokenizer.sot_sequence)
        if not timestamps:
            prompt.append(tokenizer.no_timestamps)
        limit = _max_tokens(seconds)
        result = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=_BEAM,
            max_length=2 * limit,  # CTranslate2 generates half of it at most
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[-1],
            max_initial_timestamp_index=50,
        )[0]
        tokens = result.sequences_ids[0]
        return _Decoded(
            tokenizer.decode(tokens).strip(),
            result.scores[0] * len(tokens) / (len(tokens) + 1),
            result.no_speech_prob,
            len(tokens) < limit,
        )


def _max_tokens(seconds: float) -> int:
    """Return how many tokens speech of this length can have: 12 a second, and some to spare.

    Fast English has 6 or 7 tokens a second, Portuguese about 9; 224 is Whisper's own limit.
    """
    return min(16 + math.ceil(12 * seconds), 224)


def _doubtful(result: _Decoded) -> bool:
    """Return whether speech was probably there but is not to be trusted as it was decoded."""
    if result.no_speech > inventions.NO_SPEECH:
        return False  # nothing to be found in it with more effort either
    return (
        not result.ended
        or result.confidence < MIN_CONFIDENCE
        or inventions.repeats(result.text)
        or inventions.compression_ratio(result.text) > inventions.MAX_COMPRESSION_RATIO
    )


def peak_level(samples: Samples) -> float:
    """Return the RMS level of the loudest 50 ms of *samples* in dBFS; -120 for digital silence."""
    size = RATE // 20
    whole = len(samples) // size * size
    frames = samples[:whole].reshape(-1, size) if whole else samples.reshape(1, -1)
    if not frames.size:
        return -120.0
    power = np.mean(np.square(frames, dtype=np.float32), axis=1).max()
    return max(-120.0, 10.0 * math.log10(float(power) / 32768.0**2 + 1e-12))


def load(
    model_name: str, models_dir: Path, languages: Sequence[str], threads: int = 0
) -> WhisperTranscriber:
    """Open a model of the catalogue after its files were verified; "" is the default one.

    Raises:
        ModelError: it is unknown, missing, damaged, or cannot be loaded.
    """
    catalogue = load_catalogue()
    model = catalogue.get(model_name or catalogue.default("stt"))
    files = verify(model, models_dir)
    return WhisperTranscriber(files["model.bin"].parent, model.name, languages, threads)
