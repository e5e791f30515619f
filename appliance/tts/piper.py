"""Piper: a neural voice, run so that its sound begins early.

Stock Piper returns a sentence when all of it is made. Here the model is cut in two (see
:mod:`appliance.tts.onnx_split`): the first half runs once for the sentence, the second makes
sound from it piece by piece, the first piece small. The samples are those that the whole model
would have given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from appliance.errors import ModelError
from appliance.tts.joining import SENTENCE_PAUSE_S, joined, pause_after
from appliance.tts.onnx_split import split

_FIRST_FRAMES = 16
"""Latent frames in the first piece: at 22050 Hz and a hop of 256, 186 ms of sound."""
_MOST_FRAMES = 128
_CONTEXT = 16
"""Frames on each side that a piece needs to come out as in the whole.

Measured on a medium voice: an error of 1e-3 with 8 frames, below 1e-6 with 16.
"""
_PEAK = 0.9
_WARM_UP = "Hello, how are you today?"
_THREADS = 2

Samples = npt.NDArray[np.int16]


class Voice(Protocol):
    """Text to speech in one language."""

    @property
    def name(self) -> str:
        """As in the catalogue."""

    @property
    def language(self) -> str:
        """``en``, ``pt``, ..."""

    @property
    def rate(self) -> int:
        """Samples per second."""

    def synthesise(self, text: str) -> Iterator[Samples]:
        """Yield the sound of *text* in pieces: mono int16 at :attr:`rate`, with its pause.

        A text without anything to say yields nothing. Raises ModelError.
        """


class PiperVoice:
    """A Piper voice on the CPU.

    Args:
        model: the ``.onnx`` file; *config*: its ``.onnx.json``.
        name: what the voice is called in the catalogue.
        language: what it speaks.
        speed: 1.0 is the voice's own, 2.0 twice as fast.

    Raises:
        ModelError: the files cannot be loaded.
    """

    def __init__(
        self, model: Path, config: Path, name: str, language: str, speed: float = 1.0
    ) -> None:
        import piper
        from piper.config import PiperConfig

        self.name = name
        self.language = language
        self._failure = f"voice {name} in {model.parent} cannot be used"
        try:
            data = model.read_bytes()
            halves = split(data)
            if halves is None:
                self._encoder, self._decoder, self._latent = _session(data), None, ""
            else:
                self._encoder = _session(halves.encoder)
                self._decoder = _session(halves.decoder)
                self._latent = halves.latent
            self._config = PiperConfig.from_dict(json.loads(config.read_text("utf-8")))
            # For its phonemes only; the sessions above do the rest.
            self._phonemizer = piper.PiperVoice(session=self._encoder, config=self._config)
            self._scale = self._config.length_scale / speed
            self._gain = 1.0
            self._gain = self._calibrate()
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            raise ModelError(f"{self._failure} ({error})") from error

    @property
    def rate(self) -> int:
        return int(self._config.sample_rate)

    def synthesise(self, text: str) -> Iterator[Samples]:
        """See :meth:`Voice.synthesise`."""
        try:
            sentences = [s for s in self._phonemizer.phonemize(text) if s]
            for i, phonemes in enumerate(sentences, 1):
                pause = pause_after(text) if i == len(sentences) else SENTENCE_PAUSE_S
                yield from joined(self._sound(phonemes), self.rate, pause)
        except Exception as error:  # as above
            raise ModelError(f"{self._failure} ({error})") from error

    def _calibrate(self) -> float:
        """Return the gain that brings a first sentence to full level, and warm up by the way.

        Stock Piper raises every sentence to full scale, for which it needs the whole of it, and
        which makes a lone "yes" as loud as a shout.
        """
        phonemes = self._phonemizer.phonemize(_WARM_UP)[0]
        peak = max(float(np.abs(piece).max()) for piece in self._sound(phonemes))
        return _PEAK / max(peak, 1e-3)

    def _sound(self, phonemes: list[str]) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the amplitudes of one sentence in pieces."""
        ids = np.array([self._phonemizer.phonemes_to_ids(phonemes)], np.int64)
        config = self._config
        scales = (config.noise_scale, self._scale, config.noise_w_scale)
        feed: dict[str, Any] = {
            "input": ids,
            "input_lengths": np.array([ids.shape[1]], np.int64),
            "scales": np.array(scales, np.float32),
        }
        speaker: dict[str, Any] = {}
        if config.num_speakers > 1:
            speaker = {"sid": np.array([config.default_speaker_id], np.int64)}
        result = self._encoder.run(None, feed | speaker)[0]
        if self._decoder is None:
            yield result.reshape(-1) * self._gain
            return
        frames = result.shape[2]
        hop = config.hop_length
        first, size = 0, _FIRST_FRAMES
        named = {i.name for i in self._decoder.get_inputs()}
        extra = {key: value for key, value in speaker.items() if key in named}
        while first < frames:
            last = min(first + size, frames)
            begin, end = max(0, first - _CONTEXT), min(last + _CONTEXT, frames)
            piece = np.ascontiguousarray(result[:, :, begin:end])
            sound = self._decoder.run(None, {self._latent: piece, **extra})[0].reshape(-1)
            yield sound[(first - begin) * hop : (last - begin) * hop] * self._gain
            first, size = last, min(2 * size, _MOST_FRAMES)


def _session(model: bytes) -> Any:
    """Return an onnxruntime session that leaves the other cores and the log alone."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(_THREADS, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin while they wait would take time from the language model.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
