"""The LED language: what Luna's light means, in one table.

A pattern is data: a *rhythm* (levels over time, joined by a curve), a *colour* and a *shape* (how
it lies on many LEDs). Every state has a rhythm of its own, so that it can be told on one LED, by
somebody who sees no colours, and in the corner of the eye. No pattern flashes more than three
times a second (WCAG 2.3.1).

Levels are as the eye sees them; light is level to the power of :data:`GAMMA`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from appliance.panel.device import Colour, Layout

GAMMA = 2.2
"""Exponent of sRGB displays, near enough to the eye's own."""

ColourName = Literal["white", "blue", "sky", "green", "yellow", "orange", "red", "purple"]
PALETTE: dict[ColourName, Colour] = {
    "white": (255, 255, 255),
    "blue": (0, 60, 255),
    "sky": (60, 170, 255),
    "green": (0, 255, 110),
    "yellow": (255, 200, 0),
    "orange": (255, 90, 0),
    "red": (255, 10, 0),
    "purple": (200, 0, 180),
}
"""After Okabe and Ito, "Color Universal Design" (2008), brought to what an LED can do."""

Curve = Literal["step", "linear", "smooth"]
Spread = Literal["all", "dot", "ends", "spin", "meter", "alternate", "fill"]


@dataclass(frozen=True)
class Pattern:
    """One row of the table. Its meaning for people is the text ``led.NAME``."""

    name: str
    colour: ColourName
    rhythm: tuple[tuple[float, float], ...]
    """(seconds, level) of each key, the first at 0."""
    period_s: float = 0.0
    """The rhythm begins again; 0: it is played once and its last level stays."""
    curve: Curve = "step"
    spread: Spread = "all"
    pair: tuple[float, float] = (1.0, 1.0)
    """Share of a first LED (all is well) and a second (look here)."""
    fps: int = 20
    """Frames per second while it moves."""


TABLE: tuple[Pattern, ...] = (
    Pattern(
        "starting",
        colour="white",
        rhythm=((0.0, 0.15), (1.0, 1.0), (2.0, 0.15)),
        period_s=2.0,
        curve="smooth",
        spread="spin",
    ),
    Pattern("idle", colour="white", rhythm=((0.0, 0.2),), spread="dot", pair=(1.0, 0.0)),
    Pattern(
        "wake_heard",
        colour="sky",
        rhythm=((0.0, 1.0), (0.12, 0.0), (0.24, 1.0)),
        pair=(1.0, 0.0),
    ),
    Pattern("listening", colour="blue", rhythm=((0.0, 1.0),), pair=(1.0, 0.0)),
    Pattern(
        "thinking",
        colour="purple",
        rhythm=((0.0, 0.1), (0.8, 1.0)),
        period_s=0.8,
        curve="linear",
        spread="spin",
        pair=(1.0, 0.0),
    ),
    Pattern(
        "speaking",
        colour="green",
        rhythm=(
            *((0.0, 0.5), (0.2, 1.0), (0.45, 0.6), (0.6, 0.95), (0.85, 0.45), (1.1, 1.0)),
            *((1.35, 0.7), (1.55, 0.9), (1.8, 0.4), (2.2, 0.5)),
        ),
        period_s=2.2,
        curve="linear",
        spread="meter",
        pair=(1.0, 0.0),
    ),
    Pattern(
        "muted",
        colour="red",
        rhythm=((0.0, 0.7), (3.0, 0.0)),
        period_s=3.6,
        spread="ends",
        pair=(0.0, 1.0),
    ),
    Pattern(
        "reminder_due",
        colour="yellow",
        rhythm=((0.0, 1.0), (0.2, 0.0), (0.4, 1.0), (0.6, 0.0), (0.8, 1.0), (1.0, 0.0)),
        period_s=2.4,
        spread="alternate",
    ),
    Pattern(
        "offline",
        colour="orange",
        rhythm=((0.0, 0.7), (0.15, 0.0)),
        period_s=5.0,
        spread="dot",
        pair=(0.0, 1.0),
    ),
    Pattern(
        "clock_not_set",
        colour="yellow",
        rhythm=((0.0, 0.7), (0.15, 0.0), (0.45, 0.7), (0.6, 0.0)),
        period_s=5.0,
        spread="ends",
        pair=(0.0, 1.0),
    ),
    Pattern(
        "warning",
        colour="orange",
        rhythm=((0.0, 0.4), (1.2, 0.0)),
        period_s=10.0,
        spread="dot",
        pair=(0.0, 1.0),
    ),
    Pattern(
        "critical",
        colour="red",
        rhythm=(
            *((0.0, 0.7), (0.15, 0.0), (0.45, 0.7), (0.6, 0.0)),
            *((0.9, 0.7), (1.05, 0.0)),
        ),
        period_s=5.0,
        spread="dot",
        pair=(0.0, 1.0),
    ),
    Pattern(
        "error",
        colour="red",
        rhythm=((0.0, 1.0), (0.4, 0.0)),
        period_s=0.8,
        pair=(0.0, 1.0),
    ),
    Pattern(
        "updating",
        colour="sky",
        rhythm=((0.0, 0.2), (3.0, 1.0), (3.2, 0.2)),
        period_s=3.2,
        curve="linear",
        spread="fill",
        fps=15,
    ),
    Pattern(
        "shutting_down",
        colour="white",
        rhythm=((0.0, 1.0), (2.0, 0.0)),
        curve="linear",
        spread="fill",
    ),
    Pattern("hold_to_mute", colour="red", rhythm=((0.0, 1.0),), spread="fill", pair=(0.0, 1.0)),
    Pattern("hold_to_shut_down", colour="white", rhythm=((0.0, 1.0),), spread="fill"),
    Pattern("volume", colour="green", rhythm=((0.0, 1.0),), spread="fill"),
)
"""Of the last three, a progress from 0 to 1 is shown: how near, or how loud."""

