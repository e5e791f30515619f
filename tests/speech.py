"""Speech for tests: synthesised questions, and what a recording says."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from appliance import paths
from appliance.models.catalogue import load_catalogue
from appliance.stt.whisper import WhisperTranscriber
from appliance.tts.piper import PiperVoice
from tests.sound_card import write_wav

RATE = 16_000


@cache
def steady_voice() -> PiperVoice:
    """Return the catalogue's English voice without its chance.

    It sounds a little different each time, and now and then says "friends" for "France".
    """
    catalogue = load_catalogue()
    folder = catalogue.get(catalogue.voice("en")).folder(paths.models_dir())
    model = next(folder.glob("*.onnx"))
    config = json.loads(model.with_name(model.name + ".json").read_text("utf-8"))
    config["inference"] |= {"noise_scale": 0.0, "noise_w": 0.0}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        return PiperVoice(model, Path(file.name), folder.name, "en")


@cache
def transcriber() -> WhisperTranscriber:
    """Return the catalogue's speech recognition."""
    catalogue = load_catalogue()
    model = catalogue.get(catalogue.default("stt"))
    return WhisperTranscriber(model.folder(paths.models_dir()), model.name, ("en",))


def say(text: str, before_s: float = 0.3, after_s: float = 0.3) -> npt.NDArray[np.int16]:
    """Return *text* spoken, 16 kHz int16, with faint noise and some quiet around it."""
    voice = steady_voice()
    sound = np.concatenate(list(voice.synthesise(text))).astype(np.float32)
    speech = soxr.resample(sound, voice.rate, RATE)
    parts = np.zeros(int(before_s * RATE)), speech, np.zeros(int(after_s * RATE))
    mixed = np.concatenate(parts) + np.random.default_rng(1).normal(0, 12, sum(map(len, parts)))
    return mixed.clip(-32768, 32767).astype(np.int16)


def say_to(path: Path, text: str, before_s: float = 0.3) -> Path:
    """Write :func:`say` to a WAV file."""
    write_wav(path, say(text, before_s), RATE)
    return path


def understood(samples: npt.NDArray[np.int16]) -> str:
    """Return what a 16 kHz recording says, in lower case."""
    return transcriber().transcribe(samples).text.lower()
