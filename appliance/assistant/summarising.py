"""Sums up what no longer fits into a prompt, while the model has nothing else to do."""

from __future__ import annotations

import asyncio

from appliance.assistant.history import History
from appliance.assistant.local_models import LocalModels
from appliance.assistant.prompts import Prompts
from appliance.chat import estimate_tokens, summary_request, to_summarise
from appliance.errors import LunaError
from appliance.providers.base import ChatRequest, Role

IDLE_S = 20.0
"""After the end of a turn; the next question often follows soon."""
MAX_TOKENS = 120
_NO_TURN = 0


class Summariser:
    """Works between the turns; the next question interrupts it, and nothing is lost by that.

    Args:
        history: the conversation.
        local: the box's own models: a summary is never worth money.
        prompts: hold the instruction.
        history_tokens: of the conversation that go into a prompt.
    """

    def __init__(
        self, history: History, local: LocalModels, prompts: Prompts, history_tokens: int
    ) -> None:
        self._history = history
        self._local = local
        self._prompts = prompts
        self._history_tokens = history_tokens
        self._task: asyncio.Task[None] | None = None
        self._attempts = 0

    def start(self, language: str) -> None:
        """A turn has ended: sum up in a moment what has become too much."""
        self.stop()
        self._task = asyncio.create_task(self._work(language))

    def stop(self) -> None:
        """A question comes: it has the model for itself."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _work(self, language: str) -> None:
        await asyncio.sleep(IDLE_S)
        prompt = self._prompts.render(language).text
        messages = self._history.messages(prompt)
        budget = estimate_tokens(messages[0]) + self._history_tokens
        dropped = to_summarise(messages, budget, estimate_tokens)
        if not dropped:
            return
        beginning = self._history.beginning
        instruction = self._prompts.render(language, "summary").text
        self._attempts += 1
        request = ChatRequest(
            role=self._role(),
            messages=summary_request(instruction, dropped, self._history.summary),
            max_tokens=MAX_TOKENS,
            temperature=0.0,
            turn_id=_NO_TURN,
            attempt=self._attempts,
        )
        try:
            pieces = [delta.text async for delta in self._local.stream(request)]
        except LunaError:
            return  # the next pause is soon enough; the prompt is cut without it
        if summary := "".join(pieces).strip():
            self._history.compact(summary, len(dropped), beginning)
        # The conversation begins otherwise now: it is read again before somebody waits for it.
        self._local.warm("chat", self._history.messages(prompt))

    def _role(self) -> Role:
        """Return the role that sums up: one with a cache of its own, where that costs no memory.

        In the chat's cache the summary would take the place of the conversation, and the next
        question, which interrupts it, would have to wait until all of that was read again: 4 s
        for 1,000 tokens on two x86 cores.
        """
        return "code" if self._local.model("code") == self._local.model("chat") else "chat"
