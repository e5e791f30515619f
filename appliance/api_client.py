"""Asks the running service through its Unix socket, with the same API as the page.

Of the standard library alone: an HTTP library would cost a command more than all the rest of its
start.
"""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from appliance.control import NOT_ADMITTED
from appliance.errors import ServiceError, UsageError, error_of

API = "/api/v1"
LIMIT_S = 30.0
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer at most: a conversation of many thousand messages fits."""
USAGE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


class NoServiceError(ServiceError):
    """No service is running."""


def ask(socket_path: Path, method: str, path: str, body: object = None) -> Any:
    """Return the JSON answer of ``/api/v1`` + *path*; waits for it.

    Raises:
        NoServiceError: nobody serves this socket.
        LunaError: it was refused, or failed; the sentence is the service's.
    """
    connection = _UnixConnection(socket_path)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        connection.request(method, API + path, data, headers)
        response = connection.getresponse()
        received = response.read(MAX_ANSWER + 1)
        if len(received) > MAX_ANSWER:
            raise ServiceError("Luna's answer is too large")
        answer = json.loads(received) if received else {}
    except (HTTPException, OSError, ValueError) as error:
        raise ServiceError("Luna does not answer; look at its log") from error
    finally:
        connection.close()
    if response.status < HTTPStatus.BAD_REQUEST:
        return answer
    failure = answer.get("error", {}) if isinstance(answer, dict) else {}
    text = str(failure.get("message", f"Luna answered {response.status} {response.reason}"))
    if response.status in USAGE:
        raise UsageError(text)
    raise error_of(int(failure.get("code", ServiceError.exit_code)))(text)


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("luna", timeout=LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(str(self._path))
        except PermissionError as error:
            raise ServiceError(NOT_ADMITTED) from error
        except TimeoutError:
            raise
        except OSError as error:
            raise NoServiceError("Luna does not answer; see `luna status`") from error
