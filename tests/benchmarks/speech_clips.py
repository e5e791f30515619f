"""Commands for the speech benchmarks: sentences, their sound, and how to count word errors."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from appliance import paths
from appliance.models.catalogue import load_catalogue
from appliance.tts.piper import PiperVoice

RATE = 16_000
SNR_DB = (20, 10)
"""Every command once with each of these distances between speech and noise."""

SENTENCES = tuple(
    """
    What is the capital of France?
    What time is it?
    Set a timer for ten minutes.
    Turn on the kitchen lights.
    Remind me to call my mother tomorrow at nine.
    What is two plus two?
    How is the weather in London today?
    Play some quiet music.
    Stop.
    Tell me a short story about a dragon.
    How many people live in Brazil?
    Cancel the alarm.
    What is the tallest mountain in the world?
    Translate good morning into Spanish.
    Add milk and eggs to my shopping list.
    Who wrote Romeo and Juliet?
    Turn the volume down.
    How far away is the moon?
    Is it going to rain this afternoon?
    Yes, please.
    Wake me up at half past six.
    What does photosynthesis mean?
    Switch off the lamp in the bedroom.
    How do I boil an egg?
    Give me a recipe for tomato soup.
    Thank you.
    Read me the news.
    Why is the sky blue?
    When did the Roman empire end?
    Lock the front door, and then turn off all the lights in the living room.
    How long does it take to fly from Lisbon to New York?
    What is your name?
    Spell the word necessary.
    Pause the music.
    Which planet is closest to the sun?
    Can you explain how a battery works in simple words?
    Set the temperature to twenty degrees.
    Tell me a joke.
    What day is it today?
    Write a function that adds two numbers.
    """.strip().splitlines()
)
SENTENCES = tuple(map(str.strip, SENTENCES))

_NUMBERS = {"2": "two", "6": "six", "9": "nine", "10": "ten", "20": "twenty", "30": "thirty"}

Samples = npt.NDArray[np.int16]


def english_voice() -> PiperVoice:
    """Return the catalogue's English voice."""
    catalogue = load_catalogue()
    folder = catalogue.get(catalogue.voice("en")).folder(paths.models_dir())
    model = next(folder.glob("*.onnx"))
    return PiperVoice(model, model.with_name(model.name + ".json"), folder.name, "en")


def clips(folder: Path) -> list[tuple[str, Samples]]:
    """Return (sentence, 16 kHz samples) pairs; they are made once and kept in *folder*."""
    file = folder / "commands.npz"
    if not file.exists():
        voice = english_voice()
        generator = np.random.default_rng(7)
        made: dict[str, Samples] = {}
        for i, sentence in enumerate(SENTENCES):
            speech = spoken(voice, sentence)
            for snr in SNR_DB:
                made[f"{i}_{snr}"] = noisy(speech, snr, generator)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(file, **made)
    stored = np.load(file)
    return [(SENTENCES[int(key.split("_")[0])], stored[key]) for key in stored.files]


def spoken(voice: PiperVoice, text: str) -> npt.NDArray[np.float32]:
    """Return *text* at 16 kHz and half level, with 150 ms before and 150 ms after it."""
    sound = np.concatenate(list(voice.synthesise(text))).astype(np.float32) / 65536.0
    speech = soxr.resample(sound, voice.rate, RATE)
    last = np.flatnonzero(np.abs(speech) > 0.002)[-1] + 1
    quiet = np.zeros(RATE * 15 // 100, np.float32)
    return np.concatenate((quiet, speech[:last], quiet))


def noisy(
    speech: npt.NDArray[np.float32], snr_db: float, generator: np.random.Generator
) -> Samples:
    """Return *speech* with white noise *snr_db* below it."""
    rms = float(np.sqrt(np.mean(np.square(speech))))
    noise = generator.standard_normal(speech.size) * rms * 10 ** (-snr_db / 20)
    return (np.clip(speech + noise, -1, 1) * 32767).astype(np.int16)


def words(text: str) -> list[str]:
    """Return the words of *text*, small numbers spelt out."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("'", "").replace("+", " plus "))
    plain = plain.replace("6:30", "half past six")
    return [_NUMBERS.get(word, word) for word in re.findall(r"\w+", plain)]


def word_errors(wanted: str, heard: str) -> tuple[int, int]:
    """Return the edit distance in words and the number of wanted words."""
    a, b = words(wanted), words(heard)
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1], len(a)
