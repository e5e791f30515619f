"""The settings that may be changed from here."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import ConfigDict, Field, RootModel

from appliance.errors import ConfigError
from appliance.web.api import BASE
from appliance.web.api.bodies import Answer, body, reply
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.services import Services

MAX_KEYS = 50
Value = (
    bool
    | Annotated[int, Field(ge=-(10**15), le=10**15)]
    | Annotated[float, Field(allow_inf_nan=False)]
    | Annotated[str, Field(max_length=1000)]
    | Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=50)]
    | None
)


class Changes(RootModel[dict[Annotated[str, Field(max_length=100)], Value]]):
    """Values by key, such as `{"listen.wake_threshold": 0.6}`; null: back to the default."""

    model_config = ConfigDict(strict=True, frozen=True)
    root: Annotated[
        dict[Annotated[str, Field(max_length=100)], Value],
        Field(min_length=1, max_length=MAX_KEYS),
    ]


class Setting(Answer):
    key: str
    type: str
    """`bool`, `int`, `float`, `text`, `time`, `choice` or `list`."""
    value: Any
    """As it is configured."""
    default: Any
    minimum: float | None
    maximum: float | None
    choices: list[str] | None
    optional: bool
    """It may be null."""
    restart: bool
    """A change takes effect when Luna is started again."""
    pending: bool
    """It was changed, and waits for that."""


class Settings(Answer):
    settings: list[Setting]


class Changed(Answer):
    changed: list[str]
    restart: bool
    """Some of it takes effect when Luna is started again."""
    waiting: list[str]
    """Which."""
    settings: list[Setting]


def routes(services: Services) -> list[Route]:
    """Return the routes of the configuration."""
    configuration = services.configuration

    async def listed(_: web.Request) -> web.Response:
        return reply({"settings": await configuration.rows()})

    async def change(request: web.Request) -> web.Response:
        values = (await body(request, Changes)).root
        try:
            return reply(await configuration.change(values))
        except ConfigError as error:
            raise RequestError(422, str(error)).worded(error.key, **error.values) from error

    reading = Doc("The settings that may be changed here, with their limits.", answer=Settings)
    changing = Doc(
        "Change settings. All of them are checked first, with the rest of the configuration: "
        "either all are kept, or none.",
        body=Changes,
        answer=Changed,
    )
    return [
        Route("GET", f"{BASE}/config", listed, "read", doc=reading),
        Route("PATCH", f"{BASE}/config", change, "admin", doc=changing),
    ]
