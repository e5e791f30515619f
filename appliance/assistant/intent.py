"""What a person wants: a built-in command, a reminder, a look, code, or a conversation.

Rules decide first, in well under a millisecond; they say so where they are not sure, and the
local model then answers one letter (:func:`classification_prompt`, :func:`from_answer`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal

from appliance.assistant.intent_rules import Rules, en, pt

Kind = Literal["system", "reminder", "vision", "code", "chat"]
MAX_CHARACTERS = 400
"""Of a question that is looked at: what it is about is said by then."""
_COMMAND_WORDS = 14
"""A longer utterance is no command."""
_RULES: dict[str, Rules] = {"en": en.RULES, "pt": pt.RULES}
_LABELS: dict[Kind, str] = {
    "code": "code",
    "vision": "see",
    "reminder": "remind",
    "chat": "chat",
}
"""What the model calls the kinds. With Qwen2.5-Coder-0.5B and 60 questions the area under the ROC
curve was 0.96; with letters 0.91, with ``programming`` and ``other`` 0.83."""
_INSTRUCTIONS = (
    "You choose who serves the user. code: a programmer. see: somebody who looks at a thing in "
    "front of the user. remind: a clock that reminds. chat: everybody else."
)
_EXAMPLES: tuple[tuple[str, Kind], ...] = (
    ("Write a loop that adds the numbers in a list", "code"),
    ("Qual é a função do fígado?", "chat"),
    ("Põe um alarme para as oito", "reminder"),
    ("My camera is broken", "chat"),
    ("Olha o meu vestido", "vision"),
    ("Tem um erro no meu código", "code"),
    ("Which code do I dial for Italy?", "chat"),
    ("Timer, five minutes", "reminder"),
    ("Essa foto ficou linda na parede", "chat"),
    ("Is this shirt clean?", "vision"),
    ("Esqueci o nome dele", "chat"),
    ("The program on television was fun", "chat"),
    ("Why does my function return nothing?", "code"),
    ("A aula da minha classe foi boa", "chat"),
    ("I forgot the song", "chat"),
    ("A cobra píton é grande?", "chat"),
)
_ENOUGH = 0.25
"""The model's share for a guess from which it stands: the rules have spoken for it already.
Chosen on the first three parts of ``tests/data/intents.jsonl``."""
_MAX_ASKED = 300
"""Characters that the model is shown: its context is small, and every token costs time."""
_NOT_WORDS = re.compile(r"[^\w+#%]+|_+")


@dataclass(frozen=True)
class Intent:
    """What is wanted."""

    kind: Kind
    sure: bool = True
    """The rules are certain; otherwise ``kind`` is what the words make possible."""
    command: str = ""
    """Of ``system``: ``volume_up``, ``volume_down``, ``volume_set``, ``mute``, ``unmute``,
    ``time``, ``date``, ``status``, ``new_conversation``, ``repeat``, ``language`` or ``stop``."""
    value: int | str | None = None
    """The volume in percent, or the code of the language."""


def recognise(text: str, language: str = "", *, image: bool = False) -> Intent:
    """Return what *text* asks for, by rules alone.

    Args:
        text: what was said or written, in any of the languages.
        language: the turn's language, whose rules are tried first.
        image: a picture is attached.
    """
    words = normalise(text[:MAX_CHARACTERS])
    ordered = sorted(_RULES, key=lambda code: code != language)
    for code in ordered:
        if command := _command(words, _RULES[code]):
            return command
    if image:
        return Intent("vision")
    kinds: list[Kind] = [kind for code in ordered if (kind := _kind(words, _RULES[code]))]
    if kinds:
        return Intent(kinds[0])
    if any(rules.about.match(words) for rules in _RULES.values()):
        return Intent("chat")
    guesses: list[Kind] = [guess for code in ordered if (guess := _guess(words, _RULES[code]))]
    return Intent(guesses[0], sure=False) if guesses else Intent("chat")


def normalise(text: str) -> str:
    """Return the words of *text* in lower case, without accents, marks and apostrophes."""
    plain = unicodedata.normalize("NFD", text.casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = re.sub(r"['\u2019`]", "", plain).replace("%", " percent ")
    return " ".join(_NOT_WORDS.sub(" ", plain).split())


def _command(words: str, rules: Rules) -> Intent | None:
    """Return the command that the whole utterance is, its polite forms left aside."""
    if words.count(" ") >= _COMMAND_WORDS:
        return None
    bare = words
    for _ in range(4):
        for name, pattern in rules.commands.items():
            if pattern.fullmatch(bare):
                return Intent("system", command=name, value=_value(name, bare, rules))
        shorter = _without_politeness(bare, rules)
        if shorter in ("", bare):
            return None
        bare = shorter
    return None


def _without_politeness(words: str, rules: Rules) -> str:
    if before := rules.before.match(words):
        words = words[before.end() :].strip()
    ends = [found for found in rules.after.finditer(words) if found.end() == len(words)]
    return words[: ends[0].start()].strip() if ends else words


def _value(command: str, words: str, rules: Rules) -> int | str | None:
    if command == "volume_set":
        digits = re.search(r"\d+", words)
        named = sum(rules.levels.get(word, 0) for word in words.split())
        return min(int(digits.group()) if digits else named, 100)
    if command == "language":
        return next(rules.languages[word] for word in words.split() if word in rules.languages)
    return None


def _kind(words: str, rules: Rules) -> Kind | None:
    """Return the kind of which *words* contain a phrase that proves it."""
    rest = rules.misleading.sub(" ", words)
    if rules.reminder.search(rest):
        return "reminder"
    if rules.code.search(rest):
        return "code"
    return "vision" if rules.vision.search(rest) else None


def _guess(words: str, rules: Rules) -> Kind | None:
    """Return the kind that single words make possible."""
    rest = rules.misleading.sub(" ", words)
    return next((kind for kind, hint in rules.hints.items() if hint.search(rest)), None)


# --- where the rules are not sure -----------------------------------------------------------------


def classification_examples() -> tuple[dict[str, Any], ...]:
    """Return the beginning that all classification prompts share, to be evaluated beforehand."""
    messages = [{"role": "system", "content": _INSTRUCTIONS}]
    for question, kind in _EXAMPLES:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": _LABELS[kind]})
    return tuple(messages)


def classification_prompt(
    text: str, guess: Intent
) -> tuple[tuple[dict[str, Any], ...], tuple[str, str]]:
    """Return the messages and the two choices by which the model decides about *guess*.

    They are those of :class:`appliance.commands.Classify`; of an intent that is not sure.
    """
    question = {"role": "user", "content": text[:_MAX_ASKED]}
    return (*classification_examples(), question), (_LABELS[guess.kind], _LABELS["chat"])


def from_answer(choice: str, probability: float, guess: Intent) -> Intent:
    """Return what *guess* has become by the model's answer.

    Args:
        choice: one of the two choices; empty where there is no answer, which means conversation.
        probability: of that choice, of the two together (:class:`appliance.events.Classified`).
        guess: what the rules thought possible.
    """
    if not choice:
        return Intent("chat")
    share = probability if choice == _LABELS[guess.kind] else 1.0 - probability
    return Intent(guess.kind if share >= _ENOUGH else "chat")
