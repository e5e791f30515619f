"""Which models suit which machine, and how fast the memory of this one is."""

from __future__ import annotations

from appliance.models.bandwidth import memory_bandwidth
from appliance.models.catalogue import load_catalogue
from appliance.models.recommend import MIN_TOKENS_PER_S, Choice, Speed, recommend

PI_5 = 11e9
"""Bytes per second that a Raspberry Pi 5 reads for a language model (published figures)."""


def chosen(rate: float, memory_mb: int, stt_rate: float = 0.0) -> dict[str, Choice]:
    choices = recommend(load_catalogue(), Speed(rate, stt_rate), memory_mb, 60, ("en", "pt"))
    return {choice.role: choice for choice in choices}


def test_a_raspberry_pi_5() -> None:
    for memory_mb in (4_000, 8_000, 16_000):
        found = chosen(PI_5, memory_mb, 150e6)
        assert set(found) == {"chat", "code", "vision", "stt", "tts.en", "tts.pt", "endpoint"}
        chat, code = found["chat"].model, found["code"].model
        assert chat is not None
        assert code is not None
        assert found["chat"].expected >= MIN_TOKENS_PER_S["chat"]
        together = chat.memory_mb + (0 if code is chat else code.memory_mb)
        assert together <= memory_mb * 60 // 100
        assert {"en", "pt"} <= set(found["stt"].model.languages)  # type: ignore[union-attr]


def test_a_large_fast_machine_gets_larger_models() -> None:
    small, large = chosen(PI_5, 4_000), chosen(10 * PI_5, 64_000, 10e9)
    for role in ("chat", "code", "stt"):
        assert large[role].model.bytes > small[role].model.bytes  # type: ignore[union-attr]
    assert large["vision"].model is not None


def test_a_slow_machine_gets_the_default_and_the_truth() -> None:
    found = chosen(1e9, 4_000)
    catalogue = load_catalogue()
    assert found["chat"].model == catalogue.get(catalogue.default("chat"))
    assert "slow" in found["chat"].reason
    assert found["vision"].model is None


def test_a_tiny_machine_gets_none() -> None:
    found = chosen(PI_5, 500)
    assert found["chat"].model is None
    assert "memory_budget" in found["chat"].reason


def test_the_bandwidth_is_one() -> None:
    assert 1e8 < memory_bandwidth(1, size=16 << 20, rounds=3) < 1e12
