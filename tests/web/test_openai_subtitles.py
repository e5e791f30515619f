"""Where sounds are cut, and how transcripts look."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from appliance.web.openai_parts import SAMPLE_RATE
from appliance.web.openai_subtitles import Segment, pieces, written


def speech(*lengths: float) -> np.ndarray:
    """Return noise of these lengths in seconds with pauses of 400 ms between."""
    generator = np.random.default_rng(1)
    pause = np.zeros(int(0.4 * SAMPLE_RATE), np.int16)
    parts: list[np.ndarray] = []
    for seconds in lengths:
        parts += [generator.integers(-5000, 5000, int(seconds * SAMPLE_RATE), np.int16), pause]
    return np.concatenate(parts)


@pytest.mark.parametrize(("fine", "most"), [(False, 28), (True, 9)])
def test_pieces_are_whole_and_cut_at_pauses(fine: bool, most: int) -> None:
    samples = speech(*[4.0] * 20)
    found = list(pieces(samples, fine=fine))
    assert found[0][0] == 0
    assert found[-1][1] == len(samples)
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(found))
    assert all(end - start <= most * SAMPLE_RATE for start, end in found)
    for _, end in found[:-1]:
        assert not samples[end - 800 : end + 800].any()


@pytest.mark.parametrize("samples", [0, 1, 319, 28 * SAMPLE_RATE, 28 * SAMPLE_RATE + 1])
def test_lengths_at_the_limits(samples: int) -> None:
    found = list(pieces(np.ones(samples, np.int16), fine=False))
    assert sum(end - start for start, end in found) == samples
    assert all(end > start for start, end in found)


SEGMENTS = (
    Segment(0, 40_000, "Hello\n\nthere --> you.", "en"),
    Segment(3600 * SAMPLE_RATE, 3661 * SAMPLE_RATE + 8, "Olá.", "en"),
)


def test_text_cannot_pose_as_a_cue() -> None:
    srt, kind = written("srt", SEGMENTS, 0)
    assert kind == "application/x-subrip"
    assert srt == (
        "1\n00:00:00,000 --> 00:00:02,500\nHello there -> you.\n\n"
        "2\n01:00:00,000 --> 01:01:01,000\nOlá.\n"
    )
    vtt, _ = written("vtt", SEGMENTS, 0)
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nHello there -> you.\n\n")


def test_json() -> None:
    text, kind = written("verbose_json", SEGMENTS, 3662 * SAMPLE_RATE)
    found = json.loads(text)
    assert kind == "application/json"
    assert (found["duration"], found["language"]) == (3662.0, "en")
    assert found["segments"][1]["start"] == 3600.0
    assert json.loads(written("json", (), 0)[0]) == {"text": ""}
    assert json.loads(written("verbose_json", (), 0)[0])["language"] == ""
