"""A real service with the real models, and a real browser that has been let in."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.sound_card import virtual_sound_card
from tests.web.browser.chromium import Luna, Watched, chromium, pair

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def luna() -> Iterator[Luna]:
    """A running Luna, one for all tests of a module."""
    with virtual_sound_card() as card, tempfile.TemporaryDirectory(prefix="luna-") as folder:
        card.noise()
        luna = Luna(Path(folder), card.env)
        try:
            yield luna
        finally:
            luna.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium that has a microphone and may not use it."""
    with chromium("--use-fake-device-for-media-stream") as one:
        yield one


@pytest.fixture(scope="module")
def paired(luna: Luna, browser: Browser) -> dict[str, Any]:
    """The cookies of a browser that has been let in."""
    watched = Watched(browser, luna)
    pair(watched.page(), luna)
    state: dict[str, Any] = dict(watched.context.storage_state())
    watched.close()
    return state


@pytest.fixture
def open_page(luna: Luna, browser: Browser, paired: dict[str, Any]) -> Iterator[OpenPage]:
    """Opens the page in a browser that is let in; options are those of a browser context."""
    opened: list[Watched] = []

    def open_it(path: str = "/", **options: Any) -> Page:
        watched = Watched(browser, luna, **{"storage_state": paired, **options})
        opened.append(watched)
        page = watched.page()
        page.goto(path)
        page.locator("#main > section > *").first.wait_for(state="attached")
        return page

    yield open_it
    for watched in opened:
        watched.close()


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The page at its beginning."""
    return open_page()
