"""What every client of a provider has in common: the session, deadlines, and errors translated.

A request that fails ends in one :class:`~appliance.errors.ProviderError`, whose kind tells the
router what to do. Its text names the provider and the number or code of the fault, never what
the server wrote: that may quote the question or the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from appliance.errors import ProviderError
from appliance.providers.known import Provider

MAX_ERROR_BYTES = 16_384
"""Of the body of an answer that is an error."""
MAX_RETRY_AFTER_S = 86_400.0
KEEP_ALIVE_S = 30.0
"""An open connection saves the TLS handshake of the next turn; servers close theirs later."""
RELEASE_WAIT_S = 0.05
"""How long the end of an answer may take whose content is known already."""
MAX_CONNECTIONS = 16
_NO_NETWORK = {errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH}


class Http:
    """The connections to one provider. Close it when it is no longer needed."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @contextlib.asynccontextmanager
    async def post(
        self, url: str, deadline: Deadline, **arguments: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a POST request and give its response, when that is a success.

        *arguments* are those of :meth:`aiohttp.ClientSession.post`. Whatever fails while the
        response is read inside the ``with`` block is translated as well.

        Raises:
            ProviderError: see :class:`~appliance.errors.ProviderError` for the kinds.
        """
        name = self._provider.name
        with translated(self._provider):
            async with deadline.waiting():
                response = await self._open().post(url, allow_redirects=False, **arguments)
            try:
                if response.status != 200:  # noqa: PLR2004
                    async with deadline.waiting():
                        body = await _beginning(response)
                    raise status_error(name, response.status, response.headers, body)
                yield response
            except BaseException:
                response.close()  # this stops the work at the other end
                raise
            await _release(response)

    def _open(self) -> aiohttp.ClientSession:
        """Return the session; it is made here because it belongs to the running event loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Redirects are not followed, cookies not kept, certificates always verified.
                connector=aiohttp.TCPConnector(
                    limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                # What is compressed could grow without limit.
                headers={"Accept-Encoding": "identity", "User-Agent": "luna"},
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=self._provider.timeouts.connect_s
                ),
            )
        return self._session


