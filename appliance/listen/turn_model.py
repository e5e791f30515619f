"""Smart Turn: a small model that hears whether a sentence is complete.

Its input is Whisper's: the log-mel spectrogram of the last 8 s, silence in front when there is
less. Source of the constants: the Whisper paper's preprocessing (Radford et al. 2022, section
2.2), the mel scale of Slaney's Auditory Toolbox, and pipecat's use of the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from appliance.errors import ModelError
from appliance.models.catalogue import load_catalogue, verify

RATE = 16_000
WINDOW_S = 8
_FFT = 400
_HOP = 160
_MELS = 80
_MEL_OF_1_KHZ = 15.0

Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float32]


class TurnModel(Protocol):
    """Tells whether somebody has finished."""

    def probability(self, samples: Samples) -> float:
        """Return the probability that *samples* (16 kHz, one utterance so far) are complete."""


class SmartTurn:
    """Smart Turn v3 with onnxruntime, on one core.

    Raises:
        ModelError: the model is not installed, was changed, or cannot be loaded.
    """

    def __init__(self, model: str, models_dir: Path) -> None:
        files = verify(load_catalogue().get(model), models_dir)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(next(iter(files.values()))), options, providers=["CPUExecutionProvider"]
            )
        except RuntimeError as error:  # onnxruntime's exceptions derive from it
            raise ModelError(
                f"the end-of-turn model {model} cannot be loaded; run `luna models pull {model}`"
            ) from error
        self.probability(np.zeros(RATE, np.int16))

    def probability(self, samples: Samples) -> float:
        """See :meth:`TurnModel.probability`."""
        features = log_mel(last_window(samples))
        outputs = self._session.run(None, {"input_features": features[np.newaxis]})
        return float(outputs[0].ravel()[0])


def last_window(samples: Samples) -> Floats:
    """Return the last 8 s as float32, zeros in front, with zero mean and unit variance."""
    wave = samples[-WINDOW_S * RATE :].astype(np.float32) / 32768.0
    wave = np.pad(wave, (WINDOW_S * RATE - len(wave), 0))
    normal: Floats = ((wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)).astype(np.float32)
    return normal


def log_mel(wave: Floats) -> Floats:
    """Return Whisper's log-mel spectrogram, float32 (80, len(wave) / 160)."""
    padded = np.pad(wave, _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP][:-1]
    spectrum = np.fft.rfft(frames * _WINDOW, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    mel = np.log10(np.maximum(_FILTERS @ power.T, 1e-10))
    mel = np.maximum(mel, mel.max() - 8.0)
    scaled: Floats = ((mel + 4.0) / 4.0).astype(np.float32)
    return scaled


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Slaney's mel scale backwards: linear up to 1 kHz (15 mel), logarithmic above."""
    linear, logarithmic = mel * 200.0 / 3.0, 1000.0 * 6.4 ** ((mel - _MEL_OF_1_KHZ) / 27.0)
    return np.where(mel < _MEL_OF_1_KHZ, linear, logarithmic)


def _mel_filters() -> Floats:
    """Return the (80, 201) matrix of triangular filters of equal area, 0 to 8 kHz."""
    top = _MEL_OF_1_KHZ + 27.0 * np.log(RATE / 2 / 1000.0) / np.log(6.4)
    corners = _hertz(np.linspace(0.0, top, _MELS + 2))
    bins = np.linspace(0.0, RATE / 2, _FFT // 2 + 1)
    rising = (bins - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - bins) / np.diff(corners)[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return (triangles * (2.0 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


_WINDOW = np.hanning(_FFT + 1)[:-1].astype(np.float32)
_FILTERS = _mel_filters()
