"""Samples become files, piece by piece."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from appliance.errors import UsageError
from appliance.sound_encoding import FORMATS, PCM_RATE, encoder

RATE = 22_050
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.int16)


@pytest.mark.parametrize("form", FORMATS)
def test_sound_comes_out_while_it_goes_in(form: str) -> None:
    made = encoder(form, RATE)
    pieces = [made.feed(TONE[at : at + 2000].tobytes()) for at in range(0, len(TONE), 2000)]
    assert sum(map(bool, pieces)) > len(pieces) // 2
    data = b"".join(pieces) + made.close()
    if form == "pcm":
        samples, rate = np.frombuffer(data, np.int16), PCM_RATE
    else:
        with av.open(io.BytesIO(data)) as file:
            frames = list(file.decode(file.streams.audio[0]))
        assert frames[0].layout.nb_channels == 1
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
        rate = frames[0].sample_rate
    assert len(samples) / rate == pytest.approx(2.0, abs=0.1)
    middle = samples[len(samples) // 4 : -len(samples) // 4].astype(float)
    power = np.abs(np.fft.rfft(middle))
    assert np.argmax(power) * rate / len(middle) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_a_file_too(form: str) -> None:
    made = encoder(form, RATE)
    assert isinstance(made.feed(b"") + made.close(), bytes)


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="use mp3, opus"):
        encoder("midi", RATE)
