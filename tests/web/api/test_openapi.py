"""The API against its own description: every operation, with data that fits and data that does not."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from requests.adapters import HTTPAdapter
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from tests.service import service

ENDLESS = {"/events", "/api/v1/logs/stream", "/api/v1/talk"}
"""They answer for as long as somebody listens, and have tests of their own."""
EXAMPLES = 8
FEW = {
    "/api/v1/ask": 4,
    "/api/v1/backup": 2,
    "/api/v1/certificate": 3,
    "/api/v1/control/restart": 1,
    "/api/v1/knowledge": 4,
    "/api/v1/password": 2,
    "/v1/chat/completions": 4,
    "/v1/audio/speech": 3,
    "/v1/audio/transcriptions": 3,
}
"""Of those that work hard."""
LEFT_OUT = (
    # What fits the description may still be refused for what Luna knows: there is no such word,
    # document or worker. That it is refused as described is checked all the same.
    "positive_data_acceptance",
    # These make further requests of their own, and the socket knows no log-in.
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
)


class _UnixConnection(HTTPConnection):
    path = ""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class _UnixAdapter(HTTPAdapter):
    """Sends requests to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        connection = type("Connection", (_UnixConnection,), {"path": str(path)})
        self._pool = HTTPConnectionPool("localhost")
        self._pool.ConnectionCls = connection

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[requests.Session]:
    """A session with the real service, which runs on fake engines."""
    with tempfile.TemporaryDirectory(prefix="luna-") as name:
        folder = Path(name)
        env = {**os.environ, "XDG_CONFIG_HOME": f"{name}/config"}
        with service(folder, "--fake", env=env) as luna, requests.Session() as found:
            luna.until_ready()
            found.mount("http://", _UnixAdapter(folder / "luna/api.sock"))
            found.headers["Host"] = "localhost"
            yield found


@pytest.fixture(scope="module")
def description(session: requests.Session) -> dict[str, Any]:
    """The description as it is served."""
    found: dict[str, Any] = session.get("http://localhost/api/v1/openapi.json").json()
    return found


def test_every_operation_is_described(description: dict[str, Any]) -> None:
    assert description["openapi"] == "3.1.0"
    names = []
    for path, operations in description["paths"].items():
        for operation in operations.values():
            names.append(operation["operationId"])
            assert operation["summary"] != "See docs/api.md.", path
            assert operation["responses"]["default"], path
    assert len(names) == len(set(names))
    assert len(names) > 50
    references = json.dumps(description).split('"#/components/schemas/')[1:]
    for reference in references:
        assert reference.partition('"')[0] in description["components"]["schemas"]


@pytest.mark.slow
def test_what_is_served_is_what_is_described(
    session: requests.Session, description: dict[str, Any]
) -> None:
    load_all_checks()
    checks = [CHECKS.get_one(name) for name in CHECKS.get_all_names() if name not in LEFT_OUT]
    assert len(checks) > 4
    failures: list[str] = []
    schema = schemathesis.openapi.from_dict(description)
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if operation.path in ENDLESS:
            continue
        failures += [
            f"{operation.label} ({mode.value}): {problem}"
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
            if (problem := _tried(operation, mode, session, checks))
        ]
    assert not failures, "\n\n".join(failures)


def _tried(operation: Any, mode: GenerationMode, session: requests.Session, checks: Any) -> str:
    """Call an operation with made-up data; return what was wrong."""
    try:
        strategy = operation.as_strategy(generation_mode=mode)
    except Exception as error:  # noqa: BLE001 - there may be nothing that could be wrong
        return "" if mode is GenerationMode.NEGATIVE else repr(error)

    @settings(
        max_examples=FEW.get(operation.path, EXAMPLES),
        phases=[Phase.generate],
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def call(case: Any) -> None:
        case.call_and_validate(
            base_url="http://localhost", session=session, checks=checks, timeout=30
        )

    try:
        call()
    except (FailureGroup, AssertionError) as error:
        parts = getattr(error, "exceptions", [error])
        return "; ".join(str(part)[:1500] for part in parts)
    except Exception as error:  # noqa: BLE001 - with the operation's name in one report
        if "Unsatisfiable" in type(error).__name__:
            return ""
        return repr(error)[:1500]
    return ""
