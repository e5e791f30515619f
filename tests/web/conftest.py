"""Fixtures of the page's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.house import House, house, lan_by_address


@pytest.fixture
async def home(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    lan_by_address(monkeypatch)
    async with house(short_path) as built:
        yield built
