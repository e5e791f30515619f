"""Signals are short, in range, and begin and end without a click."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.audio import earcons


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("name", earcons.NAMES)
def test_signal(name: str, rate: int) -> None:
    signal = earcons.synthesise(name, rate)
    assert signal.dtype == np.float32
    assert 0.05 * rate < len(signal) < 0.7 * rate
    assert 0.5 < np.abs(signal).max() <= 1.0
    assert signal[0] == 0.0
    assert abs(signal[-1]) < 0.02


def test_signals_differ() -> None:
    assert {"wake", "error", "done", "reminder"} == set(earcons.NAMES)
    lengths = {len(earcons.synthesise(name, 16_000)) for name in earcons.NAMES}
    assert len(lengths) == len(earcons.NAMES)


def test_unknown_signal() -> None:
    with pytest.raises(KeyError):
        earcons.synthesise("trumpet", 16_000)
