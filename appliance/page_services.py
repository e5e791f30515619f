"""Fills what the page's handlers may use of the running service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from appliance import engines, paths
from appliance.assistant.conversations import Conversations
from appliance.errors import LunaError, ServiceError
from appliance.events import Logged
from appliance.knowledge.store import KnowledgeStore
from appliance.page_config import PageConfiguration
from appliance.page_stores import (
    PageBackups,
    PageConversations,
    PageImages,
    PageKnowledge,
    PageLedger,
    PagePersona,
)
from appliance.storage.background import Background
from appliance.web.events_stream import EventStream
from appliance.web.services import Services

if TYPE_CHECKING:
    from appliance.app import App


def services_of(app: App, stack: AsyncExitStack) -> Services:
    """Return the services; what they open is closed with *stack*.

    Raises:
        ServiceError: this part of Luna has no model to think with.
    """
    brain, settings = app.brain, app.settings
    if brain is None:
        raise ServiceError("there is no page without the worker llm")
    data_dir = paths.data_dir(settings.general.data_dir)
    disk = Background("page")
    stack.callback(disk.close)
    kept = Conversations(data_dir) if settings.history.enabled else None
    if kept is not None:
        stack.callback(kept.close)
    documents = KnowledgeStore(data_dir)
    stack.callback(documents.close)
    events = EventStream(app.bus)

    def warn(error: LunaError) -> None:
        app.bus.publish(Logged(level="warning", text=str(error)))

    def persona_changed(language: str) -> None:
        if language == app.settings.general.language:
            brain.answering.warm(language)

    return Services(
        bus=app.bus,
        request=app.request,
        health=app.health,
        settings=settings,
        data_dir=data_dir,
        events=events,
        turns=app.turns.newest,
        report=lambda: app.turns.report,
        vitals=app.watcher.current,
        alive=app.watcher.alive,
        reminders=lambda: app.diary.waiting() if app.diary else 0,
        log=app.log,
        conversations=PageConversations(kept, disk, app.coordinator.history.clear),
        knowledge=PageKnowledge(documents, disk, lambda: engines.embedder(settings), warn),
        configuration=PageConfiguration(app, disk),
        persona=PagePersona(paths.config_dir() / "prompts", disk, persona_changed),
        images=PageImages(),
        backups=PageBackups(data_dir),
        ledger=PageLedger(settings),
    )
