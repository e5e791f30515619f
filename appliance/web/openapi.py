"""The API's description (OpenAPI 3.1), made from the routes themselves, so that it cannot drift."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from aiohttp import web

from appliance import __version__
from appliance.web.routing import EVENT_STREAM, JSON, Doc, Route

PATH = "/api/v1/openapi.json"
_PARAMETER = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})+))?\}")
_REFERENCE = "#/components/schemas/{model}"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": {"type": "string", "description": "One sentence."},
                "code": {
                    "type": ["integer", "string", "null"],
                    "description": "As a command would exit with.",
                },
            },
        }
    },
}
_SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token with the operation's scope: `luna web tokens`.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "luna_session",
        "description": "A browser that has logged in. Whatever changes something also needs the "
        "header X-CSRF-Token, with what GET /api/v1/session says.",
    },
}
_INFO = {
    "title": "Luna",
    "version": __version__,
    "description": "The API of the box in the house. Errors are JSON: one sentence, and the code "
    "with which a command would exit. The same routes are served on the Unix socket "
    "`api.sock` beside the control socket, where the kernel says who is calling.",
    "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
}


def route(routes: Callable[[], Iterable[Route]]) -> Route:
    """Return the route of the description of *routes*, itself among them."""

    @cache
    def text() -> str:
        return json.dumps(describe(routes()), ensure_ascii=False)

    async def send(_: web.Request) -> web.Response:
        return web.Response(text=text(), content_type=JSON)

    return Route("GET", PATH, send, "open", doc=Doc("This description."))


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the description of all *routes* under `/api/`, `/v1/` and of the few beside them."""
    schemas: dict[str, Any] = {"Error": _ERROR}
    operations: dict[str, dict[str, Any]] = {}
    for one in routes:
        if _described(one):
            path = _PARAMETER.sub(r"{\1}", one.path)
            operations.setdefault(path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "paths": operations,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


def _described(one: Route) -> bool:
    """Return whether this is the API's, and no file of the page."""
    return one.doc is not None or one.path.startswith(("/api/", "/v1/"))


def _operation(one: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    doc = one.doc or Doc(_first_line(one.handler))
    operation: dict[str, Any] = {
        "operationId": _name(one),
        "summary": doc.summary.partition(". ")[0].rstrip(".") + ".",
        "description": f"{doc.summary}\n\nScope: {one.scope}.",
        "tags": [_tag(one.path)],
        "parameters": [
            *_path_parameters(one.path),
            *_query_parameters(doc.query, schemas),
            *({"name": name, "in": "header", "schema": {"type": "string"}} for name in doc.headers),
        ],
        "responses": {
            str(doc.status): _answer(doc, schemas),
            "default": {
                "description": "It was refused, or failed.",
                "content": {JSON: {"schema": {"$ref": _REFERENCE.format(model="Error")}}},
            },
        },
        "security": [] if one.scope == "open" else [{name: []} for name in _SECURITY],
    }
    if body := _body(doc, schemas):
        operation["requestBody"] = body
    return operation


def _first_line(handler: object) -> str:
    text = (getattr(handler, "__doc__", None) or "").strip()
    return text.partition("\n")[0] or "See docs/api.md."


def _name(one: Route) -> str:
    words = re.findall(r"\w+", _PARAMETER.sub(r"\1", one.path.removeprefix("/api/v1")))
    return "_".join([one.method.lower(), *words])


def _tag(path: str) -> str:
    return path.removeprefix("/api/v1").strip("/").partition("/")[0].partition("{")[0] or "page"


def _path_parameters(path: str) -> list[dict[str, Any]]:
    found = []
    for name, pattern in _PARAMETER.findall(path):
        digits = re.fullmatch(r"\\d\{1,(\d+)\}|\\d\+", pattern)
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if digits:
            schema = {"type": "integer", "minimum": 0, "maximum": 10 ** int(digits[1] or 9) - 1}
        elif pattern:
            schema = {"type": "string", "pattern": f"^(?:{pattern})$"}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _query_parameters(model: Any, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = _schema(model, schemas, mode="validation", inline=True)
    needed = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": part}
        for name, part in schema.get("properties", {}).items()
    ]


def _body(doc: Doc, schemas: dict[str, Any]) -> dict[str, Any] | None:
    content: dict[str, Any] = {}
    if doc.body is not None:
        content[JSON] = {"schema": _schema(doc.body, schemas, mode="validation")}
    for media in doc.body_types:
        content[media] = (
            {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
            if media.startswith("multipart/")
            else {"schema": {"type": "string", "format": "binary"}}
        )
    return {"required": doc.body_needed, "content": content} if content else None


def _answer(doc: Doc, schemas: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for media in doc.answer_types:
        if media == JSON:
            known = doc.answer is not None
            schema = _schema(doc.answer, schemas, mode="serialization") if known else {}
            content[media] = {"schema": schema or {"type": "object"}}
        elif media == EVENT_STREAM:
            content[media] = {"schema": {"type": "string"}}
        else:
            content[media] = {"schema": {"type": "string", "format": "binary"}}
    answer: dict[str, Any] = {"description": "It was done."}
    return {**answer, "content": content} if content else answer


def _schema(model: Any, schemas: dict[str, Any], *, mode: Any, inline: bool = False) -> Any:
    """Return the schema of a type; what it is made of goes into *schemas*."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(model).json_schema(mode=mode, ref_template=_REFERENCE)
    prefix = model.__module__.rpartition(".")[2] if hasattr(model, "__module__") else ""
    definitions = schema.pop("$defs", {})
    text = json.dumps(schema)
    # Modules name their types shortly, so that the same name may be there twice.
    names = {name: f"{prefix.title().replace('_', '')}{name}" for name in definitions}
    for name, new in names.items():
        text = text.replace(
            f'"{_REFERENCE.format(model=name)}"', f'"{_REFERENCE.format(model=new)}"'
        )
    for name, definition in definitions.items():
        body = json.dumps(definition)
        for old, new in names.items():
            body = body.replace(
                f'"{_REFERENCE.format(model=old)}"', f'"{_REFERENCE.format(model=new)}"'
            )
        schemas[names[name]] = json.loads(body)
    schema = json.loads(text)
    if inline or "title" not in schema:
        return schema
    title = f"{prefix.title().replace('_', '')}{schema['title']}"
    schemas[title] = schema
    return {"$ref": _REFERENCE.format(model=title)}
