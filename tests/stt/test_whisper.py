"""Real weights on synthesised speech.

Portuguese speech is not tested: no Portuguese voice is installed by default, and espeak-ng's is
too robotic for Whisper base. What is tested is that the language is forced and restricted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from appliance import paths
from appliance.errors import ModelError
from appliance.models.catalogue import load_catalogue
from appliance.stt import whisper
from appliance.stt.whisper import RATE, WhisperTranscriber, load, peak_level
from appliance.tts.piper import PiperVoice
from tests.benchmarks.speech_clips import (
    SENTENCES,
    noisy,
    spoken,
    word_errors,
    words,
)
from tests.speech import steady_voice

pytestmark = [pytest.mark.models, pytest.mark.slow]
Samples = npt.NDArray[np.int16]


@pytest.fixture(scope="module")
def transcriber() -> WhisperTranscriber:
    return load("", paths.models_dir(), ("en", "pt"), 2)


@pytest.fixture(scope="module")
def voice() -> PiperVoice:
    return steady_voice()


@pytest.fixture
def say(voice: PiperVoice) -> Callable[[str], Samples]:
    def clip(text: str, snr_db: float = 25) -> Samples:
        return noisy(spoken(voice, text), snr_db, np.random.default_rng(1))

    return clip


def test_commands_are_understood(
    transcriber: WhisperTranscriber, say: Callable[..., Samples]
) -> None:
    wrong = total = 0
    for sentence in SENTENCES[:20]:
        transcript = transcriber.transcribe(say(sentence))
        assert transcript.language == "en", sentence
        errors, count = word_errors(sentence, transcript.text)
        wrong, total = wrong + errors, total + count
    assert wrong / total < 0.1


def test_it_says_which_model_it_is(transcriber: WhisperTranscriber) -> None:
    assert transcriber.name == f"{load_catalogue().default('stt')} (int8_float32)"


def test_twenty_eight_seconds(transcriber: WhisperTranscriber, say: Callable[..., Samples]) -> None:
    speech = np.concatenate([say(sentence) for sentence in SENTENCES])[: 28 * RATE]
    text = transcriber.transcribe(speech).text
    assert {"capital", "france", "london"} <= set(words(text))


def test_more_than_the_window_is_cut_not_refused(
    transcriber: WhisperTranscriber, say: Callable[..., Samples]
) -> None:
    question = say("What is the capital of France?")
    long = np.concatenate((question, np.zeros(60 * RATE, np.int16)))
    assert "capital" in transcriber.transcribe(long).text


def sounds() -> dict[str, Samples]:
    generator = np.random.default_rng(2)
    time = np.arange(3 * RATE) / RATE
    note = np.array([262, 294, 330, 349, 392, 440, 494, 523])[(time * 3).astype(int) % 8]
    cough = generator.standard_normal(time.size) * np.exp(-((time % 1.0) / 0.06))
    made = {
        "silence": np.zeros(time.size),
        "faint noise": generator.standard_normal(time.size) * 20,
        "noise": generator.standard_normal(time.size) * 500,
        "loud noise": generator.standard_normal(time.size) * 5000,
        "hum": 1500 * (np.sin(2 * np.pi * 50 * time) + np.sin(2 * np.pi * 150 * time)),
        "melody": 5000 * np.sin(2 * np.pi * note * time) * np.exp(-3 * ((time * 3) % 1)),
        "cough": 4000 * cough,
    }
    return {name: sound.astype(np.int16) for name, sound in made.items()}


@pytest.mark.parametrize("name", list(sounds()))
def test_nothing_is_invented(transcriber: WhisperTranscriber, name: str) -> None:
    transcript = transcriber.transcribe(sounds()[name])
    assert transcript.text == ""
    assert transcript.dropped in {"silence", "invented", "repetition"}


@pytest.mark.parametrize("count", [0, 1, 100, 1600])
def test_hardly_any_samples(transcriber: WhisperTranscriber, count: int) -> None:
    assert transcriber.transcribe(np.full(count, 3000, np.int16)).text == ""


def test_a_window_that_is_too_short_makes_it_repeat_and_the_guard_repairs_it(
    transcriber: WhisperTranscriber,
    say: Callable[..., Samples],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whisper, "WINDOWS_S", (4, 30))
    retried = 0
    for sentence in SENTENCES[:8]:
        transcript = transcriber.transcribe(say(sentence))
        retried += transcript.retried
        errors, count = word_errors(sentence, transcript.text)
        assert errors <= count, transcript.text  # a loop would add more words than there are
    assert retried


def test_the_language_is_forced_or_chosen_among_the_configured_ones(
    transcriber: WhisperTranscriber, say: Callable[..., Samples]
) -> None:
    question = say("What is the capital of France?")
    assert transcriber.transcribe(question, "pt").language == "pt"
    found = transcriber.transcribe(question)
    assert found.language == "en"
    assert found.language_probability > 0.9
    elsewhere = transcriber.transcribe(question, "de")
    assert elsewhere.language == "en"


def test_an_english_only_model_knows_only_english(say: Callable[..., Samples]) -> None:
    tiny = load("whisper-tiny.en", paths.models_dir(), ("pt", "en"), 2)
    transcript = tiny.transcribe(say("What is the capital of France?"), "pt")
    assert (transcript.language, transcript.language_probability) == ("en", 1.0)
    assert "capital" in transcript.text


def test_a_damaged_model_is_refused_with_the_command_that_repairs_it(tmp_path: Path) -> None:
    model = load_catalogue().get("whisper-tiny.en")
    source, copy = model.folder(paths.models_dir()), model.folder(tmp_path)
    copy.mkdir()
    for file in source.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    with (copy / "model.bin").open("r+b") as stream:
        stream.seek(40_000_000)
        stream.write(b"tampered")
    with pytest.raises(ModelError, match=r"luna models pull whisper-tiny\.en"):
        load(model.name, tmp_path, ("en",))


def test_files_that_are_no_model_give_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded"):
        WhisperTranscriber(tmp_path, "odd", ("en",))


def test_level_of_the_loudest_part() -> None:
    sound = np.zeros(RATE, np.int16)
    assert peak_level(sound) == -120.0
    sound[8000:9600] = 3277
    assert peak_level(sound) == pytest.approx(-20.0, abs=0.1)
    assert peak_level(sound[:0]) == -120.0
    assert peak_level(sound[8000:8010]) == pytest.approx(-20.0, abs=0.1)
