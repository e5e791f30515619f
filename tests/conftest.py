"""Fixtures that several folders of tests use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sound_card import VirtualSoundCard, virtual_sound_card


@pytest.fixture
def sound_card() -> Iterator[VirtualSoundCard]:
    """A virtual sound card of its own for one test."""
    with virtual_sound_card() as card:
        yield card


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="luna-") as name:
        yield Path(name)