PATTERNS: dict[str, Pattern] = {pattern.name: pattern for pattern in TABLE}
PROGRESSING = frozenset({"hold_to_mute", "hold_to_shut_down", "volume"})
WAKE_S = 0.4
"""How long ``wake_heard`` is shown before ``listening``."""
_TURN_S = 1.2
"""A light that goes round takes so long for a turn."""


def level(pattern: Pattern, seconds: float) -> float:
    """Return the level (0 to 1) of the rhythm, so long after its beginning."""
    keys = pattern.rhythm
    if pattern.period_s:
        seconds %= pattern.period_s
    index = bisect_right(keys, seconds, key=lambda key: key[0]) - 1
    if index + 1 == len(keys) or pattern.curve == "step":
        return keys[index][1]
    (begin, low), (end, high) = keys[index], keys[index + 1]
    part = (seconds - begin) / (end - begin)
    if pattern.curve == "smooth":
        part = part * part * (3 - 2 * part)
    return low + (high - low) * part


def render(
    pattern: Pattern, layout: Layout, seconds: float, progress: float = 1.0
) -> tuple[Colour, ...]:
    """Return the colour of each LED, so long after the pattern's beginning.

    *progress* (0 to 1) is what :data:`PROGRESSING` patterns show.
    """
    now = level(pattern, seconds)
    count = layout.count
    if layout.shape in ("single", "rgb") or count == 1:
        levels = [now * progress]
    elif layout.shape == "pair":
        levels = [now * progress * share for share in pattern.pair]
    else:
        levels = _spread(pattern.spread, layout, seconds, now, progress)
    if layout.shape in ("single", "pair"):
        return tuple(_lit((255, 255, 255), value) for value in levels[:count])
    return tuple(_lit(PALETTE[pattern.colour], value) for value in levels[:count])


def next_change(pattern: Pattern, layout: Layout, seconds: float) -> float | None:
    """Return in how many seconds another frame is due; None: the light stays as it is."""
    if layout.count == 0:
        return None
    moves = layout.shape in ("line", "ring") and pattern.spread == "spin"
    if moves or _is_sliding(pattern, seconds):
        return 1.0 / min(pattern.fps, layout.fps)
    into = seconds % pattern.period_s if pattern.period_s else seconds
    for at, _ in pattern.rhythm:
        if at > into:
            return at - into
    return pattern.period_s - into if pattern.period_s and len(pattern.rhythm) > 1 else None


def _is_sliding(pattern: Pattern, seconds: float) -> bool:
    if pattern.curve == "step":
        return False
    return bool(pattern.period_s) or seconds < pattern.rhythm[-1][0]


def _lit(colour: Colour, value: float) -> Colour:
    """Return *colour* at a level as the eye sees it."""
    light = max(0.0, min(1.0, value)) ** GAMMA
    red, green, blue = (round(part * light) for part in colour)
    return red, green, blue


def _spread(
    spread: Spread, layout: Layout, seconds: float, now: float, progress: float
) -> list[float]:
    """Return the level of each LED of a line or ring."""
    count = layout.count
    ring = layout.shape == "ring"
    match spread:
        case "dot":
            middle = 0 if ring else count // 2
            return [now if i == middle else 0.0 for i in range(count)]
        case "ends":
            other = count // 2 if ring else count - 1
            return [now if i in (0, other) else 0.0 for i in range(count)]
        case "spin":
            # A head with a tail that fades over half of the LEDs; on a line it runs through.
            head = seconds / _TURN_S * count
            tail = max(2.0, count / 2)
            return [max(0.0, 1.0 - ((head - i) % count) / tail) for i in range(count)]
        case "meter":
            # The middle stays lit, and the louder, the wider.
            reach = now * count / 2
            centre = 0.0 if ring else (count - 1) / 2
            return [_covered(reach - _distance(i, centre, count, ring)) for i in range(count)]
        case "alternate":
            # Each flash on the other half of the LEDs, so that it cannot be a mere blinking.
            odd = _flash(seconds) % 2
            return [now if i % 2 == odd else 0.0 for i in range(count)]
        case "fill":
            reach = now * progress * count
            return [_covered(reach - i) for i in range(count)]
    return [now * progress] * count


def _flash(seconds: float) -> int:
    """Return the number of the present flash of ``reminder_due``."""
    pattern = PATTERNS["reminder_due"]
    into = seconds % pattern.period_s
    return sum(at <= into for at, height in pattern.rhythm if height)


def _distance(index: int, centre: float, count: int, ring: bool) -> float:
    straight = abs(index - centre)
    return min(straight, count - straight) if ring else straight


def _covered(length: float) -> float:
    """Return how much of one LED a bar of this length covers."""
    return max(0.0, min(1.0, length))


def flashes_per_second(pattern: Pattern) -> float:
    """Return how often the rhythm goes from dark to bright in its worst second."""
    if not pattern.period_s:
        return sum(b > a for (_, a), (_, b) in pairwise(pattern.rhythm))
    rises = []
    previous = pattern.rhythm[-1][1]
    for at, height in pattern.rhythm:
        if height - previous >= 0.1:  # noqa: PLR2004  (WCAG: a change of 10 % of the brightness)
            rises.append(at)
        previous = height
    turns = max(1, math.ceil(1.0 / pattern.period_s)) + 1
    times = [at + turn * pattern.period_s for turn in range(turns) for at in rises]
    return max((sum(begin <= at < begin + 1.0 for at in times) for begin in times), default=0)
