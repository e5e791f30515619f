"""Short answers to Luna's questions: yes, no, never mind, the second one."""

from __future__ import annotations

import re
from typing import Final, Literal

from appliance.reminders.spoken_time import without_fillers

_YES: Final = {
    "en": r"(?:yes|yeah|yep|sure|of course|do it|go ahead|confirm|all of them|please do|ok|okay)",
    "pt": r"(?:sim|isso|claro|pode|pode sim|confirm[oa]|com certeza|todos?|ok|é|quero|cancel[ae])",
}
_NO: Final = {
    "en": r"(?:no|nope|don't|do not|stop|keep (?:them|it))",
    "pt": r"(?:não|nao|não quero|para|pare|deix[ae]|melhor não)",
}
_NEVER_MIND: Final = {
    "en": r"(?:never ?mind|forget (?:it|about it)|cancel(?: that)?|leave it|nothing|no)",
    "pt": r"(?:deixa(?: pra lá| para lá| quieto)?|esquece|esqueça|cancela|nada|não)",
}
_BOTH: Final = {"en": r"(?:both|all|all of them|everything)", "pt": r"(?:os dois|ambos|todos|tudo)"}
_ORDINALS: Final = {
    "en": ("first|1st|number one", "second|2nd|number two", "third|3rd|number three"),
    "pt": ("primeir[oa]|número um", "segund[oa]|número dois", "terceir[oa]|número três"),
}
_LAST: Final = {"en": "last", "pt": "últim[oa]"}


def yes_or_no(text: str, language: str) -> Literal["yes", "no", ""]:
    """Return what *text* answers; empty when it is no such answer."""
    said = _short(text, language)
    if _matches(_NO, said, language):
        return "no"
    return "yes" if _matches(_YES, said, language) else ""


def is_never_mind(text: str, language: str) -> bool:
    """Return whether *text* withdraws what Luna asked about."""
    return _matches(_NEVER_MIND, _short(text, language), language)


def places(text: str, count: int, language: str) -> list[int]:
    """Return which of *count* things *text* names by their place, from 0: "the second one"."""
    said = _short(text, language)
    language = language if language in _BOTH else "en"
    if _matches(_BOTH, said, language):
        return list(range(count))
    for place, words in enumerate(_ORDINALS[language]):
        if place < count and re.fullmatch(rf"(?:the |[oa] )?(?:{words})(?: one)?", said):
            return [place]
    if re.fullmatch(rf"(?:the |[oa] )?(?:{_LAST[language]})(?: one)?", said):
        return [count - 1]
    return []


def _short(text: str, language: str) -> str:
    return without_fillers(text, language).casefold().strip(" .,!?")


def _matches(words: dict[str, str], said: str, language: str) -> bool:
    one = words.get(language, words["en"])
    return re.fullmatch(rf"{one}(?:[ ,]+(?:{one}|please|por favor|luna))*", said) is not None
