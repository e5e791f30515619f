"""Reads a bundle from a file, or from the web with patience: a cut connection is taken up again."""

from __future__ import annotations

import contextlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from appliance.errors import UpdateError, UsageError
from appliance.update.bundle import Source

SILENCE_S = 30.0
"""A server that sends nothing for so long is asked again."""
ATTEMPTS = 6
"""So many in a row may bring nothing."""
PAUSE_S = 1.0
"""Before the second attempt; twice as long before each further one."""
_BLOCK = 1 << 16


@contextlib.contextmanager
def opened(place: str) -> Iterator[Source]:
    """Open the bundle at *place*, a file or an ``http(s)`` address.

    Raises:
        UsageError: there is no such file.
        UpdateError: it cannot be read.
    """
    if place.startswith(("https://", "http://")):
        web = WebSource(place)
        try:
            yield web
        finally:
            web.close()
        return
    try:
        file = Path(place).open("rb")  # noqa: SIM115 - closed below
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {place}") from error
    except OSError as error:
        raise UpdateError(f"{place} cannot be read: {error.strerror}") from error
    with file:
        yield FileSource(file)


class FileSource:
    """A bundle in a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes; fewer at the end.

        Raises:
            UpdateError: the disk fails.
        """
        try:
            return self._file.read(size)
        except OSError as error:
            raise UpdateError(f"the update bundle cannot be read: {error.strerror}") from error

    def skip(self, size: int) -> None:
        """Leave out the next *size* bytes."""
        self._file.seek(size, 1)


class _Answer(Protocol):
    """What an HTTP answer is read by."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class WebSource:
    """A bundle on a web server. What the server says of it is not believed: the signature counts.

    Args:
        address: ``https://`` or ``http://``.
        pause_s: see :data:`PAUSE_S`.
    """

    def __init__(self, address: str, pause_s: float = PAUSE_S) -> None:
        self._address = address
        self._pause_s = pause_s
        self._at = 0
        self._answer: _Answer | None = None

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes; fewer at the end.

        Raises:
            UpdateError: the server does not bring them.
        """
        found = bytearray()
        failures = 0
        while len(found) < size:
            try:
                if self._answer is None:
                    self._answer = self._ask()
                if self._answer is None:
                    break  # it ends before this place
                data = self._answer.read(min(_BLOCK, size - len(found)))
                if not data:
                    raise OSError("the connection was cut")
            except (OSError, http.client.HTTPException) as error:
                self.close()
                failures += 1
                if failures >= ATTEMPTS or _is_final(error):
                    raise UpdateError(f"{self._address} cannot be read: {_why(error)}") from error
                time.sleep(self._pause_s * 2 ** (failures - 1))
                continue
            failures = 0
            found += data
            self._at += len(data)
        return bytes(found)

    def skip(self, size: int) -> None:
        """Leave out the next *size* bytes: the server is asked for what is behind them."""
        self.close()
        self._at += size

    def close(self) -> None:
        """Hang up."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def _ask(self) -> _Answer | None:
        """Return the answer, which goes on where the reading stopped; None at the end.

        Raises:
            OSError: there is none.
        """
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        request = urllib.request.Request(self._address, headers=headers)  # noqa: S310 - see opened
        try:
            answer = urllib.request.urlopen(request, timeout=SILENCE_S)  # noqa: S310
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise
        begin = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        behind = self._at - (int(begin[1]) if begin else 0)
        if behind < 0:
            raise OSError("it sends another part than was asked for")
        while behind:  # a server that knows no ranges begins anew
            data = answer.read(min(_BLOCK, behind))
            if not data:
                raise OSError("it is cut off")
            behind -= len(data)
        return answer  # type: ignore[no-any-return]


def _is_final(error: Exception) -> bool:
    return isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500  # noqa: PLR2004


def _why(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return str(reason) or type(error).__name__
