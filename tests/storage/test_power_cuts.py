"""Power cuts: our storage always has the last acknowledged state, or the one in flight."""

from __future__ import annotations

import pytest

from tests.storage.power_cuts import Tally, run_ours, run_stock

WANTED = 10_000


def summed(tallies: list[Tally]) -> Tally:
    example = next((tally.example for tally in tallies if tally.example), "")
    return Tally(sum(t.images for t in tallies), sum(t.failures for t in tallies), example)


@pytest.mark.slow
def test_no_power_cut_loses_what_was_acknowledged(capsys: pytest.CaptureFixture[str]) -> None:
    ours = summed([run_ours(seed, 100) for seed in range(12)])
    stock = summed([run_stock(seed, 60) for seed in range(2)])
    with capsys.disabled():
        print(
            f"\n  power cuts: ours failed in {ours.failures} of {ours.images} images, "
            f"stock TinyDB in {stock.failures} of {stock.images}"
        )
    assert ours.failures == 0, ours.example[:2000]
    assert ours.images >= WANTED
    assert stock.failures > 0  # the harness finds what is wrong


def test_a_disk_that_fails_now_and_then_loses_nothing() -> None:
    tally = summed([run_ours(seed, 60, variants=2, fail=0.05) for seed in range(100, 104)])
    assert tally.failures == 0, tally.example[:2000]


def test_a_process_that_is_killed_and_then_loses_power_loses_nothing() -> None:
    tally = summed([run_ours(seed, 60, variants=2, kill=0.03) for seed in range(200, 204)])
    assert tally.failures == 0, tally.example[:2000]


def test_failures_and_kills_together() -> None:
    tally = summed(
        [run_ours(seed, 60, variants=2, fail=0.03, kill=0.02) for seed in range(300, 304)]
    )
    assert tally.failures == 0, tally.example[:2000]
