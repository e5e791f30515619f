"""Reads what clients of the OpenAI-compatible endpoints send, and answers what is wrong with it."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from appliance.errors import LunaError, StorageError, UsageError
from appliance.web.openai_parts import ApiError, Role
from appliance.web.routing import Handler

MAX_MESSAGES = 500
MAX_TEXT = 400_000
"""Characters of all messages together: more than any model here reads."""
MAX_IMAGES = 4
MAX_STOPS, MAX_STOP = 4, 200
MAX_TEMPERATURE = 2.0
BAD_REQUEST, TOO_LARGE, UNAVAILABLE = 400, 413, 503
_ROLES = {
    "system": "system",
    "developer": "system",  # what newer models call it
    "user": "user",
    "assistant": "assistant",
}
_REFUSED = {
    "tools": "tools are not supported; leave tools out",
    "functions": "functions are not supported; leave functions out",
    "logprobs": "log probabilities are not supported; leave logprobs out",
    "top_logprobs": "log probabilities are not supported; leave top_logprobs out",
    "audio": "spoken answers are not supported here; send the text to /v1/audio/speech",
    "web_search_options": "web search is not supported; leave web_search_options out",
}
"""What would change the answer altogether."""


@dataclass(frozen=True, kw_only=True)
class ChatAsked:
    """A request for an answer, checked."""

    model: str
    role: Role
    messages: tuple[Mapping[str, Any], ...]
    max_tokens: int | None
    temperature: float | None
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool


def answered(handler: Handler) -> Handler:
    """Return *handler* with its errors in OpenAI's form."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return _response(error)
        except LunaError as error:
            known = isinstance(error, UsageError)
            return _response(ApiError(str(error), status=BAD_REQUEST if known else UNAVAILABLE))

    return answer


def _response(error: ApiError) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    if error.retry_after_s > 0:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return web.json_response(error.body(), status=error.status, headers=headers)


async def json_body(request: web.Request, max_bytes: int) -> dict[str, Any]:
    """Return the object in the body.

    Raises:
        ApiError: it is too large (413), or no JSON object.
    """
    data = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > max_bytes:
            raise ApiError(f"the request has more than {max_bytes:,} bytes", status=TOO_LARGE)
    try:
        found = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise ApiError("the body is no JSON") from error
    if not isinstance(found, dict):
        raise ApiError("the body must be a JSON object")
    return found


async def chat_asked(
    body: dict[str, Any],
    models: Mapping[str, Role],
    image: Callable[[bytes], Awaitable[str]],
) -> ChatAsked:
    """Return the request in *body*; *image* checks a picture and returns its ``data:`` URL.

    Raises:
        ApiError: something in it is wrong, or cannot be done here.
    """
    name = body.get("model")
    if not isinstance(name, str) or name not in models:
        known = ", ".join(models)
        raise ApiError(
            f"there is no such model here: use {known}",
            status=404,
            code="model_not_found",
            param="model",
        )
    _refuse_what_cannot_be_done(body)
    messages, seen = await _messages(body.get("messages"), image)
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise ApiError("stream_options must be an object", param="stream_options")
    return ChatAsked(
        model=name,
        role="vision" if seen else models[name],
        messages=messages,
        max_tokens=_max_tokens(body),
        temperature=_number(body, "temperature", 0.0, MAX_TEMPERATURE),
        stop=_stop(body.get("stop")),
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
    )


def _refuse_what_cannot_be_done(body: dict[str, Any]) -> None:
    for field, sentence in _REFUSED.items():
        if body.get(field) and not (field == "tools" and body.get("tool_choice") == "none"):
            raise ApiError(sentence, code="unsupported_parameter", param=field)
    if body.get("n") not in (None, 1):
        raise ApiError("only one answer is written: n must be 1", param="n")
    form = body.get("response_format")
    if form and not (isinstance(form, dict) and form.get("type") == "text"):
        raise ApiError(
            "only text is written: leave response_format out",
            code="unsupported_parameter",
            param="response_format",
        )
    if body.get("modalities") not in (None, ["text"]):
        raise ApiError("only text is written: modalities must be ['text']", param="modalities")


def _max_tokens(body: dict[str, Any]) -> int | None:
    for field in ("max_completion_tokens", "max_tokens"):
        value = body.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ApiError(f"{field} must be a whole number above 0", param=field)
        return value
    return None


