"""Downloads one file over HTTP: goes on after cuts, and gives up on a server that stalls.

What the server says about the file is believed nowhere: the caller knows the size, and checks
the hash afterwards.

(Not with aiohttp: when a connection is cut, it drops what it had received and not handed out.)
"""

from __future__ import annotations

import http
import http.client
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from appliance.clock import monotonic
from appliance.errors import ModelError

OnBytes = Callable[[int], None]
"""Called with the bytes that are there."""
_CHUNK = 1 << 20
_FINAL = (400, 401, 403, 404, 405, 410, 451)
"""Answers that another attempt does not change."""


@dataclass(frozen=True)
class Patience:
    """How long a server may take, and how often it is asked again."""

    silence_s: float = 30.0
    """Without a single byte."""
    answer_s: float = 60.0
    """Until the answer has begun, redirections included."""
    window_s: float = 30.0
    window_bytes: int = 30_000
    """Less than this within ``window_s``, and the attempt is given up."""
    attempts: int = 4
    """So many in a row may bring nothing."""
    slow_attempts: int = 20
    """So many in a row may bring less than ``window_bytes``."""
    pause_s: float = 1.0
    """Before the second one that brought nothing; twice as long before each further one."""


class _FailedError(Exception):
    """An attempt did not come to the end; the text says why."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def download(
    url: str, target: Path, size: int, on_bytes: OnBytes, patience: Patience | None = None
) -> None:
    """Bring *target* to *size* bytes, going on where it ends.

    Never more than one byte beyond *size* is taken, which the caller recognises as wrong.
    Beside *target* a file ``*.etag`` remembers which version of the file it is a part of.

    Raises:
        ModelError: the server does not have the file, or does not bring it in time.
        OSError: it cannot be stored.
    """
    patience = patience or Patience()
    nothing = slow = 0
    farthest = _length(target)
    while _length(target) < size:
        failure = _FailedError("the connection was cut")
        try:
            _attempt(url, target, size, on_bytes, patience)
        except _FailedError as error:
            failure = error
        # Against the farthest, because what is there may have had to be thrown away.
        brought = max(_length(target) - farthest, 0)
        farthest += brought
        if _length(target) >= size:
            return
        nothing = 0 if brought > 0 else nothing + 1
        slow = 0 if brought >= patience.window_bytes else slow + 1
        if failure.final or nothing >= patience.attempts or slow >= patience.slow_attempts:
            raise ModelError(
                f"{url} cannot be downloaded ({failure}); try again later, it goes on where it "
                "stopped"
            ) from failure
        if nothing:
            time.sleep(patience.pause_s * 2 ** (nothing - 1))


def size_of(url: str) -> int:
    """Return the size that the server tells of a file.

    Raises:
        ModelError: it does not tell.
    """
    request = urllib.request.Request(url, method="HEAD", headers={"Accept-Encoding": "identity"})  # noqa: S310 - the catalogue allows http and https only
    try:
        with _Line(Patience()).open(request) as response:
            return int(response.headers["Content-Length"])
    except _FailedError as error:
        raise ModelError(f"{url} cannot be downloaded ({error})") from error
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"the server does not tell the size of {url}; describe the model in models.toml"
        ) from error


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(url: str, target: Path, size: int, on_bytes: OnBytes, patience: Patience) -> None:
    """Ask once for what is missing, and store what comes."""
    mark = target.with_name(f"{target.name}.etag")
    have = _length(target)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if etag := _read(mark):
            headers["If-Range"] = etag
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - as above
    try:
        response = _Line(patience).open(request)
    except _RangeError as error:
        # What is here is no beginning of what is there.
        target.unlink(missing_ok=True)
        raise _FailedError(str(error), final=not have) from error
    with response:
        goes_on = response.status == http.HTTPStatus.PARTIAL_CONTENT
        if goes_on and _range_start(response.headers.get("Content-Range", "")) != have:
            target.unlink(missing_ok=True)
            raise _FailedError("the server sent another part than the one asked for")
        if not goes_on:
            etag = response.headers.get("ETag", "")
            # A weak one (W/...) does not promise the same bytes.
            mark.write_text(etag if etag.startswith('"') else "")
        with target.open("ab" if goes_on else "wb") as stream:
            _store(response, stream, size, on_bytes, patience)


def _store(
    response: Any, stream: BinaryIO, size: int, on_bytes: OnBytes, patience: Patience
) -> None:
    """Append what comes; raise _FailedError when that ends early or is too slow."""
    missing = size + 1 - stream.tell()
    began, in_window = monotonic(), 0
    while missing > 0:
        try:
            chunk = response.read1(min(_CHUNK, missing))
        except (http.client.HTTPException, ssl.SSLError, TimeoutError, ConnectionError) as error:
            raise _FailedError(_reason(error)) from error
        if not chunk:
            return
        stream.write(chunk)
        missing -= len(chunk)
        in_window += len(chunk)
        on_bytes(size - max(missing - 1, 0))
        if monotonic() - began >= patience.window_s:
            if in_window < patience.window_bytes:
                raise _FailedError("it comes too slowly")
            began, in_window = monotonic(), 0


def _range_start(content_range: str) -> int | None:
    found = re.match(r"bytes (\d+)-", content_range)
    return int(found[1]) if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", error)
    text = getattr(cause, "strerror", None) or str(cause) or "the connection was cut"
    return " ".join(text.split())[:200]


class _RangeError(_FailedError):
    """The server does not have the part that was asked for."""


class _Line:
    """Opens one URL, within a time that a server cannot stretch by sending its headers slowly."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._socket: socket.socket | None = None
        self._late = False

    def open(self, request: urllib.request.Request) -> Any:
        """Return the response; raises _FailedError."""
        opener = urllib.request.build_opener(_Http(self), _Https(self))
        timer = threading.Timer(self._patience.answer_s, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            response = opener.open(request, timeout=self._patience.silence_s)
        except urllib.error.HTTPError as error:
            error.close()
            words = f"the server answered {error.code} {error.reason}".strip()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _RangeError(words) from error
            raise _FailedError(words, final=error.code in _FINAL) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = "the server did not answer in time"
            raise _FailedError(late if self._late else _reason(error)) from error
        finally:
            timer.cancel()
        if self._late:
            response.close()
            raise _FailedError("the server did not answer in time")
        return response

    def watch(self, kind: type[http.client.HTTPConnection]) -> type[http.client.HTTPConnection]:
        """Return *kind* with a ``connect`` that tells us its socket."""
        line = self

        class Watched(kind):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                line._socket = self.sock

        return Watched

    def _hang_up(self) -> None:
        self._late = True
        if self._socket:
            self._socket.shutdown(socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._line.watch(http.client.HTTPConnection), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._line.watch(http.client.HTTPSConnection), request)
