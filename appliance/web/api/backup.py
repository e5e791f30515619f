"""A copy of everything that Luna keeps, for the owner to take away."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import IO, Literal

from aiohttp import web

from appliance.errors import StorageError
from appliance.web.api import BASE
from appliance.web.api.bodies import Query, query
from appliance.web.routing import Doc, RequestError, Route
from appliance.web.services import Services

GZIP = "application/gzip"
CHUNK = 256 * 1024
SLOW_S = 30.0
"""A client that takes nothing for so long has gone."""
SCRATCH = ".luna-backup-page-"
"""Begins the name of the folder in which the archive is made; backups leave it out."""


class Wanted(Query):
    secrets: Literal["0", "1"] = "0"
    """Put keys and passwords into it as well."""


def routes(services: Services) -> list[Route]:
    """Return the route of the backup."""
    _sweep(services.data_dir)
    one_at_a_time = asyncio.Lock()

    async def download(request: web.Request) -> web.StreamResponse:
        secrets = query(request, Wanted).secrets == "1"
        if one_at_a_time.locked():
            raise RequestError(409, "a backup is being made already; try again in a moment").worded(
                "refusal.backup"
            )
        async with one_at_a_time:
            name, archive = await _made(services, secrets=secrets)
        with archive:
            return await _send(request, name, archive)

    doc = Doc("Download a backup; see `luna backup`.", query=Wanted, answer_types=(GZIP,))
    return [Route("GET", f"{BASE}/backup", download, "admin", stream=True, doc=doc)]


def _sweep(data_dir: Path) -> None:
    """Remove what a crash left behind."""
    for folder in data_dir.glob(f"{SCRATCH}*"):
        shutil.rmtree(folder, ignore_errors=True)


async def _made(services: Services, *, secrets: bool) -> tuple[str, IO[bytes]]:
    """Make an archive; return its name, and the open file, which has no name any more.

    Raises:
        StorageError: it could not be made.
    """
    try:
        scratch = await asyncio.to_thread(
            tempfile.TemporaryDirectory, dir=services.data_dir, prefix=SCRATCH
        )
    except OSError as error:
        raise StorageError(f"{services.data_dir}: cannot be written: {error.strerror}") from error
    try:
        path = await services.backups.make(Path(scratch.name), secrets=secrets)
        return path.name, await asyncio.to_thread(path.open, "rb")
    finally:
        await asyncio.to_thread(scratch.cleanup)


async def _send(request: web.Request, name: str, archive: IO[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": GZIP,
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
    )
    response.content_length = archive.seek(0, 2)
    archive.seek(0)
    await response.prepare(request)
    try:
        while chunk := await asyncio.to_thread(archive.read, CHUNK):
            async with asyncio.timeout(SLOW_S):
                await response.write(chunk)
    except (ConnectionError, TimeoutError):
        if request.transport:
            request.transport.abort()
    return response
