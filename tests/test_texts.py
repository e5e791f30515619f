"""Luna's own words: the same keys and placeholders in both languages, all of them in use."""

from __future__ import annotations

import re
from pathlib import Path

import appliance
from appliance.texts import catalogue, text

SOURCES = Path(appliance.__file__).parent
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_both_languages_say_the_same() -> None:
    english, portuguese = catalogue("en"), catalogue("pt")
    assert english.keys() == portuguese.keys()
    for key, words in english.items():
        assert PLACEHOLDER.findall(words) == PLACEHOLDER.findall(portuguese[key]), key
        assert words.strip()
        assert portuguese[key].strip()


def test_every_key_in_the_code_exists_and_every_speech_key_is_used() -> None:
    code = "\n".join(
        path.read_text() for path in SOURCES.rglob("*") if path.suffix in (".py", ".js", ".html")
    )
    used = set(re.findall(r"[\"'`]((?:speech|page|refusal)\.\w+)[\"'`]", code))
    assert used <= catalogue("en").keys()
    own = {key for key in catalogue("en") if key.startswith(("speech.", "page.", "refusal."))}
    assert own <= used


def test_fallback_to_english_and_placeholders() -> None:
    assert text("state.idle", "fr") == text("state.idle", "en")
    assert "120" in text("page.restarts", "pt", count=120)
