"""The boot gate: whether this Luna works, found out by using her.

What it asks for, and how the answers come, is passed in, so that the gate can be tested with a
service of any kind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.clock import monotonic
from appliance.errors import LunaError

WORKERS = ("audio", "listen", "stt", "tts", "llm")
PAUSE_S = 1.0
"""Between two looks at a service that is still starting; the capture ring is watched as long."""
START_LIMIT_S = 240.0
"""The service itself answers sooner or never; only its workers may take all the time there is."""
RESTARTS = 3
"""A worker that was started so often, and is not ready, will not be."""
UNDERSTOOD = 75.0
"""How alike the sentence and what was understood of it must be, in percent of their letters
(normalised indel similarity). Right words in a wrong spelling have over 80; another sentence has
less than 55."""


class _HopelessError(LunaError):
    """Waiting longer would not help."""


@dataclass(frozen=True)
class Probes:
    """How the gate reaches Luna. All of them raise LunaError."""

    health: Callable[[], Mapping[str, Any]]
    """Returns the service's report."""
    models: Callable[[], list[str]]
    """Returns a sentence for each model that is damaged."""
    say: Callable[[str, str], bytes]
    """Returns a text, in a language, as the service's voice speaks it: a WAV file."""
    hear: Callable[[bytes, str], str]
    """Returns what the service understands of a sound file."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    """``service``, ``workers``, ``rings``, ``models`` or ``voice``."""
    problem: str = ""
    """Empty: all is well."""


def examine(
    probes: Probes, sentence: str, language: str, limit_s: float, pause_s: float = PAUSE_S
) -> Iterator[Finding]:
    """Yield the result of each check; after one that failed there are no more.

    Args:
        probes: reach the service.
        sentence: what Luna says to herself.
        language: of the sentence.
        limit_s: so long the service may take until it is ready and its workers answer.
        pause_s: see :data:`PAUSE_S`.
    """
    start = monotonic() + min(limit_s, START_LIMIT_S)
    deadline = monotonic() + limit_s
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("service", lambda: _until(lambda: _service(probes), start, pause_s)),
        ("workers", lambda: _until(lambda: _workers(probes), deadline, pause_s)),
        ("rings", lambda: _until(lambda: _rings(probes, pause_s), deadline, pause_s)),
        ("models", lambda: " ".join(probes.models())),
        ("voice", lambda: _voice(probes, sentence, language)),
    )
    for name, check in checks:
        try:
            problem = check()
        except LunaError as error:
            problem = str(error)
        yield Finding(name, problem)
        if problem:
            return


def _until(check: Callable[[], str], deadline: float, pause_s: float) -> str:
    """Return the problem that is left at *deadline*; empty as soon as there is none."""
    while True:
        try:
            problem = check()
        except _HopelessError as error:
            return str(error)
        except LunaError as error:
            problem = str(error)
        if not problem or monotonic() >= deadline:
            return problem
        time.sleep(pause_s)


def _service(probes: Probes) -> str:
    state = probes.health()["state"]
    return f"the service is in the state {state}" if state in ("starting", "error") else ""


def _workers(probes: Probes) -> str:
    workers = probes.health()["workers"]
    for name in WORKERS:
        status = workers.get(name, {}).get("status", "missing")
        if status != "ready":
            problem = f"the worker {name} is not ready ({status})"
            if workers.get(name, {}).get("restarts", 0) >= RESTARTS:
                raise _HopelessError(problem)
            return problem
        if workers[name].get("last_pong_s") is None:
            return f"the worker {name} has not answered yet"
    return ""


def _rings(probes: Probes, pause_s: float) -> str:
    report = probes.health()
    if report["mute_switch"] or report["microphone"].get("status") == "muted":
        return ""  # nothing may be captured
    before = report["rings"]["capture"]["blocks_written"]
    time.sleep(pause_s)
    if probes.health()["rings"]["capture"]["blocks_written"] > before:
        return ""
    return "nothing is captured from the microphone"


def _voice(probes: Probes, sentence: str, language: str) -> str:
    understood = probes.hear(probes.say(sentence, language), language)
    if alike(sentence, understood) >= UNDERSTOOD:
        return ""
    return f"Luna said '{sentence}' and understood '{understood[:200]}'"


def alike(said: str, understood: str) -> float:
    """Return how alike two sentences are, in percent; case and signs do not count."""
    from rapidfuzz import fuzz

    def plain(text: str) -> str:
        return " ".join(re.findall(r"\w+", text.lower()))

    return fuzz.ratio(plain(said), plain(understood))
