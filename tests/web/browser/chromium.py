"""Chromium as a person's browser, and Luna as what it looks at."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.service import LUNA, Service, service

LIMIT_MS = 60_000
"""A machine that does much else is slow; nothing here is about speed."""


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Luna:
    """A running service that can be started again at the same address."""

    def __init__(self, folder: Path, env: dict[str, str], *arguments: str) -> None:
        self._folder = folder
        self._env = env
        self.port, self.https_port = free_port(), free_port()
        ports = f"--set web.port={self.port} --set web.https_port={self.https_port}"
        self._arguments = [*ports.split(), *arguments]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the service, with the data of the last time."""
        self._context = service(self._folder, *self._arguments, env=self._env)
        self.service: Service = self._context.__enter__()
        self.service.until_ready()

    def stop(self) -> None:
        """Stop the service."""
        self._context.__exit__(None, None, None)

    def command(self, *words: str) -> str:
        """Run a command of the box's own terminal; return what it prints."""
        done = subprocess.run(
            [*LUNA, *words], env=self.service.env, check=True, capture_output=True, text=True
        )
        return done.stdout

    def pairing_code(self) -> str:
        """Return the code that the owner reads on the box."""
        row: dict[str, Any] = json.loads(self.command("web", "pair", "--json"))
        return str(row["code"])


@contextmanager
def chromium(*switches: str) -> Iterator[Browser]:
    """Run Debian's Chromium while the context lasts; nothing is downloaded."""
    program = shutil.which("chromium")
    assert program, "these tests need Debian's chromium: `make test` installs it"
    # As root, as in a container, there is no sandbox.
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*root, *switches])
        yield browser
        browser.close()


class Watched:
    """A browser context in which a request to anywhere else, or an error of a script, is a fault."""

    def __init__(self, browser: Browser, luna: Luna, *, origin: str = "", **options: Any) -> None:
        origin = origin or luna.origin
        self._own = urlsplit(origin).netloc
        self.faults: list[str] = []
        options = {"locale": "en-GB", "viewport": {"width": 1280, "height": 860}, **options}
        self.context: BrowserContext = browser.new_context(base_url=origin, **options)
        self.context.set_default_timeout(LIMIT_MS)
        self.context.on("request", lambda request: self._check(request.url))
        self.context.on("weberror", lambda error: self.faults.append(str(error.error)))

    def _check(self, url: str) -> None:
        if urlsplit(url).netloc != self._own and not url.startswith(("blob:", "data:")):
            self.faults.append(f"request to {url}")

    def page(self) -> Page:
        """Return a new page."""
        page = self.context.new_page()
        page.on("websocket", lambda one: self._check(one.url))
        return page

    def close(self) -> None:
        """Close it; complains about what was wrong."""
        self.context.close()
        assert not self.faults, self.faults


def pair(page: Page, luna: Luna) -> None:
    """Come in as a newcomer does; while there is a code, Luna also listens on the LAN."""
    code = luna.pairing_code()
    page.goto("/")
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Pair", exact=True).click()
    page.locator(".state").wait_for()
