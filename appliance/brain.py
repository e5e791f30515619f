"""Builds the thinking half of Luna: who answers, from what, and what is kept of it.

It is built after the workers that hear have started, because it imports much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from appliance import camera, engines, machine, paths
from appliance.assistant import provider_check
from appliance.assistant.answer_cache import AnswerCache
from appliance.assistant.answering import Answering, Reminders, RoleLimits
from appliance.assistant.builtin import BuiltIn
from appliance.assistant.conversations import Conversations
from appliance.assistant.hearing import Hearing
from appliance.assistant.history import History
from appliance.assistant.local_models import LocalModels
from appliance.assistant.prompts import Facts as PromptFacts
from appliance.assistant.prompts import Prompts
from appliance.assistant.recall import Recall
from appliance.assistant.router import Router
from appliance.assistant.saved_history import SavedHistory
from appliance.assistant.speaking import Speaking
from appliance.assistant.summarising import Summariser
from appliance.assistant.tools import Facts
from appliance.commands import Command
from appliance.errors import LunaError
from appliance.events import Event, Logged, NetworkChanged
from appliance.knowledge.coverage import KnowledgeBase
from appliance.knowledge.store import KnowledgeStore
from appliance.providers import assembly
from appliance.providers.base import Role
from appliance.providers.outbound_log import Outbound
from appliance.providers.speech import BYTES_PER_SAMPLE
from appliance.settings import Settings

MINUTE_S = 60.0
HOUR_S = 3600.0
MEGABYTE = 1_000_000
NETWORK_S = 5.0
"""How often the kernel's list of routes is read."""
EMBED_WITHIN_S = 1.0
"""A question that is not embedded by then is looked up by its words alone."""


@dataclass(frozen=True)
class Body:
    """What the thinking half needs of the rest."""

    send: Callable[[Command], bool]
    """Gives a command to the ``llm`` worker."""
    handle: Callable[[Event], None]
    """Takes an event of a turn (the coordinator)."""
    request: Callable[[Event], None]
    """Takes what a person asks for."""
    publish: Callable[[Event], None]
    """Takes an event for everybody."""
    facts: Callable[[datetime], Facts]
    """Returns what the built-in commands answer from, at a time."""
    history: History
    reminders: Reminders | None = None
    """What answers reminders; without a service there is none."""


