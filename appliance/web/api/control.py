"""Microphone, volume, stop, and the restart of a part."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from aiohttp import web
from pydantic import Field, model_validator

from appliance.errors import ServiceError
from appliance.events import (
    ButtonPressed,
    ButtonReleased,
    Event,
    MuteRequested,
    RestartRequested,
    StopRequested,
    VolumeRequested,
)
from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, Body, Done, body, reply
from appliance.web.routing import Doc, RequestError, Route, Scope
from appliance.web.services import Services


class Nothing(Body):
    """An empty object, or no body at all."""


class Listen(Body):
    held: bool = False
    """The utterance ends with `release`, and not by itself."""


class VolumeWanted(Body):
    """One of the two."""

    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    step: Annotated[int, Field(ge=-20, le=20)] | None = None
    """Louder (positive) or softer, in steps of the configured size."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.percent is None) == (self.step is None):
            raise ValueError("say either percent or step")
        return self


class Volume(Answer):
    volume: int
    """Percent."""


class Restart(Body):
    worker: Literal["audio", "listen", "stt", "tts", "llm"]


def routes(services: Services) -> list[Route]:
    """Return the routes of the controls."""

    def request_it(event: Event) -> None:
        try:
            services.request(event)
        except ServiceError as error:
            # It stands as it is for a reason, such as the mute switch.
            raise RequestError(409, str(error)).worded(error.key, **error.values) from error

    def simple(name: str, event: Event, summary: str) -> Route:
        async def handle(request: web.Request) -> web.Response:
            await body(request, Nothing, needed=False)
            request_it(event)
            return reply({"done": True})

        return _route(name, handle, "talk", _doc(summary, Nothing))

    async def listen(request: web.Request) -> web.Response:
        wanted = await body(request, Listen, needed=False)
        request_it(ButtonPressed(held=wanted.held))
        return reply({"done": True})

    async def volume(request: web.Request) -> web.Response:
        wanted = await body(request, VolumeWanted)
        percent = -1 if wanted.percent is None else wanted.percent
        request_it(VolumeRequested(percent=percent, step=wanted.step or 0))
        return reply({"volume": services.bus.snapshot.volume})

    async def restart(request: web.Request) -> web.Response:
        request_it(RestartRequested(worker=(await body(request, Restart)).worker))
        return reply({"done": True}, 202)

    return [
        simple("mute", MuteRequested(muted=True), "Switch the microphone off."),
        simple("unmute", MuteRequested(muted=False), "Switch the microphone on."),
        simple("stop", StopRequested(), "Stop whatever Luna is doing."),
        simple("release", ButtonReleased(), "End what a held `listen` began."),
        _route("listen", listen, "talk", _doc("Open the box's microphone.", Listen)),
        _route(
            "volume",
            volume,
            "talk",
            Doc("Set the volume, or move it.", body=VolumeWanted, answer=Volume),
        ),
        _route(
            "restart",
            restart,
            "admin",
            Doc("Kill a worker; a new one takes its place.", body=Restart, answer=Done, status=202),
        ),
    ]


def _doc(summary: str, model: type[Body]) -> Doc:
    return Doc(summary, body=model, body_needed=False, answer=Done)


def _route(name: str, handler: object, scope: Scope, doc: Doc) -> Route:
    return Route("POST", f"{BASE}/control/{name}", handler, scope, doc=doc)  # type: ignore[arg-type]
