"""Asks the running service through its Unix socket, with the same API as the page."""

from __future__ import annotations

from typing import Any

from appliance import paths
from appliance.control import GROUP
from appliance.errors import ServiceError, UsageError, error_of

LIMIT_S = 30.0


async def call(method: str, path: str, body: Any = None) -> dict[str, Any] | None:
    """Return the JSON answer of ``/api/v1`` + *path*; None: no service is running.

    Raises:
        LunaError: it was refused, or failed; the sentence is the service's.
    """
    import aiohttp

    connector = aiohttp.UnixConnector(str(paths.api_socket()))
    timeout = aiohttp.ClientTimeout(LIMIT_S)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(method, f"http://luna/api/v1{path}", json=body) as response,
        ):
            answer: dict[str, Any] = await response.json()
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, PermissionError):
            raise ServiceError(
                f"you may not talk to Luna: join the group {GROUP} (sudo adduser $USER {GROUP})"
            ) from error
        return None
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise ServiceError("Luna does not answer; look at its log") from error
    if response.ok:
        return answer
    failure = answer.get("error", {})
    text = str(failure.get("message", response.reason))
    if response.status in (400, 404, 409, 422):
        raise UsageError(text)
    raise error_of(int(failure.get("code", 6)))(text)
