"""Where the log comes from: a file, systemd's journal, or the running service's memory."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from appliance import paths
from appliance.errors import ServiceError, UsageError

UNIT = "luna.service"
SERVICE_SOCKET = Path("/run/luna")
MAX_BYTES = 100_000_000
"""Of a file that is read; a month of Luna's log is far less."""
MAX_KEPT = 2000
"""Lines that the service keeps in memory."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LATER_S = 30.0
"""The service sends a sign of life at least twice as often."""


def duration(words: str) -> timedelta:
    """Return the time that *words* such as ``90s``, ``30m``, ``1h`` or ``7d`` mean.

    Raises:
        UsageError: they mean none.
    """
    found = re.fullmatch(r"(\d{1,6})([smhdw])", words.strip())
    if found is None:
        raise UsageError(f"{words!r} is no length of time; write 90s, 30m, 1h or 7d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def of_file(name: str) -> Iterator[str]:
    """Yield the lines of a file; ``-`` is standard input.

    Raises:
        UsageError: it cannot be read.
    """
    if name == "-":
        yield from sys.stdin
        return
    path = Path(name)
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise UsageError(
                f"{name}: larger than {MAX_BYTES // 1_000_000} MB; cut it with --since"
            )
        with path.open(encoding="utf-8", errors="replace") as stream:
            yield from stream
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from error


def has_journal() -> bool:
    """Return whether Luna is the system's service here, whose log is the journal."""
    if shutil.which("journalctl") is None or paths.control_socket().parent != SERVICE_SOCKET:
        return False
    return Path("/run/systemd/system").is_dir()


@contextmanager
def of_journal(since: datetime | None, *, follow: bool = False) -> Iterator[Iterator[str]]:
    """Give the journal's lines of Luna's unit as JSON, the oldest first.

    Raises:
        ServiceError: journalctl does not work, or may not be used.
    """
    command = ["journalctl", "--unit", UNIT, "--output", "json", "--no-pager", "--quiet"]
    command += ["--since", f"@{since.timestamp():.0f}"] if since else []
    command += ["--follow", "--lines", "all" if since else "20"] if follow else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        yield iter(process.stdout)
        if process.poll() is None and not follow:
            process.wait()
        if process.returncode:
            said = process.stderr.readline().strip()
            raise ServiceError(f"the journal cannot be read: {said or 'journalctl failed'}")
    finally:
        process.kill()
        process.communicate()


async def of_service(limit: int = MAX_KEPT, *, follow: bool = False) -> AsyncIterator[str]:
    """Yield the last lines that the running service keeps in memory, then those to come.

    Raises:
        ServiceError: it is not running, or does not answer.
    """
    import aiohttp

    connector = aiohttp.UnixConnector(str(paths.api_socket()))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_LATER_S)
    try:
        async with aiohttp.ClientSession("http://localhost", connector=connector) as session:
            async with session.get(f"/api/v1/logs?limit={limit}", timeout=timeout) as answer:
                answer.raise_for_status()
                for line in (await answer.json())["lines"]:
                    yield json.dumps(line)
            if not follow:
                return
            async with session.get("/api/v1/logs/stream", timeout=timeout) as answer:
                answer.raise_for_status()
                async for raw in answer.content:
                    if raw.startswith(b"data: "):
                        yield raw.removeprefix(b"data: ").decode()
    except aiohttp.ClientConnectorError as error:
        raise ServiceError("Luna is not running; start it with `luna run`") from error
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ServiceError(f"Luna's log cannot be read: {error or 'no answer'}") from error


def recent(since: datetime | None) -> list[str]:
    """Return the log of this box, from the journal or from the running service.

    Raises:
        ServiceError: neither can be read.
    """
    if has_journal():
        with of_journal(since) as lines:
            return list(lines)
    return asyncio.run(_gathered())


async def _gathered() -> list[str]:
    return [line async for line in of_service()]
