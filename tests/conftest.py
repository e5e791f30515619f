"""Fixtures that several folders of tests use."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from appliance import paths
from tests.sound_card import VirtualSoundCard, virtual_sound_card

# A machine that does much else is slow; no example fails for that.
settings.register_profile("luna", deadline=None)
settings.load_profile("luna")


@pytest.fixture(scope="session", autouse=True)
def _folders_of_its_own() -> Iterator[None]:
    """Nothing that a test does is seen in the user's own Luna, or in a later test run."""
    with (
        tempfile.TemporaryDirectory(prefix="luna-tests-") as name,
        pytest.MonkeyPatch.context() as m,
    ):
        m.setenv("LUNA_MODELS_DIR", str(paths.models_dir()))
        m.setenv("XDG_CACHE_HOME", f"{name}/cache")
        m.setenv("XDG_CONFIG_HOME", f"{name}/config")
        m.setenv("DATA_DIR", f"{name}/data")
        yield


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
