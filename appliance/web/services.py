"""What the page's server needs of the rest of Luna; :mod:`appliance.page` fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.bus import EventBus
from appliance.events import Event
from appliance.settings import Settings
from appliance.web import ports

if TYPE_CHECKING:
    from appliance.web.events_stream import EventStream


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of the running service that handlers may use."""

    bus: EventBus
    """Public events, and the snapshot."""
    request: Callable[[Event], None]
    """Takes what a person asks for; raises ServiceError when it is refused."""
    health: Callable[[], dict[str, Any]]
    """Returns the report on workers, rings and devices."""
    settings: Settings
    data_dir: Path
    """Where what must survive is kept."""
    events: EventStream
    """What `/events` sends."""
    turns: Callable[[int], list[dict[str, Any]]]
    """Returns the last turns, newest first."""
    report: Callable[[], dict[str, Any]]
    """Returns the last report of the day: ``at``, ``text``; empty before the first."""
    vitals: Callable[[], dict[str, Any]]
    """Returns how the box is at this moment, in the form of ``Vitals``."""
    alive: Callable[[], bool]
    """Returns whether the main process gets to its work."""
    reminders: Callable[[], int]
    """Returns how many reminders wait for their time."""
    log: ports.Log
    conversations: ports.Conversations
    knowledge: ports.Knowledge
    configuration: ports.Configuration
    persona: ports.Persona
    images: ports.Images
    backups: ports.Backups
    ledger: ports.Ledger
