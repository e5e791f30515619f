"""Who may answer, and how they are."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, reply
from appliance.web.routing import Doc, Route
from appliance.web.services import Services


class Provider(Answer):
    name: str
    place: Literal["box", "lan", "cloud"]
    status: str
    cooldown_s: float
    """How long it is left alone yet."""
    last_error: str


class Providers(Answer):
    providers: list[Provider]


def routes(services: Services) -> list[Route]:
    """Return the route of the providers."""

    async def providers(_: web.Request) -> web.Response:
        return reply({"providers": services.health()["providers"]})

    doc = Doc(
        "The providers in the order in which they are asked, and their state.", answer=Providers
    )
    return [Route("GET", f"{BASE}/providers", providers, "read", doc=doc)]