class Deadline:
    """The times by which an answer must begin, go on and end."""

    def __init__(self, provider: Provider, patience: float = 1.0) -> None:
        """*patience* times the provider's deadline of the first words are waited for them."""
        self._name = provider.name
        self._limits = provider.timeouts
        self._start = asyncio.get_running_loop().time()
        self._allowed = patience * self._limits.first_token_s
        self._next = self._start + self._allowed
        self._waits_for = "did not begin to answer"

    def progress(self) -> None:
        """Note that a piece of the answer arrived: now the pause between pieces counts."""
        self._next = asyncio.get_running_loop().time() + self._limits.between_tokens_s
        self._waits_for = "stopped in the middle of its answer"
        self._allowed = self._limits.between_tokens_s

    def within(self, seconds: float) -> None:
        """Wait no longer than *seconds* from now on."""
        self._next = min(self._next, asyncio.get_running_loop().time() + seconds)

    @contextlib.asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Bound what is waited for inside.

        Raises:
            ProviderError: of kind ``timeout``.
        """
        end = self._start + self._limits.total_s
        try:
            async with asyncio.timeout_at(min(self._next, end)) as timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise  # aiohttp's own: the connection could not be opened in time
            what, allowed = self._waits_for, self._allowed
            if end <= self._next:
                what, allowed = "did not finish", self._limits.total_s
            raise ProviderError(
                f"{self._name} {what} within {allowed:g} s", kind="timeout"
            ) from error


@contextlib.contextmanager
def translated(provider: Provider) -> Iterator[None]:
    """Turn the exceptions of aiohttp and of sockets into :class:`ProviderError`."""
    name = provider.name
    try:
        yield
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
        # Not the owner's mistake for good: a clock that is wrong after a start does this too.
        raise ProviderError(
            f"{name}: the server's certificate could not be verified; check the clock and the "
            "address",
            kind="unreachable",
        ) from error
    except aiohttp.ClientConnectorError as error:
        kind, why = "unreachable", "no connection"
        if not provider.lan and _no_network(error):
            kind, why = "offline", "no network"
        raise ProviderError(f"{name}: {why}", kind=kind) from error
    except (aiohttp.ConnectionTimeoutError, aiohttp.SocketTimeoutError) as error:
        raise ProviderError(
            f"{name}: no connection within {provider.timeouts.connect_s:g} s", kind="unreachable"
        ) from error
    except aiohttp.InvalidURL as error:
        raise ProviderError(f"{name}: its base_url is not an address", kind="misconfigured") from (
            error
        )
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError) as error:
        raise ProviderError(f"{name} broke the connection", kind="broken") from error
    except aiohttp.ClientError as error:
        raise ProviderError(f"{name} does not speak HTTP as expected", kind="malformed") from error


def status_error(name: str, status: int, headers: Any, body: bytes = b"") -> ProviderError:
    """Return the error behind an HTTP *status* that is not 200."""
    code = _code(body)
    kind = _kind(status, body)
    what = {
        "rate_limited": "asks to wait",
        "quota": "says that the account has no credit left",
        "server": "has a fault of its own",
        "timeout": "gave up",
        "misconfigured": "refuses; check its key, model and base_url",
        "rejected": "does not accept this request",
    }[kind]
    detail = f"HTTP {status}{f', {code}' if code else ''}"
    wait = _retry_after(headers, body) if kind in ("rate_limited", "server") else None
    return ProviderError(f"{name} {what} ({detail})", kind=kind, retry_after_s=wait)


def _kind(status: int, body: bytes) -> str:
    match status:
        case 402:
            return "quota"
        case 429:  # OpenAI says so too when the account is empty, and waiting does not help
            return "quota" if b"insufficient_quota" in body else "rate_limited"
        case 408:
            return "timeout"
        case 401 | 403 | 404 | 405 | 410:
            return "misconfigured"
        case 400 if re.search(rb"api[ _]key", body, re.IGNORECASE):
            return "misconfigured"  # Gemini's answer to a wrong key
        case _ if status < 400 or status == 421:  # noqa: PLR2004
            return "misconfigured"  # a redirect: the address is not the right one
        case _:
            return "server" if status >= 500 else "rejected"  # noqa: PLR2004


def _code(body: bytes) -> str:
    """Return the error's code if it is a plain word; nothing else of the body is repeated."""
    try:
        error = json.loads(body)["error"]
        found = [str(error.get(key) or "") for key in ("code", "type", "status")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    words = [text for text in found if re.fullmatch(r"[A-Za-z][A-Za-z_]{2,40}", text)]
    return words[0] if words else ""


def _retry_after(headers: Any, body: bytes) -> float | None:
    """Return the seconds that the server asks to wait (RFC 9110, 10.2.3), or None.

    OpenAI also says ``retry-after-ms``; Gemini says ``"retryDelay": "34s"`` in the body.
    """
    found: float | None = None
    if milliseconds := headers.get("retry-after-ms"):
        found = _number(milliseconds, 1e-3)
    if found is None and (text := headers.get("Retry-After")):
        found = _number(text)
        if found is None:
            with contextlib.suppress(ValueError, TypeError, OverflowError):
                found = parsedate_to_datetime(text).timestamp() - time.time()
    if found is None and (match := re.search(rb'"retryDelay":\s*"([0-9.]{1,10})s"', body)):
        found = _number(match.group(1).decode())
    return None if found is None else min(max(found, 0.0), MAX_RETRY_AFTER_S)


def _number(text: str, factor: float = 1.0) -> float | None:
    return float(text) * factor if re.fullmatch(r"\s*[0-9]{1,12}(\.[0-9]{1,9})?\s*", text) else None


def _no_network(error: aiohttp.ClientConnectorError) -> bool:
    """Return whether the box has no network, as far as this error tells."""
    cause = error.os_error
    if isinstance(cause, socket.gaierror):
        return cause.errno == socket.EAI_AGAIN
    return cause.errno in _NO_NETWORK


async def _release(response: aiohttp.ClientResponse) -> None:
    """Keep the connection for the next request if the answer is over, else close it."""
    try:
        async with asyncio.timeout(RELEASE_WAIT_S):
            await response.content.read(1)
    except (TimeoutError, aiohttp.ClientError):
        pass
    finally:
        response.close()  # does nothing to a connection that was given back at the end


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_chunked(4096):
        body += chunk
        if len(body) >= MAX_ERROR_BYTES:
            break
    return body
