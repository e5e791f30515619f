"""What the page's server needs of the rest of Luna; :mod:`appliance.page` fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.bus import EventBus
from appliance.events import Event
from appliance.settings import Settings


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
