"""The owner's documents."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from appliance.web.api import BASE
from appliance.web.api.bodies import CHUNK, NUMBER, Answer, Done, number, read, reply
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.services import Services

MAX_BYTES = 20_000_000
ENVELOPE = 64 * 1024
"""What a form adds to its file at most."""
MAX_NAME = 120
"""Characters of a name."""
MULTIPART = "multipart/form-data"


class Document(Answer):
    id: int
    name: str
    """As it was sent; shown as text."""
    format: str
    """`txt`, `md`, `html` or `pdf`, by its content."""
    language: str
    bytes: int
    added: float
    """Seconds since 1970."""
    chunks: int


class Documents(Answer):
    documents: list[Document]


class Added(Answer):
    document: Document


def routes(services: Services) -> list[Route]:
    """Return the routes of documents."""

    async def listed(_: web.Request) -> web.Response:
        return reply({"documents": await services.knowledge.documents()})

    async def add(request: web.Request) -> web.Response:
        if request.content_type == MULTIPART:
            name, data = await _from_form(request)
        else:
            name = unquote(request.headers.get("X-File-Name", ""))
            data = await read(request, MAX_BYTES)
        document = await services.knowledge.add(file_name(name), data)
        return reply({"document": document}, 201)

    async def remove(request: web.Request) -> web.Response:
        if not await services.knowledge.remove(number(request)):
            raise RequestError(404, "there is no such document").worded("refusal.gone")
        return reply({"done": True})

    adding = Doc(
        "Add a text, Markdown, HTML or PDF document. One of the same name is replaced. Its name "
        "comes percent-encoded in `X-File-Name`, or with the `file` of a form.",
        body_types=("application/octet-stream", MULTIPART),
        headers=("X-File-Name",),
        answer=Added,
        status=201,
    )
    one = f"{BASE}/knowledge/{{id:{NUMBER}}}"
    return [
        Route(
            "GET",
            f"{BASE}/knowledge",
            listed,
            "read",
            doc=Doc("The documents by name.", answer=Documents),
        ),
        Route(
            "POST",
            f"{BASE}/knowledge",
            add,
            "admin",
            max_body=MAX_BYTES + ENVELOPE,
            doc=adding,
        ),
        Route("DELETE", one, remove, "admin", doc=Doc("Remove a document.", answer=Done)),
    ]


def file_name(name: str) -> str:
    """Return *name* without what could move a cursor or turn a line around.

    It is stored and shown as text and never used as a path, so that any other character may stay.

    Raises:
        RequestError: 400: nothing is left of it.
    """
    # Surrogates and bidirectional controls are not printable either.
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())[:MAX_NAME]
    if not shown.strip(". "):
        raise RequestError(400, "say the document's name: percent-encoded in X-File-Name").worded(
            "refusal.document_name"
        )
    return shown


async def _from_form(request: web.Request) -> tuple[str, bytes]:
    """Return name and content of the part `file`.

    Raises:
        RequestError: 400, 413: there is none, or it is too large.
    """
    found: tuple[str, bytes] | None = None
    try:
        # To its end, also after the file: a form that was cut off is no form.
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "file" and found is None:
                found = part.filename or "", await _content(part)
    except (ValueError, AssertionError, LookupError, HttpProcessingError) as error:
        raise RequestError(400, "the form cannot be read") from error
    if found is None:
        raise RequestError(400, "the form has no part `file`")
    return found


async def _content(part: BodyPartReader) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(CHUNK):
        data += chunk
        if len(data) > MAX_BYTES:
            raise RequestError(413, f"a document has {MAX_BYTES:,} bytes at most").worded(
                "refusal.document_large", megabytes=MAX_BYTES // 1_000_000
            )
    return bytes(data)
