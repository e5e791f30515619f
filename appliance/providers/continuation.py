"""Going on with an answer that another provider began, so that nothing is heard twice.

A provider that takes a trailing assistant message as the beginning of its own answer goes on
exactly there. Others are asked to in words, and some of those begin again with the whole answer
or with its last sentence: such a repetition is cut off here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.chat import ChatMessage
from appliance.providers.known import Continues

MIN_REPEATED_WORDS = 3
"""Fewer words that come again are taken for the speaker's own ("very, very")."""
MAX_COMPARED = 4000
"""Characters of the beginning that are searched for a repetition."""
_NO_SPACE_AFTER = set("([{/\\-_“«\"'`=#@")


def with_beginning(
    messages: Sequence[ChatMessage], beginning: str, how: Continues, instruction: str
) -> tuple[list[ChatMessage], Mapping[str, Any]]:
    """Return the messages that ask for what follows *beginning*, and more fields of the request.

    Blanks at its end are not sent: models were trained on words that carry the blank before them,
    and some services refuse them.
    """
    said = beginning.rstrip()
    if how == "instruction":
        return [
            *messages,
            {"role": "assistant", "content": said},
            {"role": "user", "content": instruction},
        ], {}
    if how == "prefix":
        return [*messages, {"role": "assistant", "content": said, "prefix": True}], {}
    fields = {"continue_final_message": True, "add_generation_prompt": False}
    last: ChatMessage = {"role": "assistant", "content": said}
    return [*messages, last], fields if how == "continue_final" else {}


class Continuation:
    """Passes on what follows a beginning: without its repetition, and joined with one blank."""

    def __init__(self, beginning: str, how: Continues) -> None:
        self._beginning = beginning
        self._exact = how != "instruction"
        self._held = ""
        self._deciding = bool(beginning)
        # The ends of the beginning that could come again. A model that goes on exactly may only
        # be suspected of repeating everything: its own repetitions are meant.
        said = " ".join(beginning[-MAX_COMPARED:].split())
        starts = [0] if len(beginning) <= MAX_COMPARED else []
        if not self._exact:
            starts += [match.end() for match in re.finditer(" ", said)]
        ends = (said[start:] for start in starts)
        self._repeats = [end for end in ends if end.count(" ") >= MIN_REPEATED_WORDS - 1]

    def feed(self, text: str) -> str:
        """Return what of *text*, and of what was held back, is new."""
        if not self._deciding:
            return self._joined(text)
        self._held += text
        said = " ".join(self._held.split())
        if any(end.startswith(said) for end in self._repeats):
            return ""  # still the same words: more must be seen
        return self._decide()

    def close(self) -> str:
        """Return what was held back, at the end of the answer."""
        return self._decide() if self._deciding else ""

    def _decide(self) -> str:
        self._deciding = False
        new = self._held
        for end in self._repeats:  # the longest first
            pattern = r"\s*" + r"\s+".join(map(re.escape, end.split()))
            pattern += r"(?!\w)" if end[-1].isalnum() else ""
            if match := re.match(pattern, new):
                new = new[match.end() :]
                break
        return self._joined(new)

    def _joined(self, new: str) -> str:
        """Return *new*, at first with the blank that is missing, or without one too many."""
        before = self._beginning[-1:]
        if not (new and before):
            return new
        if before.isspace() and not (new := new.lstrip(" ")):
            return ""
        self._beginning = ""
        if before.isspace():
            return new
        first = new[0]
        if first.isspace() or not (first.isalnum() or first in "([{¿¡“«"):
            return new
        if self._exact:
            # Inside a word nothing is missing; after a sentence it is, except within a number.
            missing = before in ",;:!?…" or (before == "." and not first.isdigit())
            missing = missing and not (before in ",:" and first.isdigit())
        else:
            missing = before not in _NO_SPACE_AFTER
        return f" {new}" if missing else new
