"""Carries out the built-in commands: what a person can say to the box itself."""

from __future__ import annotations

from collections.abc import Callable

from appliance.assistant import tools
from appliance.assistant.history import History
from appliance.assistant.intent import Intent
from appliance.events import (
    Event,
    LanguageRequested,
    MuteRequested,
    PairingRequested,
    StopRequested,
    VolumeRequested,
)


class BuiltIn:
    """Answers ``system`` intents from the facts, and has their effects done.

    Args:
        facts: returns what is known now.
        request: takes what a person asks for, as from a button.
        history: the conversation.
    """

    def __init__(
        self,
        facts: Callable[[], tools.Facts],
        request: Callable[[Event], None],
        history: History,
    ) -> None:
        self._facts = facts
        self._request = request
        self._history = history

    async def __call__(self, intent: Intent, language: str, turn_id: int) -> str:
        """Do what *intent* names; return what is said of it in the turn."""
        answer = tools.run(intent, self._facts(), language)
        if answer.volume is not None:
            self._request(VolumeRequested(percent=answer.volume))
        if answer.language != language:
            self._request(LanguageRequested(language=answer.language, turn_id=turn_id))
        match intent.command:
            case "mute" | "unmute":
                self._request(MuteRequested(muted=intent.command == "mute"))
            case "new_conversation":
                self._history.clear()
            case "stop":
                self._request(StopRequested())
            case "pair":
                self._request(PairingRequested())
        return answer.text
