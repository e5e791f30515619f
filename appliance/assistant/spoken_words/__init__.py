"""How each language says what is written in signs; one module a language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    link: str
    at: str
    """The sign in an e-mail address."""
    dot: str
    to: str
    """Between the ends of a range."""
    minus: str
    percent: str
    cents: tuple[str, str]
    """One, several."""
    and_cents: str
    """Between the main unit and the cents."""
    currencies: Mapping[str, tuple[str, str]]
    """Sign before the amount -> one, several."""
    of_currency: str
    """Between a round number of millions and the currency."""
    scales: tuple[str, ...]
    """Words behind a number that multiply it."""
    units: Mapping[str, tuple[str, str]]
    """Sign behind a number -> one, several."""
    feminine_units: frozenset[str]
    """Signs among ``units`` whose number is feminine."""
    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    """Monday first."""
    abbreviations: Mapping[str, str]
    """Without the dot at their end, which is part of them."""
    signs: Mapping[str, str]
    """Between numbers."""
    fractions: Mapping[str, str]
