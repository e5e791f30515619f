"""The real service with fake engines, its real server, and a client at its Unix socket."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from appliance import engines
from appliance.app import App, Plan
from appliance.settings import Settings, WebSettings


class Luna:
    """What a test has in its hands."""

    def __init__(self, app: App, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self.data = folder / "data"

    @property
    def config(self) -> Path:
        """The owner's folder of configuration."""
        return self.folder / "config/luna"

    @property
    def socket(self) -> Path:
        """Where the API is reached with all rights."""
        return self.folder / "run/luna/api.sock"


@asynccontextmanager
async def running(**more: Any) -> AsyncIterator[Luna]:
    """Run the service in a folder of its own; *more* are sections of its configuration."""
    with (
        tempfile.TemporaryDirectory(prefix="luna-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(name)
        for variable, part in (
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_CACHE_HOME", "cache"),
            ("DATA_DIR", "data"),
        ):
            patch.setenv(variable, str(folder / part))
        patch.setenv("LUNA_OWN_SERVICE", "1")
        settings = Settings(web=WebSettings(port=0), **more)
        async with App(settings, engines.fake(settings), Plan(service=True)) as app:
            await app.ready()
            assert app.page is not None
            yield Luna(app, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def luna() -> AsyncIterator[Luna]:
    """A running service, the same for all tests of a module."""
    async with running() as found:
        yield found


@asynccontextmanager
async def client_of(luna: Luna) -> AsyncIterator[aiohttp.ClientSession]:
    """Connect to the Unix socket."""
    connector = aiohttp.UnixConnector(str(luna.socket), limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(
        "http://localhost", connector=connector, timeout=timeout
    ) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(luna: Luna) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of this machine."""
    async with client_of(luna) as session:
        yield session
