"""Which models suit this machine: by memory, by what is fast enough, and by size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from appliance.models.catalogue import Catalogue, Model

MIN_TOKENS_PER_S = {"chat": 6.0, "code": 4.0, "vision": 4.0}
"""Speech takes about 4 tokens a second: an answer must come faster. Code is read, not heard."""
MAX_STT_S = 1.5
"""Time to transcribe a short command."""
OF_BANDWIDTH = 0.6
"""Of the memory bandwidth that a model uses, where none was measured.

A Raspberry Pi 5 writes about 11 tokens a second for each GB of a model (published figures), with
a memory of 17 GB/s.
"""


@dataclass(frozen=True)
class Speed:
    """What this machine does; bytes are those of a model's files."""

    llm_bytes_per_s: float
    """A model writes so many tokens a second times its bytes."""
    stt_bytes_per_s: float = 0.0
    """The bytes of a speech model by the seconds of a short command; 0: not known."""


@dataclass(frozen=True)
class Choice:
    """The model for a role, and why."""

    role: str
    """``chat``, ``code``, ``vision``, ``stt``, ``endpoint``, or ``tts.LANGUAGE``."""
    model: Model | None
    expected: float = 0.0
    """Tokens a second; of speech to text, seconds for a command; 0: not known."""
    reason: str = ""
    """For a person, where there is none or a better one would not do."""


def recommend(
    catalogue: Catalogue,
    speed: Speed,
    memory_mb: int,
    budget_percent: int,
    languages: tuple[str, ...],
) -> list[Choice]:
    """Return one choice for each role.

    Args:
        catalogue: what there is to choose from.
        speed: of this machine.
        memory_mb: all memory of this machine.
        budget_percent: of it for the language models together; they share it as the llm worker
            does: the chat model stays, one of the others fits beside it.
        languages: what is spoken to Luna; the first is hers.
    """
    budget = memory_mb * budget_percent // 100
    chat = _largest(catalogue, "chat", speed, lambda model: model.memory_mb <= budget)
    taken = chat.model

    def beside_chat(model: Model) -> bool:
        if taken is None or model is taken:
            return model.memory_mb <= budget
        return model.memory_mb + taken.memory_mb <= budget

    choices = [chat]
    choices += [_largest(catalogue, role, speed, beside_chat) for role in ("code", "vision")]
    choices.append(_speech(catalogue, speed, memory_mb, languages))
    choices += [_voice(catalogue, language) for language in languages]
    choices += [Choice("endpoint", model) for model in catalogue.for_role("endpoint")[:1]]
    return choices


def _largest(
    catalogue: Catalogue, role: str, speed: Speed, fits: Callable[[Model], bool]
) -> Choice:
    """Return the largest model that fits and is fast enough; of two, the one made for the role.

    None is smaller than the default, which is the smallest that can be talked with.
    """

    def rate(model: Model) -> float:
        return speed.llm_bytes_per_s / model.bytes

    default = catalogue.get(catalogue.default(role)) if role in catalogue.defaults else None
    least = default.bytes if default else 0
    models = [model for model in catalogue.for_role(role) if fits(model) and model.bytes >= least]
    fast = [model for model in models if rate(model) >= MIN_TOKENS_PER_S[role]]
    if fast:
        model = max(fast, key=lambda model: (model.bytes, model.roles[0] == role))
        return Choice(role, model, rate(model))
    if default is None:
        return Choice(role, None, reason="none fits this machine and is fast enough")
    if default in models:
        return Choice(role, default, rate(default), "slow on this machine")
    return Choice(role, None, reason="no model fits into llm.memory_budget")


def _speech(
    catalogue: Catalogue, speed: Speed, memory_mb: int, languages: tuple[str, ...]
) -> Choice:
    """Return the largest speech model that knows the languages and is fast enough."""
    default = catalogue.get(catalogue.default("stt", memory_mb))
    if not speed.stt_bytes_per_s:
        return Choice("stt", default)

    def seconds(model: Model) -> float:
        return model.bytes / speed.stt_bytes_per_s

    models = [m for m in catalogue.for_role("stt") if set(languages) <= set(m.languages)]
    fast = [m for m in models if seconds(m) <= MAX_STT_S and m.memory_mb <= memory_mb // 4]
    if not fast:
        return Choice("stt", default, seconds(default), "slow on this machine")
    model = max(fast, key=lambda model: model.bytes)
    return Choice("stt", model, seconds(model))


def _voice(catalogue: Catalogue, language: str) -> Choice:
    role = f"tts.{language}"
    if name := catalogue.voice(language):
        return Choice(role, catalogue.get(name))
    voices = [model for model in catalogue.for_role("tts") if language in model.languages]
    return Choice(role, next(iter(voices), None), reason="" if voices else "espeak-ng speaks it")
