"""What comes in: bodies and queries, checked; and the form of what goes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from appliance.web.routing import JSON, KILOBYTE, RequestError

M = TypeVar("M", bound=BaseModel)

MAX_JSON = 64 * KILOBYTE
CHUNK = 64 * KILOBYTE
MAX_ID = 10**15 - 1
NUMBER = r"\d{1,15}"
"""Pattern of a number in a path: what fits into a database's integer."""


def _written(text: str) -> str:
    text = text.replace("\0", " ")
    if not text.strip():
        raise ValueError("must have something written in it")
    return text


Written = Annotated[str, AfterValidator(_written), Field(json_schema_extra={"pattern": "\\S"})]
"""Text from outside that says something; how long it may be, each field says."""


class Body(BaseModel):
    """Base of all bodies and queries: nothing else may be in them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """The same for what is in the address, where everything is text."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """Base of all answers, for the API's description."""


class Done(Answer):
    """It was done."""

    done: bool = True


async def read(request: web.Request, limit: int) -> bytes:
    """Return the body.

    Raises:
        RequestError: 413: it has more than *limit* bytes.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    data = bytearray()
    try:
        async for chunk in request.content.iter_chunked(CHUNK):
            data += chunk
            if len(data) > limit:
                raise _too_large(limit)
    except web.HTTPRequestEntityTooLarge as error:
        raise _too_large(limit) from error
    return bytes(data)


def _too_large(limit: int) -> RequestError:
    return RequestError(413, f"a body here has {limit:,} bytes at most").worded("refusal.too_large")


async def body(request: web.Request, model: type[M], *, needed: bool = True) -> M:
    """Return the JSON in the body as a *model*; where it is not *needed*, it may be missing.

    Raises:
        RequestError: 400 (no JSON), 413 (too large), 415 (not said to be JSON), 422 (it does not
            fit; the sentence says where).
    """
    data = await read(request, MAX_JSON)
    if not data and not needed:
        return _checked(model, {})
    if request.content_type != JSON:
        raise RequestError(415, f"send the body as {JSON}")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        if any(found["type"] == "json_invalid" for found in error.errors()):
            raise RequestError(400, "the body is not JSON") from error
        raise RequestError(422, _sentence(error)) from error


def query(request: web.Request, model: type[M]) -> M:
    """Return what the address says after the question mark as a *model*.

    Raises:
        RequestError: 400: it does not fit, or a name is there twice.
    """
    found = request.query
    if len(found) != len(set(found)):
        raise RequestError(400, "a name in the query must be there once")
    try:
        return model.model_validate(dict(found))
    except ValidationError as error:
        raise RequestError(400, _sentence(error)) from error


def _checked(model: type[M], values: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise RequestError(422, _sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    """Return what is wrong, without what was sent."""
    parts = []
    for found in error.errors(include_input=False, include_url=False, include_context=False)[:5]:
        place = ".".join(str(part)[:40] for part in found["loc"])
        message = found["msg"][0].lower() + found["msg"][1:]
        parts.append(f"{place}: {message}" if place else message)
    return "; ".join(parts)


def number(request: web.Request, name: str = "id") -> int:
    """Return a number in the path; its pattern let nothing else in."""
    return int(request.match_info[name])


def reply(values: Any, status: int = 200) -> web.Response:
    """Return *values* as JSON."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type=JSON)
