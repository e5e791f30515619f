from __future__ import annotations

import pytest

from appliance.stt.inventions import compression_ratio, judge, normalise, repeats

SURE = {"confidence": -0.2, "no_speech": 0.02, "seconds": 2.0, "level": -20.0}
NOISE = {"confidence": -1.4, "no_speech": 0.75, "seconds": 2.0, "level": -35.0}


def test_accents_apostrophes_and_punctuation_do_not_count() -> None:
    assert normalise(" Você não VAI?… it's ") == "voce nao vai its"


@pytest.mark.parametrize(
    "text",
    [
        "Thanks for watching!",
        "Thank you so much for watching, and I'll see you in the next video.",
        "Legendas pela comunidade Amara.org",
        "Legendas por Sônia Ruberti",
        "Subtitles by the Amara.org community",
        "Obrigado por assistir!",
        "Inscreva-se no canal!",
        "A CIDADE NO BRASIL",
        "[Music]",
        "(applause)",
        "*sighs*",
        "♪ la la la ♪",
    ],
)
def test_credits_and_sounds_are_dropped_however_certain(text: str) -> None:
    assert judge(text, **SURE) == "invented"


@pytest.mark.parametrize("text", ["", "...", " . . .", "…", "?!"])
def test_a_text_without_words_is_silence(text: str) -> None:
    assert judge(text, **SURE) == "silence"


@pytest.mark.parametrize("text", ["you", "Thank you.", "Obrigado.", "O que é isso?", "Bye-bye."])
def test_what_people_also_say_is_dropped_only_in_noise(text: str) -> None:
    assert judge(text, **NOISE) in {"invented", "silence"}
    assert judge(text, **SURE) == ""
    assert judge(text, **SURE | {"level": -55.0}) == "invented"


@pytest.mark.parametrize(
    "text",
    [
        "What time is it?",
        "Stop it, stop it, stop it.",
        "No, no, no, no.",
        "Translate thanks for watching into Portuguese.",
        "Play music with subtitles by the sea.",
        "Que horas são?",
        "Thank you, Luna, that was nice.",
    ],
)
def test_speech_is_kept(text: str) -> None:
    assert judge(text, **SURE) == ""


def test_a_decoder_that_goes_round_is_found_by_its_speed_or_its_length() -> None:
    assert judge("What time is it? " * 4, **SURE) == "repetition"
    assert judge("I'm sorry, " * 20, **SURE | {"seconds": 28.0}) == "repetition"


def test_uncertain_text_is_dropped_as_noise_or_babble() -> None:
    assert judge("I'm going to be right here.", **NOISE) == "silence"
    assert judge("Some odd words here.", **SURE | {"confidence": -1.7}) == "invented"
    assert judge("Turn on the light.", **SURE | {"level": -70.0}) == "silence"


def test_repeats_needs_a_run() -> None:
    assert repeats("go go go go go go")
    assert not repeats("go go go go go")
    assert repeats("turn it up turn it up turn it up")
    assert repeats("What time is it? What time is it?")
    assert not repeats("turn it up, turn it up")
    assert not repeats("turn it up and then turn it up and turn it down")
    assert not repeats("")


def test_compression_ratio_of_ordinary_speech_is_low() -> None:
    assert compression_ratio("How long does it take to fly from Lisbon to New York?") < 1.5
    assert compression_ratio("I'm sorry " * 20) > 2.4
