"""What the rules for intents consist of; one module a language fills it in.

All patterns see normalised text: lower case, no accents, no punctuation, single spaces, no
apostrophes (``whats``), and ``percent`` for the sign. They match whole words only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Guess = Literal["reminder", "vision", "code"]


@dataclass(frozen=True)
class Rules:
    """The rules of one language."""

    before: re.Pattern[str]
    """What may stand before a command: a greeting, the name, a polite form."""
    after: re.Pattern[str]
    """What may stand behind it."""
    commands: Mapping[str, re.Pattern[str]]
    """Pattern of each command; the whole utterance must match."""
    reminder: re.Pattern[str]
    vision: re.Pattern[str]
    code: re.Pattern[str]
    """One such phrase anywhere decides, unless ``misleading`` explains it."""
    misleading: re.Pattern[str]
    """Phrases that only look like one of the above; they are cut out before looking."""
    hints: Mapping[Guess, re.Pattern[str]]
    """Words that make a kind possible and prove nothing: the model decides."""
    about: re.Pattern[str]
    """Beginnings of questions about the world: with a mere hint they are chat all the same."""
    levels: Mapping[str, int]
    """Words for a volume in percent; the words of one number add up."""
    languages: Mapping[str, str]


def whole(*alternatives: str) -> re.Pattern[str]:
    """Compile alternatives, each of which must match as whole words."""
    return re.compile(rf"(?<!\S)(?:{'|'.join(alternatives)})(?!\S)")