def _number(body: dict[str, Any], field: str, least: float, most: float) -> float | None:
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ApiError(f"{field} must be a number from {least:g} to {most:g}", param=field)
    return float(value)


def _stop(value: Any) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value or []
    if (
        not isinstance(words, list)
        or len(words) > MAX_STOPS
        or not all(isinstance(word, str) and 0 < len(word) <= MAX_STOP for word in words)
    ):
        raise ApiError(
            f"stop must be up to {MAX_STOPS} texts of 1 to {MAX_STOP} characters", param="stop"
        )
    return tuple(words)


# --- messages --------------------------------------------------------------------------------


async def _messages(
    given: Any, image: Callable[[bytes], Awaitable[str]]
) -> tuple[tuple[dict[str, Any], ...], bool]:
    """Return the messages in the form that models take, and whether there is a picture."""
    if not isinstance(given, list) or not 0 < len(given) <= MAX_MESSAGES:
        raise ApiError(f"messages must be a list of 1 to {MAX_MESSAGES}", param="messages")
    messages = []
    size = pictures = 0
    for place, message in enumerate(given):
        where = f"messages[{place}]"
        role = _ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            raise ApiError(
                f"{where}: the role must be one of {', '.join(_ROLES)}", param=f"{where}.role"
            )
        if message.get("tool_calls"):
            raise ApiError(f"{where}: tool calls are not supported", param=f"{where}.tool_calls")
        content = await _content(message.get("content"), role, where, image)
        images = sum(part["type"] == "image_url" for part in content if isinstance(part, dict))
        size += len(content) if isinstance(content, str) else _length(content)
        pictures += images
        if size > MAX_TEXT:
            raise ApiError(
                f"the messages have more than {MAX_TEXT:,} characters",
                code="context_length_exceeded",
                param="messages",
            )
        if pictures > MAX_IMAGES:
            raise ApiError(f"at most {MAX_IMAGES} images are looked at", param=f"{where}.content")
        messages.append({"role": role, "content": content})
    if messages[-1]["role"] != "user":
        raise ApiError("the last message must be the user's", param="messages")
    return tuple(messages), pictures > 0


def _length(parts: list[dict[str, Any]]) -> int:
    return sum(len(part.get("text", "")) for part in parts)


async def _content(
    content: Any, role: str, where: str, image: Callable[[bytes], Awaitable[str]]
) -> str | list[dict[str, Any]]:
    """Return a text, or where there is a picture a list of parts."""
    if isinstance(content, str):
        return content
    if content is None and role == "assistant":
        return ""
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise ApiError(
            f"{where}: the content must be a text or a list of parts", param=f"{where}.content"
        )
    parts: list[dict[str, Any]] = []
    for part in content:
        kind, text, picture = part.get("type"), part.get("text"), part.get("image_url")
        if kind == "text" and isinstance(text, str):
            parts.append({"type": "text", "text": text})
        elif kind == "image_url" and role == "user":
            if len(parts) > MAX_IMAGES * 4:
                raise ApiError(f"{where}: too many parts", param=f"{where}.content")
            url = picture.get("url") if isinstance(picture, dict) else picture
            parts.append(
                {"type": "image_url", "image_url": {"url": await _image(url, where, image)}}
            )
        else:
            raise ApiError(
                f"{where}: a part must be a text or, of the user's, an image_url",
                param=f"{where}.content",
            )
    if any(part["type"] == "image_url" for part in parts):
        return parts
    return "\n".join(part["text"] for part in parts)


async def _image(url: Any, where: str, check: Callable[[bytes], Awaitable[str]]) -> str:
    head, comma, data = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not (head.startswith("data:image/") and head.endswith(";base64") and comma):
        raise ApiError(
            f"{where}: an image must come as a data URL in base64; none is fetched",
            param=f"{where}.content",
        )
    try:
        return await check(await asyncio.to_thread(base64.b64decode, data, validate=True))
    except ValueError as error:
        raise ApiError(
            f"{where}: the image's base64 is damaged", param=f"{where}.content"
        ) from error
    except StorageError:
        raise
    except LunaError as error:
        raise ApiError(f"{where}: {error}", param=f"{where}.content") from error
