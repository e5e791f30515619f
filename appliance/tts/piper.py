"""Piper: a neural voice, run so that its sound begins early.

Stock Piper returns a sentence when all of it is made. Here the model is cut in three (see
:mod:`appliance.tts.onnx_split`): the front runs once for the sentence, the other two make sound
from it piece by piece, the first piece small. The samples are those that the whole model would
have given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from appliance.errors import ModelError
from appliance.tts.joining import SENTENCE_PAUSE_S, joined, pause_after
from appliance.tts.onnx_split import Stage, split

_PIECES = (16, 16, 32, 64, 128)
"""Frames in the first, the second, ... and all further pieces.

At 22050 Hz and a hop of 256, 16 frames are 186 ms of sound, about 50 of them silence: enough to
last until the second piece is there on a machine that is eight times slower than two idle cores.
"""
_DECODER_CONTEXT = 16
"""Frames on each side that a piece needs to leave the decoder as in the whole.

Measured on a medium voice: an error of 1e-3 with 8 frames, below 1e-6 with 16.
"""
_FLOW_CONTEXT = 32
"""The same for the flow: four couplings of four convolutions that look two frames away."""
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
            parts = split(data)
            self._front = _session(data) if parts is None else _session(parts.front.model)
            self._rest = None if parts is None else (_Part(parts.flow), _Part(parts.decoder))
            self._config = PiperConfig.from_dict(json.loads(config.read_text("utf-8")))
            # For its phonemes only; the sessions above do the rest.
            self._phonemizer = piper.PiperVoice(session=self._front, config=self._config)
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
        if config.num_speakers > 1:
            feed["sid"] = np.array([config.default_speaker_id], np.int64)
        outputs = self._front.run(None, feed)
        if self._rest is None:
            yield outputs[0].reshape(-1) * self._gain
        else:
            values = {o.name: v for o, v in zip(self._front.get_outputs(), outputs, strict=True)}
            yield from self._in_pieces(values, *self._rest)

    def _in_pieces(
        self, values: dict[str, Any], flow: _Part, decoder: _Part
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the sound of the front's *values*, whose last axis are frames."""
        frames = max(value.shape[-1] for value in values.values())
        hop = self._config.hop_length
        first = 0
        for size in chain(_PIECES, repeat(_PIECES[-1])):
            if first == frames:
                return
            last = min(first + size, frames)
            # What the decoder has to see, and what the flow has to see for that.
            near = max(0, first - _DECODER_CONTEXT), min(last + _DECODER_CONTEXT, frames)
            far = max(0, near[0] - _FLOW_CONTEXT), min(near[1] + _FLOW_CONTEXT, frames)
            flowed = flow.run({n: _crop(v, frames, *far) for n, v in values.items()})
            inputs = {n: _crop(v, frames, *near) for n, v in values.items()}
            width, offset = far[1] - far[0], near[0] - far[0]
            end = offset + near[1] - near[0]
            inputs |= {n: _crop(v, width, offset, end) for n, v in flowed.items()}
            (sound,) = decoder.run(inputs).values()
            begin = (first - near[0]) * hop
            yield sound.reshape(-1)[begin : begin + (last - first) * hop] * self._gain
            first = last


class _Part:
    """A stage of the voice, ready to run on a piece."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage.inputs, stage.outputs
        self._session = _session(stage.model)

    def run(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return its outputs by name; *values* may hold more than its inputs."""
        inputs, outputs = self._stage
        results = self._session.run(outputs, {name: values[name] for name in inputs})
        return dict(zip(outputs, results, strict=True))


def _crop(value: Any, frames: int, begin: int, end: int) -> Any:
    """Return frames *begin* to *end* of *value*; what has no frames (a speaker) stays whole."""
    return np.ascontiguousarray(value[..., begin:end]) if value.shape[-1] == frames else value


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
