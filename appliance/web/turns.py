"""The last turns with their timings, and the report of the day."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import Field

from appliance.web.api.bodies import Query, query, reply
from appliance.web.routing import Doc, Route
from appliance.web.services import Services


class Newest(Query):
    """How many turns are wanted."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50


def routes(services: Services) -> list[Route]:
    """Return the routes of this module."""

    async def turns(request: web.Request) -> web.Response:
        return reply({"turns": services.turns(query(request, Newest).limit)})

    async def report(_: web.Request) -> web.Response:
        return reply(services.report())

    return [
        Route(
            "GET",
            "/api/v1/turns",
            turns,
            "read",
            doc=Doc(
                "The last turns, the newest first: the fields of `turn_ended`, the time of day "
                "as `at`, and the verdict on each timing.",
                query=Newest,
            ),
        ),
        Route(
            "GET",
            "/api/v1/report",
            report,
            "read",
            doc=Doc("The last report of the day: `at` and `text`; empty before the first."),
        ),
    ]
