"""What providers used, and what is left today."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, Query, query, reply
from appliance.web.routing import Doc, Route
from appliance.web.services import Services


class Days(Query):
    days: Annotated[int, Field(ge=1, le=365)] = 30


class Amounts(Answer):
    """Of each measure; null: there is no limit."""

    tokens: float | None
    requests: float | None
    cost: float | None
    """US dollars."""


class Today(Answer):
    provider: str
    used: Amounts
    """With what is reserved for answers under way."""
    limit: Amounts
    left: Amounts
    percent: float | None
    """Of the limit that is nearest; null: there is none."""


class Quota(Answer):
    day: str
    """Today, `YYYY-MM-DD`."""
    resets_at: str
    time_zone: str
    today: list[Today]
    days: list[dict[str, Any]]
    """A row for each day and provider, the newest day first; see `luna quota --json`."""


def routes(services: Services) -> list[Route]:
    """Return the route of the quotas."""

    async def quota(request: web.Request) -> web.Response:
        found = await services.ledger.report(query(request, Days).days)
        today = [_today(row) for row in found["days"] if row["day"] == found["today"]]
        return reply(
            {
                "day": found["today"],
                "resets_at": found["resets_at"],
                "time_zone": found["time_zone"],
                "today": today,
                "days": found["days"],
            }
        )

    doc = Doc(
        "What each provider used, day by day, and what is left today.", query=Days, answer=Quota
    )
    return [Route("GET", f"{BASE}/quota", quota, "read", doc=doc)]


def _today(row: dict[str, Any]) -> dict[str, Any]:
    used, limits = row["taken"], row["limits"]
    left = {
        name: None if allowed is None else max(allowed - used[name], 0)
        for name, allowed in limits.items()
    }
    return {
        "provider": row["provider"],
        "used": used,
        "limit": limits,
        "left": left,
        "percent": row["percent"],
    }
