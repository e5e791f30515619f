"""Real voices: Piper with its weights, and espeak-ng."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import piper
import pytest
import soxr

from appliance import paths
from appliance.errors import ModelError
from appliance.models.catalogue import Catalogue, load_catalogue
from appliance.settings import TtsSettings
from appliance.stt.whisper import RATE
from appliance.stt.whisper import load as load_transcriber
from appliance.tts import espeak
from appliance.tts.espeak import EspeakVoice
from appliance.tts.onnx_split import split
from appliance.tts.piper import PiperVoice, Voice
from appliance.tts.voices import InstalledVoices, load
from tests.benchmarks.speech_clips import english_voice, words

SENTENCE = "The capital of France is Paris, and it lies on the river Seine."
CLAUSES = ("The capital of France is Paris,", "and it lies on the river Seine.")


@pytest.fixture(scope="module")
def voice() -> PiperVoice:
    return english_voice()


def sound(voice: Voice, text: str) -> npt.NDArray[np.int16]:
    return np.concatenate(list(voice.synthesise(text)))


@pytest.mark.models
@pytest.mark.slow
def test_what_is_said_is_understood(voice: PiperVoice) -> None:
    transcriber = load_transcriber("", paths.models_dir(), ("en",), 2)
    clauses = np.concatenate([sound(voice, clause) for clause in CLAUSES])
    text = transcriber.transcribe(soxr.resample(clauses, voice.rate, RATE)).text
    assert {"capital", "paris", "river"} <= set(words(text))


@pytest.mark.models
def test_it_comes_in_pieces_and_the_first_is_small(voice: PiperVoice) -> None:
    pieces = list(voice.synthesise(SENTENCE))
    assert len(pieces) > 4
    assert len(pieces[0]) < 0.4 * voice.rate
    assert sum(map(len, pieces)) > 2 * voice.rate


@pytest.mark.models
def test_pieces_equal_the_whole(tmp_path: Path) -> None:
    """The parts of the model give the samples that the whole gives, but for rounding."""
    catalogue = load_catalogue()
    folder = catalogue.get(catalogue.voice("en")).folder(paths.models_dir())
    model = next(folder.glob("*.onnx"))
    settings = json.loads(Path(f"{model}.json").read_text())
    # Without randomness both runs are the same.
    settings["inference"] = {"noise_scale": 0.0, "length_scale": 1.0, "noise_w": 0.0}
    config = tmp_path / "config.json"
    config.write_text(json.dumps(settings))
    ours = PiperVoice(model, config, "joe", "en")
    stock = piper.PiperVoice.load(model, config)
    phonemes = stock.phonemize(SENTENCE)[0]
    whole = stock.phoneme_ids_to_audio(stock.phonemes_to_ids(phonemes))
    pieces = np.concatenate(list(ours._sound(phonemes))) / ours._gain
    assert len(pieces) == len(whole)
    assert np.abs(pieces - whole).max() < 1e-4


def test_a_file_of_another_make_is_not_split() -> None:
    # ModelProto { ir_version: 8, graph { name: "x" } }
    assert split(b"\x08\x08\x3a\x03\x12\x01x") is None
    with pytest.raises((ValueError, IndexError)):
        split(b"\xff\xff\xff")


@pytest.mark.models
@pytest.mark.parametrize("text", ["", "   ", "...", "?!"])
def test_nothing_to_say(voice: PiperVoice, text: str) -> None:
    assert sum(map(len, voice.synthesise(text))) < 0.5 * voice.rate


@pytest.mark.models
def test_clauses_join_without_clicks_and_with_short_pauses(voice: PiperVoice) -> None:
    first, second = (sound(voice, clause).astype(int) for clause in CLAUSES)
    assert abs(first[0]) < 200
    assert abs(second[0]) < 200
    assert not first[-int(0.09 * voice.rate) :].any()
    assert not second[-int(0.24 * voice.rate) :].any()
    loud = np.flatnonzero(np.abs(first) > 600)
    quiet_before, quiet_after = loud[0] / voice.rate, (len(first) - loud[-1]) / voice.rate
    assert quiet_before < 0.05
    assert 0.1 <= quiet_after < 0.25


@pytest.mark.models
def test_speed() -> None:
    catalogue = load_catalogue()
    folder = catalogue.get(catalogue.voice("en")).folder(paths.models_dir())
    model = next(folder.glob("*.onnx"))
    fast = PiperVoice(model, Path(f"{model}.json"), "fast", "en", speed=2.0)
    slow = PiperVoice(model, Path(f"{model}.json"), "slow", "en", speed=0.8)
    assert len(sound(fast, SENTENCE)) < 0.6 * len(sound(slow, SENTENCE))


@pytest.mark.parametrize("language", ["en", "pt"])
def test_espeak_speaks_both_languages(language: str) -> None:
    voice = EspeakVoice(language)
    spoken = sound(voice, "Olá, são três horas." if language == "pt" else "It is three o'clock.")
    assert voice.rate == 22_050
    assert 0.5 * voice.rate < len(spoken) < 4 * voice.rate
    assert np.abs(spoken.astype(int)).max() > 5000
    assert list(voice.synthesise("...")) == []
    assert len(sound(voice, "--help -v xx")) > 0  # text is never taken for an option


def test_missing_espeak_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak, "_PROGRAM", "no-such-program")
    with pytest.raises(ModelError, match="apt-get install espeak-ng"):
        EspeakVoice("en")


def test_espeak_that_hangs_or_fails_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\nexec sleep 30\n")
    program.chmod(0o755)
    monkeypatch.setattr(espeak, "_PROGRAM", str(program))
    monkeypatch.setattr(espeak, "_TIMEOUT_S", 0.2)
    with pytest.raises(ModelError, match="TimeoutExpired"):
        EspeakVoice("en")


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A models folder whose English voice was tampered with."""
    catalogue = load_catalogue()
    model = catalogue.get(catalogue.voice("en"))
    shutil.copytree(model.folder(paths.models_dir()), model.folder(tmp_path))
    with next(model.folder(tmp_path).glob("*.onnx")).open("r+b") as stream:
        stream.seek(1_000_000)
        stream.write(b"tampered")
    return tmp_path


