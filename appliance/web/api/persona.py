"""The owner's own words in the system prompt."""

from __future__ import annotations

from typing import Annotated, Self

from aiohttp import web
from pydantic import AfterValidator, Field, model_validator

from appliance.errors import ConfigError
from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, Body, body, reply
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.services import Services

MAX_BYTES = 4096


def _small(text: str) -> str:
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(f"has more than {MAX_BYTES} bytes")
    return text.replace("\0", " ")


Part = Annotated[str, Field(max_length=MAX_BYTES), AfterValidator(_small)]


class Texts(Body):
    """By language, at least one; what is not named stays as it is."""

    en: Part | None = None
    pt: Part | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.en is None and self.pt is None:
            raise ValueError("name a language: en or pt")
        return self


class Persona(Answer):
    en: str
    pt: str


def routes(services: Services) -> list[Route]:
    """Return the routes of the persona."""

    async def show(_: web.Request) -> web.Response:
        return reply(await services.persona.read())

    async def write(request: web.Request) -> web.Response:
        texts = await body(request, Texts)
        try:
            await services.persona.write(texts.model_dump(exclude_none=True))
        except ConfigError as error:
            raise RequestError(422, str(error)) from error
        return reply(await services.persona.read())

    reading = Doc("What is said to the model about its manner, by language.", answer=Persona)
    writing = Doc(
        "Change it; the next question is answered with it. An empty text takes it away.",
        body=Texts,
        answer=Persona,
    )
    return [
        Route("GET", f"{BASE}/persona", show, "read", doc=reading),
        Route("PUT", f"{BASE}/persona", write, "admin", doc=writing),
    ]