class Brain:
    """Everything that answers; :meth:`close` stops it and writes what is left.

    Args:
        settings: the configuration.
        models: name of the local model by role; none for a role without one.
        body: the rest of Luna.
    """

    def __init__(self, settings: Settings, models: Mapping[str, str], body: Body) -> None:
        self._settings = settings
        self._body = body
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._stack = AsyncExitStack()
        self._data = paths.data_dir(settings.general.data_dir)
        self._zone = assembly.owner_zone()
        self._for_speech = assembly.usable(settings, "stt") | assembly.usable(settings, "tts")
        llm = settings.llm
        self.limits: dict[Role, RoleLimits] = {
            "chat": RoleLimits(llm.max_tokens, llm.temperature),
            "code": RoleLimits(llm.code_max_tokens, llm.code_temperature),
            "vision": RoleLimits(llm.vision_max_tokens, llm.vision_temperature),
        }
        self.local = LocalModels(body.send, models)
        self.providers = assembly.assemble(settings, on_event=body.publish)
        self.router = Router(
            {"local": self.local, **self.providers.clients},
            ledger=self.providers.ledger,
            breaker=self.providers.breaker,
            network=self.providers.network,
            policy=self.providers.policy,
            publish=body.publish,
            start_within_s=settings.routing.start_within_s,
            history_tokens=settings.assistant.history_tokens,
        )

    async def start(self) -> Answering:
        """Open what is kept on the disk; return what answers."""
        settings, body = self._settings, self._body
        self._stack.push_async_callback(self.providers.close)
        await self.providers.ledger.start()
        saved = self._saved_history()
        recall = self._recall()
        self._stack.push_async_callback(recall.close)
        prompts = Prompts(paths.config_dir() / "prompts", PromptFacts(device=machine.model()))
        answering = self.answering = Answering(
            router=self.router,
            local=self.local,
            history=body.history,
            prompts=prompts,
            limits=self.limits,
            recall=recall,
            tool=BuiltIn(lambda: body.facts(datetime.now(self._zone)), body.request, body.history),
            camera=camera.capture,
            emit=body.handle,
            summariser=Summariser(
                body.history, self.local, prompts, settings.assistant.history_tokens
            ),
            reminders=body.reminders,
            refresh=partial(self._refresh, saved),
            hearing=self._hearing(),
            speaking=self._speaking(),
        )
        self._stack.push_async_callback(answering.close)
        if any(candidate.place == "cloud" for candidate in self.router.policy.others):
            self._tasks.add(self._loop.create_task(self._watch_network()))
        return answering

    async def _watch_network(self) -> None:
        """Tell everybody when the network comes or goes."""
        known = None
        while True:
            online = not self.providers.network.offline()
            if online is not known:
                known = online
                self._body.publish(NetworkChanged(online=online))
            await asyncio.sleep(NETWORK_S)

    async def close(self) -> None:
        """Stop all work, book it, and close every file."""
        for task in self._tasks:
            task.cancel()
        await self._stack.aclose()

    def test(self, name: str) -> None:
        """Ask one provider for one word; ``ProviderTested`` follows."""

        async def ask() -> None:
            self._body.publish(await provider_check.check(self.router, name))

        task = self._loop.create_task(ask())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def report(self) -> list[dict[str, Any]]:
        """Return the state of the providers, for ``/health``."""
        rows = self.router.report()
        for row in rows:
            # Who only hears or speaks is none of the router's.
            if row["name"] in self._for_speech and row["name"] not in self.router.providers:
                row["status"] = self.providers.breaker.health(row["name"]).status
        return rows

    def _saved_history(self) -> SavedHistory | None:
        settings = self._settings.history
        if not settings.enabled:
            return None
        saved = SavedHistory(
            Conversations(self._data),
            self._warn,
            keep_days=settings.keep_days,
            max_messages=settings.max_messages,
        )
        self._stack.callback(saved.close)
        self._body.history.keep_with(saved)
        return saved

    async def _refresh(self, saved: SavedHistory | None) -> None:
        """Take up the conversation that is on the disk, unless it is over."""
        history, minutes = self._body.history, self._settings.history.idle_minutes
        if saved is not None:
            await saved.refresh(history)
        if minutes:
            history.end_rested(minutes * MINUTE_S)

    def _hearing(self) -> Hearing | None:
        """Return what chooses who transcribes; None where that is always the box."""
        able = assembly.usable(self._settings, "stt")
        if not able:
            return None
        parts = self.providers

        def note(provider: str, model: str, turn_id: int, samples: int) -> None:
            if parts.outbound is not None:
                address = able[provider][0].base_url
                size = samples * BYTES_PER_SAMPLE
                parts.outbound.record(Outbound.of_sound(provider, address, model, turn_id, size))

        hearing = Hearing(
            {name: provider.model("stt") for name, (provider, _) in able.items()},
            ledger=parts.ledger,
            breaker=parts.breaker,
            network=parts.network,
            policy=parts.policy,
            emit=self._body.handle,
            note=note,
            publish=self._body.publish,
        )
        self._stack.push_async_callback(hearing.close)
        return hearing

    def _speaking(self) -> Speaking | None:
        """Return what chooses whose voice speaks; None where that is always the box's own."""
        able = assembly.usable(self._settings, "tts")
        if not able:
            return None
        parts = self.providers

        def note(provider: str, model: str, turn_id: int, text: str) -> None:
            if parts.outbound is not None:
                address = able[provider][0].base_url
                parts.outbound.record(Outbound.of_speech(provider, address, model, turn_id, text))

        speaking = Speaking(
            {name: provider.voices for name, (provider, _) in able.items()},
            {name: provider.model("tts") for name, (provider, _) in able.items()},
            ledger=parts.ledger,
            breaker=parts.breaker,
            network=parts.network,
            policy=parts.policy,
            note=note,
            publish=self._body.publish,
        )
        self._stack.push_async_callback(speaking.close)
        return speaking

    def _recall(self) -> Recall:
        cache, knowledge = self._settings.cache, self._settings.knowledge
        answers = store = documents = embedder = None
        if cache.enabled:
            answers = AnswerCache(
                paths.cache_dir(),
                lifetime_s={"chat": cache.chat_hours * HOUR_S, "code": cache.code_hours * HOUR_S},
                max_entries=cache.max_entries,
                max_bytes=cache.max_megabytes * MEGABYTE,
            )
        if knowledge.enabled:
            store = KnowledgeStore(self._data)
            embedder = engines.embedder(self._settings, EMBED_WITHIN_S)
            documents = KnowledgeBase(
                store, embedder, threshold=knowledge.threshold, on_error=self._warn
            )

        def close() -> None:
            for part in (answers, store, embedder):
                if part is not None:
                    part.close()

        recall = Recall(documents, answers, self._warn, close)
        recall.prepare()
        return recall

    def _warn(self, error: LunaError) -> None:
        """Tell the owner; may be called in any thread."""
        warning = Logged(level="warning", text=str(error))
        self._loop.call_soon_threadsafe(self._body.publish, warning)
