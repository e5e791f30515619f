"""A finding, and the box that is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from appliance import paths
from appliance.settings import Settings
from appliance.texts import text

Level = Literal["ok", "warning", "failure"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "failure")
"""From well to bad."""
EXIT_CODES: Mapping[Level, int] = {"ok": 0, "warning": 20, "failure": 21}
"""Of `luna doctor`, by the worst finding; the smaller numbers are those of errors."""
VERDICTS: Mapping[str, Level] = {"ok": "ok", "warning": "warning", "critical": "failure"}
"""What a verdict of :mod:`appliance.thresholds` is here."""


@dataclass(frozen=True)
class Fix:
    """What `luna doctor --fix` does: safe, and done twice it does no more than once."""

    name: str
    """The text ``doctor.fix.NAME`` says what is done."""
    carry_out: Callable[[], None]
    """Raises LunaError or OSError. It goes from one process to another: no lambda."""
    values: Mapping[str, Any] = field(default_factory=dict)

    def sentence(self, language: str) -> str:
        """Return what is done, for a person."""
        return text(f"doctor.fix.{self.name}", language, **self.values)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """``SUBJECT.WHAT``; the text ``doctor.SUBJECT.WHAT`` is the sentence, unless *key* is set."""
    level: Level = "ok"
    values: Mapping[str, Any] = field(default_factory=dict)
    """For the text's placeholders; all of it may be shown to the owner."""
    command: str = ""
    """What mends it, or finds out more; empty where no command does."""
    fix: Fix | None = None
    skipped: bool = False
    """It could not be looked at; the sentence says why."""
    key: str = ""

    def sentence(self, language: str) -> str:
        """Return one sentence for the owner."""
        return text(self.key or f"doctor.{self.name}", language, **self.values)


@dataclass
class Box:
    """What is looked at, and how far that may go."""

    settings: Settings
    """As far as they can be used."""
    config_file: Path | None = None
    """Read this file alone, instead of the usual ones."""
    overrides: tuple[str, ...] = ()
    report: dict[str, Any] | None = None
    """The running service's (see ``App.health``); None: it is not running, or may not be asked."""
    silence: str = ""
    """Why there is no report; empty: no service is running."""
    root: Path = Path("/")
    """Where /proc, /sys, /dev and /run are looked for."""
    play: bool = True
    """A chirp may be played."""
    ask_providers: bool = False
    """Providers may be asked for a word, which may cost money."""

    @property
    def running(self) -> bool:
        """Whether there is a service to ask."""
        return self.report is not None

    @cached_property
    def proc(self) -> Path:
        return self.root / "proc"

    @cached_property
    def sys(self) -> Path:
        return self.root / "sys"

    @cached_property
    def data_dir(self) -> Path:
        return paths.data_dir(self.settings.general.data_dir)

    @cached_property
    def models_dir(self) -> Path:
        return paths.models_dir(self.settings.general.models_dir)

    def told(self, name: str) -> dict[str, Any]:
        """Return the part *name* of the report; empty without one."""
        found = (self.report or {}).get(name)
        return found if isinstance(found, dict) else {}


def read_text(file: Path) -> str:
    """Return what a file of the kernel's says; empty where there is none."""
    try:
        return file.read_text("utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""
