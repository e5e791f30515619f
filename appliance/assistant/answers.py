"""What the router hands out while an answer is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.assistant.no_answer import Skip
from appliance.providers.base import Usage


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Who answers from here on; comes with the first token, and again when another goes on."""

    provider: str
    model: str
    reason: str
    """``first`` choice, ``next`` (others were passed over), ``hedge`` (others were too slow) or
    ``continues`` (the one before broke off)."""
    skipped: tuple[Skip, ...] = ()
    first_token_ms: float = 0.0
    """From asking this provider to its first token."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The answer is complete."""

    provider: str
    model: str
    reason: str
    """``stop``, ``length`` or ``tool_calls``."""
    usage: Usage
    """Of the last provider; what others have used is in the ledger."""
    first_token_ms: float
    tool_calls: tuple[Mapping[str, Any], ...] = ()


Answer = Chosen | Text | Finished
