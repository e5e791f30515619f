from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from appliance import paths
from appliance.errors import ModelError
from appliance.listen.turn_model import WINDOW_S, SmartTurn, last_window, log_mel
from appliance.models.catalogue import load_catalogue
from tests.listen.harness import Samples, hush

RATE = 16_000


def name() -> str:
    return load_catalogue().default("endpoint")


def test_the_spectrogram_is_whispers() -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    wave = last_window(np.concatenate((hush(3.0, 400), hush(2.0, 4000))))
    ours = log_mel(wave)
    assert ours.shape == (80, WINDOW_S * 100)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, FeatureExtractor()(wave, padding=0)[:, :800], atol=1e-4)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 3.0, 8.0, 20.0])
def test_the_window_is_the_last_eight_seconds(seconds: float) -> None:
    samples = hush(seconds, 1000)
    window = last_window(samples)
    assert window.shape == (WINDOW_S * RATE,)
    assert abs(window.mean()) < 1e-3
    if seconds > 1:
        assert window.std() == pytest.approx(1.0, abs=1e-2)
        assert np.corrcoef(window[-len(samples) :], samples[-len(window) :])[0, 1] > 0.999


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"luna models pull {name()}"):
        SmartTurn(name(), tmp_path)


@pytest.mark.models
class TestWithWeights:
    def test_a_damaged_model_is_refused(self, tmp_path: Path) -> None:
        source = load_catalogue().get(name()).folder(paths.models_dir())
        folder = load_catalogue().get(name()).folder(tmp_path)
        shutil.copytree(source, folder)
        file = next(folder.iterdir())
        content = bytearray(file.read_bytes())
        content[5000] ^= 1
        file.write_bytes(content)
        with pytest.raises(ModelError, match="hash is wrong"):
            SmartTurn(name(), tmp_path)
        file.write_bytes(content[:-1])
        with pytest.raises(ModelError, match="damaged"):
            SmartTurn(name(), tmp_path)

    def test_finished_and_unfinished_sentences(self) -> None:
        from tests.speech import say

        model = SmartTurn(name(), paths.models_dir())

        def judge(speech: Samples) -> float:
            return model.probability(np.concatenate((speech, hush(0.2))))

        for text in (
            "What is the capital of France?",
            "Set a timer for ten minutes.",
            "How many people live in Brazil?",
        ):
            assert judge(say(text, 0.2, 0.0)) > 0.5, text
        for text, part in (
            ("What is the capital of the United States of America?", 0.5),
            ("I would like to know how many people live in Brazil.", 0.7),
        ):
            speech = say(text, 0.2, 0.0)
            assert judge(speech[: int(len(speech) * part)]) < 0.5, (text, part)
