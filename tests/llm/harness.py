"""The real worker process with a test at the other end of its channel."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from appliance.commands import Generate
from appliance.events import (
    GenerationFinished,
    Message,
    ModelLoaded,
    ModelLoading,
    ModelUnloaded,
    TokensGenerated,
)
from appliance.ipc import WorkerChannel, channel_pair
from appliance.llm import process
from appliance.llm.roles import role_models
from appliance.models.catalogue import load_catalogue
from appliance.settings import LlmSettings
from appliance.worker import WorkerContext


class Worker:
    """One worker process; ``main`` is the other end of its channel."""

    def __init__(self, settings: LlmSettings, models_dir: Path, state_dir: Path) -> None:
        ours, theirs = channel_pair()
        self.main = WorkerChannel(ours)
        roles = role_models(settings, load_catalogue(), models_dir)
        build = partial(process.load, roles, models_dir, state_dir, settings)
        self.process = multiprocessing.get_context("spawn").Process(
            target=process.main, args=(WorkerContext("llm", theirs), build), daemon=True
        )
        self.process.start()
        theirs.close()
        self._turn_id = 0
        self.loading: list[Message] = []
        """What was told about models being loaded and unloaded."""

    def next(self) -> Message:
        """Wait for the next event that is not about loading; see ``loading``."""
        while True:
            message = self.main.receive(120.0)
            assert message is not None, "no event came"
            if not isinstance(message, ModelLoading | ModelLoaded | ModelUnloaded):
                return message
            self.loading.append(message)

    def ask(
        self,
        *messages: dict[str, Any],
        max_tokens: int = 30,
        temperature: float = 0.0,
        role: str = "chat",
        continues: str = "",
    ) -> int:
        """Send a request without waiting; return its turn."""
        self._turn_id += 1
        self.main.send(
            Generate(
                turn_id=self._turn_id,
                attempt=1,
                role=role,
                messages=messages,
                max_tokens=max_tokens,
                temperature=temperature,
                continues=continues,
            )
        )
        return self._turn_id

    def answer(
        self, on_text: Callable[[str], None] = lambda _: None
    ) -> tuple[str, GenerationFinished]:
        """Wait for the whole answer, handing each piece to *on_text* as it comes."""
        text = ""
        while not isinstance(message := self.next(), GenerationFinished):
            assert isinstance(message, TokensGenerated), message
            on_text(message.text)
            text += message.text
        return text, message


@contextmanager
def worker(model: str, models_dir: Path, state_dir: Path, **settings: Any) -> Iterator[Worker]:
    """Run a worker whose chat model is *model*; *settings* are of ``[llm]``."""
    options = {"chat_model": model, "code_model": model, **settings}
    made = Worker(LlmSettings(**options), models_dir, state_dir)
    try:
        yield made
    finally:
        made.main.close()
        made.process.join(10.0)
        if made.process.is_alive():
            made.process.kill()
            made.process.join()
