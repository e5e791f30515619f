"""What could not be used of the owner's files: written once a start, read by page, LED and doctor.

A problem is a sentence of the catalogues with a file, a line and words of our own. Nothing that the
owner wrote is in it: a password in the wrong place would be shown to everybody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance.texts import FALLBACK, catalogue, text
from appliance.whole_file import replace

MOST = 20
"""Problems that are told one by one; a file that is none may have thousands."""
MAX_BYTES = 64 * 1024
MAX_VALUE = 200
PREFIX = "first_boot."

Problem = dict[str, str | int]
"""``sentence`` (a key of the catalogues), ``file``, ``line`` (0: none), and what else it needs."""


@dataclass
class Report:
    """What was wrong."""

    problems: list[Problem] = field(default_factory=list)
    more: int = 0
    """So many further ones were found."""

    def add(self, sentence: str, file: str, line: int = 0, **values: str) -> None:
        """Note a problem: *sentence* is a key of the catalogues."""
        problem: Problem = {"sentence": sentence, "file": file, "line": line, **values}
        if problem in self.problems:
            return
        if len(self.problems) < MOST:
            self.problems.append(problem)
        else:
            self.more += 1

    def all(self) -> list[Problem]:
        """Return the problems; the last one may stand for the rest."""
        rest: Problem = {"sentence": f"{PREFIX}more", "file": "", "line": 0, "count": self.more}
        return [*self.problems, rest] if self.more else self.problems

    def write(self, path: Path) -> None:
        """Write the report for whoever asks; raises OSError."""
        replace(path, json.dumps({"problems": self.all()}))


def read(path: Path) -> list[Problem]:
    """Return the problems of this start; none where there is no report, as on other machines."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_BYTES))["problems"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [_checked(one) for one in found[: MOST + 1]] if isinstance(found, list) else []


def _checked(problem: Any) -> Problem:
    """Return *problem* if it is one that can be told, else one that says so."""
    unknown: Problem = {"sentence": f"{PREFIX}unknown_problem", "file": "", "line": 0}
    if not isinstance(problem, dict):
        return unknown
    sentence = problem.get("sentence")
    if not isinstance(sentence, str) or not sentence.startswith(PREFIX):
        return unknown
    values: Problem = {
        str(name): value if isinstance(value, int) else value[:MAX_VALUE]
        for name, value in problem.items()
        if isinstance(value, str | int)
    }
    try:
        catalogue(FALLBACK)[sentence].format(**values)
    except (KeyError, IndexError, ValueError):
        return unknown
    return values


def sentence(problem: Problem, language: str) -> str:
    """Return a problem, as :func:`read` gives it, in the words of *language*."""
    values = {name: value for name, value in problem.items() if name != "sentence"}
    return text(str(problem["sentence"]), language, **values)
