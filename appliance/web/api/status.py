"""How Luna is."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from appliance.events import to_dict
from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, reply
from appliance.web.routing import Doc, Route
from appliance.web.services import Services


class Status(Answer):
    snapshot: dict[str, Any]
    """As the first event of `/events`."""
    health: dict[str, Any]
    """Workers, rings, devices and providers."""


def routes(services: Services) -> list[Route]:
    """Return the route of the state."""

    async def status(_: web.Request) -> web.Response:
        return reply({"snapshot": to_dict(services.bus.current()), "health": services.health()})

    doc = Doc("The state of Luna and of her parts.", answer=Status)
    return [Route("GET", f"{BASE}/status", status, "read", doc=doc)]
