"""Settings over the API: what takes effect at once, what waits, what is refused."""

from __future__ import annotations

import tomllib
from typing import Any

import aiohttp
import pytest

from tests.web.api.conftest import Luna
from tests.web.api.test_requests import ok, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = aiohttp.ClientSession


async def value_of(client: Client, key: str) -> dict[str, Any]:
    rows = (await ok(client, "GET", "/config"))["settings"]
    (row,) = [row for row in rows if row["key"] == key]
    return dict(row)


async def test_what_takes_effect_at_once(client: Client, luna: Luna) -> None:
    changed = await ok(
        client,
        "PATCH",
        "/config",
        json={
            "general.language": "pt",
            "listen.follow_up_s": 3.0,
            "panel.brightness": 20,
            "audio.volume_limit": 25,
            "reminders.quiet_from": "22:00",
            "reminders.quiet_to": "07:00",
        },
    )
    assert changed["restart"] is False
    assert luna.app.coordinator._language == "pt"
    assert luna.app.coordinator.appliance.options.follow_up_s == 3.0
    assert (await ok(client, "POST", "/control/volume", json={"percent": 90}))["volume"] == 25
    assert luna.app.diary is not None
    keeper = luna.app.diary._keeper
    assert keeper is not None
    assert keeper.policy.quiet is not None
    assert (await value_of(client, "panel.brightness"))["value"] == 20
    written = tomllib.loads((luna.config / "conf.d/90-page.toml").read_text())
    assert written["general"]["language"] == "pt"
    await ok(client, "PATCH", "/config", json={"general.language": "en"})


async def test_what_waits_for_a_restart(client: Client) -> None:
    changed = await ok(client, "PATCH", "/config", json={"listen.wake_threshold": 0.6})
    assert changed["restart"] is True
    assert changed["waiting"] == ["listen.wake_threshold"]
    row = await value_of(client, "listen.wake_threshold")
    assert (row["value"], row["pending"]) == (0.6, True)
    changed = await ok(client, "PATCH", "/config", json={"listen.wake_threshold": None})
    assert changed["restart"] is False


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"web.port": 1},
        {"general.data_dir": "/tmp"},
        {"listen.wake_threshold": 2},
        {"listen.wake_threshold": "0.5"},
        {"listen.wake_threshold": {"a": 1}},
        {"listen.wake_words": ["hal"]},
        {"reminders.quiet_from": ""},
        {"general.language": "fr", "panel.brightness": 99},
    ],
)
async def test_what_is_refused_changes_nothing(
    client: Client, luna: Luna, values: dict[str, object]
) -> None:
    await ok(client, "PATCH", "/config", json={"panel.idle_light": True})
    file = luna.config / "conf.d/90-page.toml"
    before = file.read_bytes()
    await refused(client, "PATCH", "/config", 422, json=values)
    assert file.read_bytes() == before


async def test_a_folder_that_cannot_be_written(client: Client, luna: Luna) -> None:
    folder = luna.config / "conf.d"
    aside = folder.rename(luna.config / "aside")
    folder.write_text("in the way")
    try:
        said = await refused(client, "PATCH", "/config", 409, json={"general.language": "pt"})
        assert "cannot be written" in said
        assert (luna.app.settings.general.language) == "en"
    finally:
        folder.unlink()
        aside.rename(folder)