@pytest.mark.models
def test_a_tampered_voice_is_not_opened_and_espeak_takes_its_place(damaged: Path) -> None:
    warnings: list[str] = []
    voices = load(TtsSettings(), warnings.append, models_dir=damaged, languages=("en", "pt"))
    assert [voice.name for voice in voices.candidates("en")] == ["espeak-ng"]
    assert voices.detail.startswith("espeak-ng")
    (warning,) = warnings
    assert "luna models pull en_us-joe-medium" in warning


@pytest.mark.models
def test_candidates_by_language() -> None:
    warnings: list[str] = []
    voices = load(
        TtsSettings(), warnings.append, models_dir=paths.models_dir(), languages=("en", "pt")
    )
    english, fallback = voices.candidates("en")
    assert (english.name, fallback.name) == ("en_us-joe-medium", "espeak-ng")
    (portuguese,) = voices.candidates("pt")
    assert (portuguese.name, portuguese.language) == ("espeak-ng", "pt")
    assert next(voices.candidates("de")) is english
    assert warnings == []


def test_a_voice_the_catalogue_does_not_know(tmp_path: Path) -> None:
    warnings: list[str] = []
    voices = InstalledVoices(
        TtsSettings(voices={"en": "joe"}),
        warnings.append,
        models_dir=tmp_path,
        languages=("en",),
        catalogue=Catalogue({}),
    )
    assert next(voices.candidates("en")).name == "espeak-ng"
    assert "'joe'" in warnings[0]


def test_no_voice_at_all_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(espeak, "_PROGRAM", "no-such-program")
    with pytest.raises(ModelError, match="no voice can speak en"):
        InstalledVoices(
            TtsSettings(),
            lambda _: None,
            models_dir=tmp_path,
            languages=("en",),
            catalogue=Catalogue({}),
        )
