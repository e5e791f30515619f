"""The colours: the page's, dark and light, and those of a terminal with 16 or none."""

from __future__ import annotations

from dataclasses import dataclass

from textual.theme import Theme


@dataclass(frozen=True)
class Palette:
    """Colours in Rich's form, for what is drawn line by line."""

    ink: str
    soft: str
    you: str
    luna: str
    busy: str
    good: str
    bad: str
    code_ground: str
    """Empty: that of everything."""
    code_style: str
    """A style of Pygments."""


DARK = Palette(
    ink="#e8e6e1",
    soft="#9aa0ad",
    you="#e0ab4d",
    luna="#5cc3d6",
    busy="#e0ab4d",
    good="#7fcf9f",
    bad="#ff8a80",
    code_ground="#1d2027",
    code_style="one-dark",
)
LIGHT = Palette(
    ink="#22242a",
    soft="#686d78",
    you="#8a5a00",
    luna="#1f7a8c",
    busy="#8a5a00",
    good="#2e7d4f",
    bad="#b3261e",
    code_ground="#ffffff",
    code_style="friendly",
)
PLAIN_DARK = Palette(
    ink="default",
    soft="default",
    you="yellow",
    luna="cyan",
    busy="yellow",
    good="green",
    bad="red",
    code_ground="",
    code_style="ansi_dark",
)
PLAIN_LIGHT = Palette(
    ink="default",
    soft="default",
    you="magenta",
    luna="blue",
    busy="magenta",
    good="green",
    bad="red",
    code_ground="",
    code_style="ansi_light",
)


def _theme(name: str, palette: Palette, ground: str, line: str, *, dark: bool) -> Theme:
    return Theme(
        name=name,
        primary=palette.luna,
        secondary=palette.soft,
        accent=palette.luna,
        warning=palette.busy,
        error=palette.bad,
        success=palette.good,
        foreground=palette.ink,
        background=ground,
        surface=palette.code_ground,
        panel=line,
        dark=dark,
    )


THEMES = (
    _theme("luna-dark", DARK, "#14161b", "#2c303a", dark=True),
    _theme("luna-light", LIGHT, "#f6f5f2", "#e2e0da", dark=False),
)

_PALETTES = {
    "luna-dark": DARK,
    "luna-light": LIGHT,
    "ansi-dark": PLAIN_DARK,
    "ansi-light": PLAIN_LIGHT,
}


def palette(theme: str) -> Palette:
    """Return the colours that go with a theme's name."""
    return _PALETTES.get(theme, DARK)


def theme_name(*, light: bool, plain: bool) -> str:
    """Return the theme for a taste and a terminal; *plain*: it has 16 colours or none."""
    return ("ansi-" if plain else "luna-") + ("light" if light else "dark")
