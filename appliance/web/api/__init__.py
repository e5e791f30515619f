"""The JSON API under `/api/v1`: one module a resource, each with its routes."""

from __future__ import annotations

from appliance.web.routing import Route
from appliance.web.services import Services

BASE = "/api/v1"


def routes(services: Services) -> list[Route]:
    """Return the routes of all resources."""
    from appliance.web.api import (
        ask,
        backup,
        config,
        control,
        conversations,
        images,
        knowledge,
        persona,
        providers,
        quota,
        reminders,
        status,
    )

    modules = (
        status,
        ask,
        reminders,
        quota,
        providers,
        knowledge,
        conversations,
        config,
        control,
        backup,
        images,
        persona,
    )
    return [route for module in modules for route in module.routes(services)]
