from __future__ import annotations

import numpy as np
import pytest

from appliance.tts.joining import COMMA_PAUSE_S, NO_PAUSE_S, SENTENCE_PAUSE_S, joined, pause_after

RATE = 22_050


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("Yes,", COMMA_PAUSE_S),
        ("first;", COMMA_PAUSE_S),
        ("Paris.", SENTENCE_PAUSE_S),
        ('He said "go!" ', SENTENCE_PAUSE_S),
        ("and so…", SENTENCE_PAUSE_S),
        ("and so", NO_PAUSE_S),
        ("", NO_PAUSE_S),
    ],
)
def test_the_pause_follows_the_punctuation(text: str, pause: float) -> None:
    assert pause_after(text) == pause


def clause() -> np.ndarray:
    """100 ms of silence, 500 ms of a tone with a gap in it, 200 ms of silence."""
    t = np.arange(RATE // 2) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 300 * t)).astype(np.float32)
    tone[4998:7056] = 0.0  # whole periods: no click of its own
    return np.concatenate((np.zeros(2205, np.float32), tone, np.zeros(4410, np.float32)))


@pytest.mark.parametrize("size", [100, 1000, 4000, 100_000])
def test_silence_around_it_goes_whatever_the_pieces(size: int) -> None:
    sound = clause()
    pieces = [sound[i : i + size].copy() for i in range(0, len(sound), size)]
    out = np.concatenate(list(joined(pieces, RATE, 0.1)))
    assert abs(len(out) - int(0.5 * RATE + 0.005 * RATE + 0.03 * RATE + 0.1 * RATE)) < 80
    assert not out[-int(0.1 * RATE) :].any()
    loud = np.flatnonzero(np.abs(out) > 200)
    assert loud[0] < 0.01 * RATE
    assert np.abs(np.diff(out.astype(int))).max() < 32767 * 0.5 * 2 * np.pi * 300 / RATE * 1.2


def test_the_gap_inside_stays() -> None:
    out = np.concatenate(list(joined([clause()], RATE, 0.0)))
    inside = out[int(0.005 * RATE) :]
    assert not inside[5010:7040].any()


def test_edges_are_faded_even_when_the_sound_begins_and_ends_abruptly() -> None:
    out = np.concatenate(list(joined([np.full(4410, 0.9, np.float32)], RATE, 0.05)))
    assert out[0] == 0
    assert np.abs(np.diff(out.astype(int))).max() < 0.9 * 32767 / 20


def test_pure_silence_gives_nothing() -> None:
    assert list(joined([np.zeros(5000, np.float32)] * 3, RATE, 0.25)) == []
    assert list(joined([], RATE, 0.25)) == []


def test_what_is_too_loud_is_clipped_not_wrapped() -> None:
    out = np.concatenate(list(joined([np.full(4410, 1.7, np.float32)], RATE, 0.0)))
    assert out.max() == 32767
    assert out.min() >= 0
