"""The LED sheet: every pattern on every layout, in the terminal or as one picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import UsageError
from appliance.panel.device import Colour, Layout
from appliance.panel.leds import GAMMA, PROGRESSING, TABLE, Pattern, render

LAYOUTS: dict[str, Layout] = {
    "1 LED": Layout("single", 1),
    "2 LEDs": Layout("pair", 2),
    "RGB": Layout("rgb", 1),
    "3 in line": Layout("line", 3),
    "12 in a ring": Layout("ring", 12),
}
GROW_S = 4.0
"""A progress goes from 0 to 1 in so long here."""
SECONDS = 5.0
"""What a row of the picture shows."""
COLUMNS = 50


@dataclass(frozen=True)
class Look:
    """A pattern on a layout at one moment, in the colours of a screen."""

    pattern: Pattern
    layout: Layout

    def at(self, seconds: float) -> list[Colour]:
        """Return the colours as a screen shows them (sRGB), plain LEDs green and red."""
        progress = 1.0
        if self.pattern.name in PROGRESSING:
            progress = min(1.0, seconds % SECONDS / GROW_S)
        lights = render(self.pattern, self.layout, seconds, progress)
        shown = [_screen(light) for light in lights]
        if self.layout.shape == "pair":
            shown = [_tint(shown[0], (70, 255, 120)), _tint(shown[1], (255, 70, 50))]
        return shown


def _screen(light: Colour) -> Colour:
    red, green, blue = (round(255 * math.pow(part / 255, 1 / GAMMA)) for part in light)
    return red, green, blue


def _tint(grey: Colour, colour: Colour) -> Colour:
    red, green, blue = (value * part // 255 for value, part in zip(grey, colour, strict=True))
    return red, green, blue


def terminal(seconds: float, meaning: Callable[[str], str]) -> Iterator[str]:
    """Yield the lines of the sheet at one moment, coloured with ANSI sequences."""
    for pattern in TABLE:
        parts = []
        for layout in LAYOUTS.values():
            colours = Look(pattern, layout).at(seconds)
            parts.append("".join(f"\x1b[38;2;{r};{g};{b}m●" for r, g, b in colours))
        yield f"{pattern.name:18} {'  '.join(parts)}\x1b[0m  {meaning(pattern.name)}"


def picture(path: Path) -> None:
    """Write the sheet as a PNG: time runs to the right, LEDs lie one under the other.

    Raises:
        UsageError: Pillow is not installed, or the file cannot be written.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise UsageError("the picture needs Pillow: pip install pillow") from error
    cell, gap, label, head = 7, 10, 150, 36
    widths = COLUMNS * cell + gap
    heights = [max(layout.count for layout in LAYOUTS.values()) * cell + gap for _ in TABLE]
    size = (label + widths * len(LAYOUTS) + gap, head + sum(heights) + gap)
    image = Image.new("RGB", size, (16, 16, 20))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    for column, name in enumerate(LAYOUTS):
        text = f"{name}, {SECONDS:.0f} s"
        draw.text((label + column * widths, 10), text, (220, 220, 220), font)
    top = head
    for pattern, height in zip(TABLE, heights, strict=True):
        draw.text((gap, top), pattern.name, (220, 220, 220), font)
        for column, layout in enumerate(LAYOUTS.values()):
            look, left = Look(pattern, layout), label + column * widths
            for step in range(COLUMNS):
                colours = look.at(step * SECONDS / COLUMNS)
                for row, colour in enumerate(colours):
                    x, y = left + step * cell, top + row * cell
                    draw.rectangle((x, y, x + cell - 2, y + cell - 2), colour)
        top += height
    try:
        image.save(path, format="PNG", optimize=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error


def document(meaning: Callable[[str], str]) -> str:
    """Return docs/leds.md, made from the table."""
    rows = [
        f"| `{p.name}` | {meaning(p.name)} | {p.colour} | {_rhythm(p)} | {p.spread} | {_pair(p)} |"
        for p in TABLE
    ]
    return "\n".join([_HEAD, *rows, _TAIL])


def _rhythm(pattern: Pattern) -> str:
    keys = ", ".join(f"{at:g} s: {level:.0%}" for at, level in pattern.rhythm)
    if len(pattern.rhythm) == 1:
        steady = f"steady at {pattern.rhythm[0][1]:.0%}"
        return "grows" if pattern.name in PROGRESSING else steady
    again = f"every {pattern.period_s:g} s" if pattern.period_s else "once"
    return f"{again}, {pattern.curve}: {keys}"


def _pair(pattern: Pattern) -> str:
    return {(1.0, 0.0): "first", (0.0, 1.0): "second"}.get(pattern.pair, "both")


_HEAD = """\
# What Luna's light means

Made from the table in `appliance/panel/leds.py` by `luna panel demo --markdown`; do not edit.
`luna panel demo` shows it moving in the terminal.

![every pattern on every layout; time runs to the right](leds.png)

Every state has a rhythm of its own, so that one LED is enough to tell them apart, also for those
who see no colours; the colours are chosen after Okabe and Ito for all kinds of colour vision. On
many LEDs each also has a shape: a *dot*, both *ends*, a light that goes round (*spin*), a *meter*
that widens from the middle, *alternate* halves, a bar that *fill*s, or *all* of them. Nothing
flashes more than three times a second.

Of two plain LEDs the first (green, say) means that all is well and the second (red) wants a look.

| pattern | meaning | colour | rhythm | on many LEDs | of two LEDs |
|---|---|---|---|---|---|"""
_TAIL = """
The most urgent wins: shutting down, a button that is held, the volume, the state, a reminder, then
what is critical, the clock, the network, and a warning (the limits are in `[thresholds]`); these
four are shown while Luna waits. Without any, the LEDs are dark then unless `panel.idle_light` is
set. By night (`panel.night_from` to `panel.night_to`) they are dimmed to `panel.night_brightness`.
"""
