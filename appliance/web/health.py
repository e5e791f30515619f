"""`/health` and `/ready`: one word for whoever watches over the box; no log-in, no detail."""

from __future__ import annotations

from aiohttp import web

from appliance.events import Snapshot
from appliance.web.routing import Doc, Route
from appliance.web.services import Services

HEARING = ("audio", "listen")
_DEAF = frozenset({"missing", "lost", "deaf"})


def is_ready(snapshot: Snapshot) -> bool:
    """Return whether wake word and button work.

    A microphone that the owner has switched off works; it is only not heard.
    """
    workers = (snapshot.workers.get(name, {}).get("status") for name in HEARING)
    return (
        snapshot.state not in ("starting", "error")
        and all(status == "ready" for status in workers)
        and snapshot.microphone.get("status") not in _DEAF
    )


def routes(services: Services) -> list[Route]:
    """Return the routes of this module."""

    async def health(_: web.Request) -> web.Response:
        alive = services.alive()
        return _answer("ok" if alive else "stalled", good=alive)

    async def ready(_: web.Request) -> web.Response:
        good = is_ready(services.bus.snapshot)
        return _answer("ready" if good else "not ready", good=good)

    return [
        Route("GET", "/health", health, "open", doc=Doc("Whether Luna lives; 503 when not.")),
        Route(
            "GET",
            "/ready",
            ready,
            "open",
            doc=Doc("Whether wake word and button work; 503 when not."),
        ),
    ]


def _answer(status: str, *, good: bool) -> web.Response:
    return web.json_response({"status": status}, status=200 if good else 503)
