"""Pictures for questions about them."""

from __future__ import annotations

from aiohttp import web

from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, read, reply
from appliance.web.routing import Doc, Route
from appliance.web.services import Services

MAX_BYTES = 15_000_000


class Uploaded(Answer):
    image: str
    """Its id, for `/ask`; good for ten minutes."""


def routes(services: Services) -> list[Route]:
    """Return the route of pictures."""

    async def upload(request: web.Request) -> web.Response:
        return reply({"image": await services.images.add(await read(request, MAX_BYTES))}, 201)

    doc = Doc(
        "Send a JPEG, PNG or WebP picture, the bytes as they are, to ask about it.",
        body_types=("image/jpeg", "image/png", "image/webp", "application/octet-stream"),
        answer=Uploaded,
        status=201,
    )
    return [Route("POST", f"{BASE}/images", upload, "talk", max_body=MAX_BYTES, doc=doc)]
