"""The documents name what the code has."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from appliance.assistant.timings import TurnTimes
from appliance.bus import PUBLIC
from appliance.settings import ProviderSettings, Settings
from tests.benchmarks.__main__ import TARGETS
from tests.test_cli import COMMANDS

ROOT = Path(__file__).parents[1]


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for section in fields(Settings):
        tables = section.default_factory is dict
        owner: Any = ProviderSettings if tables else section.default_factory
        title = f"## [{section.name}.NAME]" if tables else f"## [{section.name}]"
        part = text.split(title)[1].split("\n## ")[0]
        for key in fields(owner):
            assert f"| `{key.name}` |" in part, f"{section.name}.{key.name}"


def test_every_public_event_and_timing_is_documented() -> None:
    text = (ROOT / "docs/events.md").read_text()
    for event in PUBLIC:
        assert f"| `{event.type}` |" in text, event
    for key in TurnTimes().figures():
        assert f"| `{key}` |" in text, key


def test_readme_names_every_command_and_target() -> None:
    text = (ROOT / "README.md").read_text()
    for command in COMMANDS:
        assert f"luna {command}" in text, command
    for target in TARGETS:
        assert target.meaning in text, target


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"])
def test_the_usual_files_are_there(name: str) -> None:
    assert (ROOT / name).stat().st_size > 500
