"""What a finger means: pure, with a clock that only moves when the test says so."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.panel.gestures import Debouncer, GestureTimes, StepButton, TalkButton

TIMES = GestureTimes()
Edges = list[tuple[float, bool]]


def clean(*presses: tuple[float, float]) -> Edges:
    """Edges of presses (closed, opened) without bouncing."""
    return [edge for closed, opened in presses for edge in ((closed, True), (opened, False))]


def play(edges: Edges, end: float, speech_at: float | None = None) -> list[tuple[str, float]]:
    """Feed the edges, look whenever the button asks for it; return what was seen."""
    button = TalkButton(TIMES)
    seen = []
    events: list[tuple[float, bool | None]] = [*edges]
    if speech_at is not None:
        events = sorted([*events, (speech_at, None)], key=lambda e: e[0])
    for at, closed in [*events, (end, None)]:
        while (due := button.deadline()) is not None and due < at:
            seen += button.advance(due)
        if closed is None:
            if at == speech_at:
                button.somebody_speaks()
        else:
            seen += button.feed(at, closed)
    seen += button.advance(end)
    return [(s.gesture.value, pytest.approx(s.at)) for s in seen]


@pytest.mark.parametrize(
    ("presses", "meaning"),
    [
        ([(1.0, 1.2)], [("press", 1.0), ("short", 1.2), ("single", 1.2)]),
        ([(1.0, 1.59)], [("press", 1.0), ("short", 1.59), ("single", 1.59)]),
        ([(1.0, 2.5)], [("press", 1.0), ("release", 2.5)]),
        ([(1.0, 3.99)], [("press", 1.0), ("release", 3.99)]),
        ([(1.0, 4.01)], [("press", 1.0), ("mute", 4.01)]),
        ([(1.0, 7.4)], [("press", 1.0), ("mute", 7.4)]),
        ([(1.0, 7.6)], [("press", 1.0), ("abandon", 7.6)]),
        ([(1.0, 10.99)], [("press", 1.0), ("abandon", 10.99)]),
        ([(1.0, 30.0)], [("press", 1.0), ("shutdown", 11.0)]),
        ([(1.0, 1.1), (1.3, 1.4)], [("press", 1.0), ("short", 1.1), ("double", 1.3)]),
        ([(1.0, 1.1), (1.44, 20.0)], [("press", 1.0), ("short", 1.1), ("double", 1.44)]),
        (
            [(1.0, 1.1), (1.6, 1.7)],
            [
                ("press", 1.0),
                ("short", 1.1),
                ("single", 1.1),
                ("press", 1.6),
                ("short", 1.7),
                ("single", 1.7),
            ],
        ),
        (
            [(1.0, 1.1), (1.2, 1.3), (1.4, 1.5)],
            [
                ("press", 1.0),
                ("short", 1.1),
                ("double", 1.2),
                ("press", 1.4),
                ("short", 1.5),
                ("single", 1.5),
            ],
        ),
    ],
)
def test_each_gesture(presses: list[tuple[float, float]], meaning: list[tuple[str, float]]) -> None:
    assert play(clean(*presses), 40.0) == meaning


def test_who_speaks_while_holding_neither_mutes_nor_shuts_down() -> None:
    assert play(clean((1.0, 5.0)), 40.0, speech_at=2.0) == [("press", 1.0), ("release", 5.0)]
    assert play(clean((1.0, 20.0)), 40.0, speech_at=2.0) == [("press", 1.0), ("release", 20.0)]
    # The next press is judged by itself.
    assert play(clean((1.0, 2.0), (3.0, 7.0)), 40.0, speech_at=1.5)[-1] == ("mute", 7.0)


def test_the_cue_grows_and_tells_the_way_out() -> None:
    button = TalkButton(TIMES)
    button.feed(0.0, True)
    button.advance(TIMES.bounce_s)
    assert button.cue(0.5) is None
    shown = [button.cue(at / 10) for at in range(10, 100)]
    assert all(cue is not None for cue in shown)
    cues = [cue for cue in shown if cue is not None]
    assert {cue.what for cue in cues if cue.progress} == {"mute", "shutdown"}
    for what in ("mute", "shutdown"):
        grown = [cue.progress for cue in cues if cue.what == what]
        assert grown == sorted(grown)
        assert grown[0] < 0.05
    assert button.cue(3.0).progress == 1.0  # type: ignore[union-attr]
    assert button.cue(TIMES.free_s - 0.01).what == "mute"  # type: ignore[union-attr]
    assert button.cue(TIMES.free_s).what == "shutdown"  # type: ignore[union-attr]
    button.somebody_speaks()
    assert button.cue(5.0) is None


def test_a_disturbance_of_a_quiet_line_is_no_press() -> None:
    assert play([(1.0, True), (1.004, False), (3.0, True), (3.020, False)], 10.0) == []


# --- contact bounce ----------------------------------------------------------------------------


def bouncing(at: float, closed: bool, gaps: Iterable[float]) -> Edges:
    """An edge that bounces for at most 20 ms and ends in *closed*."""
    edges, now, level = [(at, closed)], at, closed
    for gap in gaps:
        if now + 2 * gap > at + 0.020:
            break
        for _ in range(2):
            now, level = now + gap, not level
            edges.append((now, level))
    return edges


GAPS = st.lists(st.floats(0.00001, 0.009), max_size=60)


@given(
    first=st.floats(0.06, 12.0),
    pause=st.floats(0.06, 2.0),
    second=st.floats(0.06, 12.0),
    gaps=st.tuples(GAPS, GAPS, GAPS, GAPS),
)
def test_a_bouncing_contact_means_the_same_as_a_clean_one(
    first: float, pause: float, second: float, gaps: tuple[list[float], ...]
) -> None:
    times = [1.0, 1.0 + first, 1.0 + first + pause, 1.0 + first + pause + second]
    presses = clean((times[0], times[1]), (times[2], times[3]))
    bounced = [
        edge
        for (at, closed), gap in zip(presses, gaps, strict=True)
        for edge in bouncing(at, closed, gap)
    ]
    assert play(bounced, 60.0) == play(presses, 60.0)


@given(st.lists(st.tuples(st.floats(0.0, 0.05), st.booleans()), max_size=80))
def test_whatever_the_contact_does_changes_alternate_and_the_last_level_counts(
    steps: list[tuple[float, bool]],
) -> None:
    debouncer = Debouncer(0.025)
    now, level, changes = 0.0, False, []
    for gap, level in steps:
        now += gap
        changes += debouncer.feed(now, level)
    changes += debouncer.advance(now + 0.025)
    changes += debouncer.feed(now + 0.03, level)
    changes += debouncer.advance(now + 0.06)
    assert [closed for _, closed in changes] == [i % 2 == 0 for i in range(len(changes))]
    assert debouncer.closed is level


# --- the other buttons -------------------------------------------------------------------------


def test_a_volume_button_acts_at_once_and_again_while_held() -> None:
    button = StepButton(repeats=True)
    count = button.feed(0.0, True)
    acted = []
    for ms in range(1, 1600):
        now = ms / 1000
        steps = button.feed(now, False) if ms == 1200 else button.advance(now)
        count += steps
        acted += [now] * steps
    assert acted[0] == pytest.approx(0.025)
    assert acted[1] == pytest.approx(0.5)
    assert all(b - a == pytest.approx(0.2) for a, b in pairwise(acted[1:]))
    assert max(acted) < 1.23
    assert button.deadline() is None


def test_a_mute_button_acts_once() -> None:
    button = StepButton(repeats=False)
    assert button.feed(0.0, True) == 0
    assert [button.advance(at) for at in (0.025, 1.0, 5.0)] == [1, 0, 0]
