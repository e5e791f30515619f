"""Luna's own words, from the catalogues in ``locales``: one JSON file a language."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

FALLBACK = "en"


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return all texts of *language* by key; English for a language without a catalogue."""
    file = resources.files("appliance") / "locales" / f"{language}.json"
    # The language may come from outside: no name may lead to another folder.
    if not (language.isalpha() and file.is_file()):
        return catalogue(FALLBACK)
    texts: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return texts


def text(key: str, language: str, **values: object) -> str:
    """Return the text *key* in *language*, its placeholders filled with *values*.

    Raises:
        KeyError: there is no such key (a mistake in the code, which a test looks for).
    """
    found = catalogue(language).get(key)
    return (found if found is not None else catalogue(FALLBACK)[key]).format(**values)
