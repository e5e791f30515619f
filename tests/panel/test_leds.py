"""The LED language: every state can be told, on every kind of LED, by everybody."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from appliance.events import NetworkChanged, StateChanged, Vitals
from appliance.panel import sheet
from appliance.panel.device import Layout
from appliance.panel.leds import (
    PALETTE,
    PATTERNS,
    PROGRESSING,
    TABLE,
    flashes_per_second,
    level,
    next_change,
    render,
)
from appliance.panel.renderer import Layers
from appliance.texts import text

ROOT = Path(__file__).parents[2]
LASTING = [p for p in TABLE if p.period_s or p.name == "listening"]
"""Patterns that are shown for long; the others are seen to begin."""
STEPS, STEP_S = 1800, 1 / 20
LAYOUTS = [*sheet.LAYOUTS.values(), Layout("ring", 1), Layout("line", 8), Layout("ring", 24)]


def test_all_states_of_the_appliance_have_a_pattern() -> None:
    from appliance.assistant.turn import State

    extra = {"wake_heard", "reminder_due", "offline", "clock_not_set", "shutting_down"}
    extra |= {"warning", "critical"}
    assert {state.value for state in State} | extra <= set(PATTERNS)


def signal(name: str) -> npt.NDArray[np.float64]:
    pattern = PATTERNS[name]
    found = np.array([level(pattern, i * STEP_S) for i in range(STEPS)])
    return found / found.max()


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations([p.name for p in LASTING], 2)])
def test_each_state_is_told_by_its_rhythm_alone(one: str, other: str) -> None:
    """One LED, no colour, any moment of looking up, and not even its brightness known."""
    a, b = signal(one), signal(other)
    # Mean square difference for every shift at once, by way of the correlation.
    overlap = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), STEPS)
    difference = (np.sum(a * a) + np.sum(b * b) - 2 * overlap.max()) / STEPS
    assert np.sqrt(max(0.0, difference)) > 0.12


@pytest.mark.parametrize("pattern", TABLE, ids=lambda p: p.name)
def test_no_pattern_flashes_more_than_three_times_a_second(pattern: object) -> None:
    assert flashes_per_second(pattern) <= 3  # type: ignore[arg-type]


# Machado, Oliveira and Fernandes (2009), severity 1.0, for linear RGB.
SEEN_BY = {
    "everybody": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def lab(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    white = TO_XYZ @ np.ones(3)
    x, y, z = np.cbrt(np.clip(TO_XYZ @ np.clip(linear, 0, 1), 1e-6, None) / white)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", SEEN_BY)
def test_the_palette_is_told_apart_with_all_kinds_of_colour_vision(eyes: str) -> None:
    shown = {p.colour for p in TABLE}
    colours = {name: SEEN_BY[eyes] @ (np.array(PALETTE[name]) / 255) for name in shown}
    for (a, one), (b, other) in itertools.combinations(colours.items(), 2):
        assert np.linalg.norm(lab(one) - lab(other)) > 10, (a, b)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("pattern", TABLE, ids=lambda p: p.name)
def test_each_pattern_on_each_layout(pattern: object, layout: Layout) -> None:
    lit = 0
    for step in range(240):
        for progress in (0.0, 0.3, 1.0):
            lights = render(pattern, layout, step / 48, progress)  # type: ignore[arg-type]
            assert len(lights) == layout.count
            assert all(0 <= part <= 255 for light in lights for part in light)
            lit += progress == 1.0 and any(map(any, lights))
    if layout.shape != "pair" or any(pattern.pair):  # type: ignore[attr-defined]
        assert lit


def test_the_box_says_that_it_is_unwell_only_while_it_has_nothing_else_to_say() -> None:
    layers = Layers()

    def shown() -> str:
        return layers.top(now=0.0).pattern

    layers.apply(StateChanged(state="idle"), 0.0)
    assert layers.apply(Vitals(level="warning"), 0.0)
    assert shown() == "warning"
    assert not layers.apply(Vitals(level="warning"), 0.0)  # the light stays as it is
    layers.apply(NetworkChanged(online=False), 0.0)
    assert shown() == "offline"  # says more
    layers.apply(Vitals(level="critical"), 0.0)
    assert shown() == "critical"
    for state in ("listening", "thinking", "speaking", "muted", "error"):
        layers.apply(StateChanged(state=state), 0.0)
        assert shown() == state
    layers.apply(StateChanged(state="idle"), 0.0)
    layers.apply(Vitals(level="ok"), 0.0)
    assert shown() == "offline"
    layers.apply(NetworkChanged(online=True), 0.0)
    assert shown() == "idle"


def test_what_stays_as_it_is_needs_no_frames() -> None:
    ring = Layout("ring", 12)
    assert next_change(PATTERNS["listening"], ring, 3.0) is None
    assert next_change(PATTERNS["idle"], ring, 3.0) is None
    assert next_change(PATTERNS["muted"], ring, 1.0) == pytest.approx(2.0)
    assert next_change(PATTERNS["offline"], ring, 1.0) == pytest.approx(4.0)
    assert next_change(PATTERNS["thinking"], ring, 1.0) == pytest.approx(1 / 20)
    assert next_change(PATTERNS["thinking"], Layout("ring", 12, fps=10), 1.0) == pytest.approx(0.1)
    assert next_change(PATTERNS["thinking"], Layout(), 1.0) is None
    for pattern in TABLE:
        if pattern.name not in PROGRESSING:
            for at in np.arange(0, 8, 0.013):
                due = next_change(pattern, ring, float(at))
                assert due is None or due > 0


def test_next_change_misses_no_change() -> None:
    for pattern in TABLE:
        for layout in (Layout("single", 1), Layout("ring", 8)):
            at = 0.0
            while at < 6.0:
                due = next_change(pattern, layout, at)
                end = 6.0 if due is None else at + due
                if end - at > 0.08:
                    middle = render(pattern, layout, (at + end) / 2)
                    assert middle == render(pattern, layout, at + 0.001), (pattern.name, at)
                at = end + 1e-6


@pytest.mark.parametrize("language", ["en", "pt"])
def test_each_pattern_has_its_meaning_in_words(language: str) -> None:
    for pattern in TABLE:
        assert text(f"led.{pattern.name}", language)


def test_the_document_is_made_from_the_table() -> None:
    made = sheet.document(lambda name: text(f"led.{name}", "en"))
    assert (ROOT / "docs/leds.md").read_text() == made, "luna panel demo --markdown > docs/leds.md"


def test_the_sheet_is_the_picture_in_the_documents(tmp_path: Path) -> None:
    from PIL import Image, ImageChops

    sheet.picture(tmp_path / "leds.png")
    with Image.open(tmp_path / "leds.png") as made, Image.open(ROOT / "docs/leds.png") as kept:
        assert made.size == kept.size
        # The letters depend on the version of Pillow; the lights do not.
        lights = (150, 36, *made.size)
        assert not ImageChops.difference(made.crop(lights), kept.crop(lights)).getbbox(), (
            "luna panel demo --png docs/leds.png"
        )


def test_the_sheet_in_the_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "panel", "demo", "--set", "general.language=pt"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [p.name for p in TABLE]
    assert "Falando" in done.stdout
