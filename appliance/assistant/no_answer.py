"""Why a provider was passed over, and the honest sentence when nobody could answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from appliance.errors import LunaError, ProviderError
from appliance.texts import text

SkipReason = Literal[
    "policy",
    "offline",
    "cooldown",
    "misconfigured",
    "unsupported",
    "quota",  # today's limit
    "uncounted",  # the ledger cannot be written
    "no_credit",  # the account with the provider is empty
    "deadline",
    "error",
]
MAX_REASONS = 2
"""A sentence for the ear names no more."""


@dataclass(frozen=True, kw_only=True)
class Skip:
    """A provider that did not answer, and why."""

    provider: str
    reason: SkipReason
    detail: str = ""
    """One sentence, or the kind of the error."""
    retry_s: float = 0.0
    """Seconds until it may be asked again, where that is known."""
    resets: datetime | None = None
    """When its quota begins anew, in the owner's time zone."""


_SKIPS: Mapping[str, SkipReason] = {
    "quota": "quota",
    "offline": "offline",
    "unsupported": "unsupported",
    "misconfigured": "misconfigured",
    "rejected": "misconfigured",
    "rate_limited": "cooldown",
}


def skip_of(name: str, error: LunaError, *, sent: bool) -> Skip:
    """Return why *name* did not answer, after *error*; *sent*: it had the request already."""
    reason = _SKIPS.get(getattr(error, "kind", ""), "error")
    if reason == "quota" and sent:
        reason = "no_credit"
    elif reason == "quota" and not hasattr(error, "resets_at"):
        reason = "uncounted"
    return Skip(
        provider=name,
        reason=reason,
        detail=str(error),
        retry_s=getattr(error, "retry_after_s", None) or 0.0,
        resets=getattr(error, "resets_at", None),
    )


class NoAnswerError(ProviderError):
    """Nobody could answer, or nobody could finish the answer."""

    def __init__(self, skipped: Sequence[Skip], *, role: str, given: str = "") -> None:
        """*given* is what had been answered before the last one failed."""
        reasons = "; ".join(f"{skip.provider}: {skip.detail or skip.reason}" for skip in skipped)
        what = "the answer broke off" if given else "nobody could answer"
        super().__init__(f"{what} ({reasons or 'no model is set up'})", kind="unanswered")
        self.skipped = tuple(skipped)
        self.role = role
        self.given = given


def only_reason(error: NoAnswerError) -> str:
    """Return what was wrong with the question itself, where the box's own model was asked alone.

    Who writes can do something about it (shorten it, install a model); for the ear it is too long.
    """
    asked = [skip for skip in error.skipped if skip.reason != "policy"]
    if len(asked) == 1 and asked[0].provider == "local" and asked[0].reason == "misconfigured":
        return asked[0].detail
    return ""


def sentence(error: NoAnswerError, language: str) -> str:
    """Return what Luna says when nothing can answer: short, and naming the reasons."""
    if error.role == "vision" and all(s.reason in ("unsupported", "policy") for s in error.skipped):
        return text("no_answer.vision", language)
    head = text("no_answer.broke_off" if error.given else "no_answer.head", language)
    reasons: list[str] = []
    # Whoever may answer again soonest, or can be helped by the owner, is worth naming first.
    for skip in sorted(error.skipped, key=lambda skip: _RANK.get(skip.reason, len(_RANK))):
        reason = _reason(skip, language)
        if reason and reason not in reasons:
            reasons.append(reason)
    return " ".join([head, *reasons[:MAX_REASONS]])


_RANK = {
    name: rank
    for rank, name in enumerate(
        ("quota", "no_credit", "uncounted", "offline", "misconfigured", "cooldown", "error")
    )
}


def _reason(skip: Skip, language: str) -> str:
    """Return one short sentence; empty where the owner decided so or need not know."""
    name = skip.provider.replace("_", " ").capitalize()
    if skip.provider == "local":
        return text("no_answer.local", language) if skip.reason in ("error", "deadline") else ""
    match skip.reason:
        case "quota" if skip.resets is not None:
            time = f"{skip.resets:%H:%M}"
            return text("no_answer.quota", language, provider=name, time=time)
        case "uncounted" | "no_credit":
            return text(f"no_answer.{skip.reason}", language, provider=name)
        case "cooldown" if skip.retry_s > 0:
            minutes = max(1, round(skip.retry_s / 60.0))
            key = "no_answer.cooldown" if minutes > 1 else "no_answer.cooldown_soon"
            return text(key, language, provider=name, minutes=minutes)
        case "offline":
            return text("no_answer.offline", language)
        case "misconfigured" | "cooldown" | "error" | "deadline":
            key = "misconfigured" if skip.reason == "misconfigured" else "error"
            return text(f"no_answer.{key}", language, provider=name)
    return ""
